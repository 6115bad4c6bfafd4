//! Auditor component: checks an account's events against the invariants of the payment model. The logic is in the
//! domain crate.

clearfold_guest::export_auditor!("payments", clearfold_domain::invariants::Invariants);
