//! Holds no code: its manifest states features of crates that components use. Every component depends on it, so all
//! components have these features, and what they share is compiled once (docs/adr/0017-one-feature-set.md).
