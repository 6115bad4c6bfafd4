//! Projector component for the disputes' tables. The logic is in the domain crate.

clearfold_guest::export_projector!(clearfold_domain::disputes::Disputes);
