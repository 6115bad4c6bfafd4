//! Projector component for the payments' tables. The logic is in the domain crate.

clearfold_guest::export_projector!(clearfold_domain::payments::Payments);
