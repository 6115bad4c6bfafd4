//! Decides what happens to one card payment; all of it is in the domain.

clearfold_guest::export_decider!(clearfold_domain::authorization::Authorization);
