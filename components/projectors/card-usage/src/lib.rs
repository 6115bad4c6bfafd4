//! Projector component for the cards' tables. The logic is in the domain crate.

clearfold_guest::export_projector!(clearfold_domain::card_usage::CardUsage);
