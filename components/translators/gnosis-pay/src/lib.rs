//! Translator component for Gnosis Pay's logs. The logic is in the domain crate.

clearfold_guest::export_translator!(clearfold_domain::gnosis_pay::GnosisPay);
