//! Real servers for Holdfast's tests: started, watched, stopped.
