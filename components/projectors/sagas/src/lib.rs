//! Projector component for the sagas' table. The logic is in the domain crate.

clearfold_guest::export_projector!(clearfold_domain::sagas::Sagas);
