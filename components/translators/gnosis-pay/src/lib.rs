//! Gnosis Pay's logs become commands; all of it is in the domain.

clearfold_guest::export_translator!(clearfold_domain::gnosis_pay::GnosisPay);
