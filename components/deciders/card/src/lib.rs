//! Decider component for cards: what a card may pay, counted against its limits. The logic is in the domain crate.

clearfold_guest::export_decider!(clearfold_domain::card::Card);
