//! Saga component for authorizations: asks card and account, answers, books and expires. The logic is in the domain
//! crate.

clearfold_guest::export_saga!(clearfold_domain::authorization_saga::AuthorizationSaga);
