//! Builds the payments' tables; all of it is in the domain.

clearfold_guest::export_projector!(clearfold_domain::payments::Payments);
