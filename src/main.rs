//! The executable that Lambda starts.

fn main() {}
