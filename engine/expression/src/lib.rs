//! Holdfast's expression language: a small, bounded CEL.
