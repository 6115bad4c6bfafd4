//! Holds what happened to an account to the invariants of the payment model; all of it is in the domain.

clearfold_guest::export_auditor!("payments", clearfold_domain::invariants::Invariants);
