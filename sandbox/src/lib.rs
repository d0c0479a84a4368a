//! AWS and GitHub on loopback, so that anyone can see the broker work without an account.
