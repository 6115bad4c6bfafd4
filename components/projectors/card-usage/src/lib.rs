//! Builds the cards' tables; all of it is in the domain.

clearfold_guest::export_projector!(clearfold_domain::card_usage::CardUsage);
