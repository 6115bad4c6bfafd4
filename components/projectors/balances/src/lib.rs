//! Builds the accounts' tables; all of it is in the domain.

clearfold_guest::export_projector!(clearfold_domain::balances::Balances);
