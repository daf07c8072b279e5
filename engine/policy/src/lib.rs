//! Holdfast's policy language: YAML with positions in, a checked policy out.
