//! The in-cluster enforcer: keeps policies enforced for good, and tells what it does.
