//! Decider component for authorizations: the life of one card payment. The logic is in the domain crate.

clearfold_guest::export_decider!(clearfold_domain::authorization::Authorization);
