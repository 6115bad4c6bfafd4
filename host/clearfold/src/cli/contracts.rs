//! The contract set: the operator's file, or the one of Gnosis Chain that comes with the program.

use anyhow::Context;

use crate::config::Contracts;

/// Gnosis Pay's contracts on Gnosis Chain.
const GNOSIS: &[u8] = include_bytes!("../../../../contracts/gnosis.json");

/// Returns the set's bytes, and its name for errors.
pub(super) fn read(contracts: &Contracts) -> anyhow::Result<(Vec<u8>, String)> {
    match &contracts.contracts {
        None => Ok((GNOSIS.to_vec(), "the built-in contract set of Gnosis Chain".to_owned())),
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| {
                format!("CHAIN_CONTRACTS (--contracts) names {}, which cannot be read", path.display())
            })?;
            Ok((bytes, format!("CHAIN_CONTRACTS (--contracts) {}", path.display())))
        }
    }
}
