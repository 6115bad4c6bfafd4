//! Holds no code: its manifest states features. No crate depends on this one; that it is a member of the workspace is
//! enough for cargo to unify features with it (docs/adr/0017-one-feature-set.md).
