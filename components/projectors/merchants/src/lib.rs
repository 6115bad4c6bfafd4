//! Projector component for the merchants' tables. The logic is in the domain crate.

clearfold_guest::export_projector!(clearfold_domain::merchants::Merchants);
