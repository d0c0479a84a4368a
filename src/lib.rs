//! The map of github-token-broker.
