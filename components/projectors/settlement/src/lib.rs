//! Projector component for the reconciliation's tables. The logic is in the domain crate.

clearfold_guest::export_projector!(clearfold_domain::settlement::Settlement);
