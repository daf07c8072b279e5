//! The in-memory provider: any kind, without its network.
