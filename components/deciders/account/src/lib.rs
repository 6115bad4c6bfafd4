//! Decider component for accounts: a customer's balances, holds and ledger. The logic is in the domain crate.

clearfold_guest::export_decider!(clearfold_domain::account::Account);
