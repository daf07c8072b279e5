//! One behaviour suite that every provider passes.
