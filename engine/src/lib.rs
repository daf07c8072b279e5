//! The engine: observe, diff, plan and apply, one pure stage after another.
