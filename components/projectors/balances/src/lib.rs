//! Projector component for the accounts' tables. The logic is in the domain crate.

clearfold_guest::export_projector!(clearfold_domain::balances::Balances);
