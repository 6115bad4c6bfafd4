//! The read side: [`projection`] builds tables from published events, [`query`] reads them. This crate depends on
//! nothing that can append.

pub mod projection;
pub mod query;
