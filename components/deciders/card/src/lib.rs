//! Decides what a card may pay, and counts it; all of it is in the domain.

clearfold_guest::export_decider!(clearfold_domain::card::Card);
