//! Keeps a customer's balances, holds and ledger; all of it is in the domain.

clearfold_guest::export_decider!(clearfold_domain::account::Account);
