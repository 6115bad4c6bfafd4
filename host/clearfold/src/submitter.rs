//! The chain submitter of this host, if the configuration names one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use url::Url;

use crate::config::{Chain, Submitter as GivenSubmitter};
use clearfold_base::clock::Clock;
use clearfold_chain::submitter::executor::{DELEGATE, KeyVariables, Keys, SENDER};
use clearfold_chain::submitter::{PullEffect, Submitter, SubmitterHand, SubmitterOptions, SubmitterSettings};

const GAS_LIMIT: u64 = 500_000;
const MAX_FEE_GWEI: u32 = 50;
const RETRY_MS: u64 = 60_000;
const DEADLINE_S: u64 = 86_400;
const LEASE_MS: u64 = 60_000;

/// Access to the chain, by the configuration of the host.
pub struct ChainAccess {
    pub rpc_urls: Vec<Url>,
    pub confirmations: u64,
    pub interval: Duration,
}

/// Settings and keys of a submitter that was not started yet.
pub struct Configured {
    settings: SubmitterSettings,
    keys: Keys,
}

impl Configured {
    /// Reads them; `None` if nothing names a submitter. If anything does, all that it needs must be there.
    pub fn read(
        given: &GivenSubmitter,
        chain: ChainAccess,
        contracts: &[u8],
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Option<Self>> {
        let of_key = |names: KeyVariables| [names.key, names.keystore, names.password_file];
        let mut names = [SENDER, DELEGATE].into_iter().flat_map(of_key);
        if !given.is_given() && !names.any(|name| variable(name).is_some()) {
            return Ok(None);
        }
        let unusable =
            "the chain submitter cannot start; complete its SUBMITTER_ variables, or unset them all";
        let keys = Keys::read(variable).context(unusable)?;
        let settings = options(given, chain).settings(contracts).context(unusable)?;
        Ok(Some(Self { settings, keys }))
    }

    /// Makes the submitter, the effect by which sagas ask it, and the hand by which operators do.
    #[must_use]
    pub fn submitter(
        self,
        pool: PgPool,
        owner: Arc<str>,
        clock: Clock,
    ) -> (Submitter, PullEffect, SubmitterHand) {
        Submitter::new(self.settings, self.keys, pool, owner, clock)
    }
}

impl From<&Chain> for ChainAccess {
    fn from(chain: &Chain) -> Self {
        Self {
            rpc_urls: chain.chain_rpc_urls.clone(),
            confirmations: chain.chain_confirmations,
            interval: Duration::from_millis(chain.chain_poll_interval_ms),
        }
    }
}

fn options(given: &GivenSubmitter, chain: ChainAccess) -> SubmitterOptions {
    SubmitterOptions {
        chain_rpc_urls: chain.rpc_urls,
        confirmations: chain.confirmations,
        interval: chain.interval,
        spender: given.submitter_spender,
        receiver: given.submitter_receiver,
        role_key: given.submitter_role_key,
        gas_limit: given.submitter_gas_limit.unwrap_or(GAS_LIMIT),
        max_fee_gwei: given.submitter_max_fee_gwei.unwrap_or(MAX_FEE_GWEI),
        retry_after: Duration::from_millis(given.submitter_retry_ms.unwrap_or(RETRY_MS)),
        deadline: Duration::from_secs(given.submitter_deadline_s.unwrap_or(DEADLINE_S)),
        lease: Duration::from_millis(given.submitter_lease_ms.unwrap_or(LEASE_MS)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::HostConfig;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        config: HostConfig,
    }

    const CONTRACTS: &str = r#"{"chain_id": 100, "assets": [],
        "spenders": [{"address": "0x0101010101010101010101010101010101010101"}],
        "settlement": ["0x0202020202020202020202020202020202020202"],
        "accounts": [{"safe": "0x0303030303030303030303030303030303030303",
                      "roles": "0x0404040404040404040404040404040404040404"}]}"#;

    fn read(options: &[&str], variables: &[(&str, &str)]) -> Result<bool, String> {
        let required = ["clearfold", "--database-url", "a", "--read-database-url", "b"];
        let chain = ["--chain-rpc-urls", "http://127.0.0.1:1"];
        let line = Line::try_parse_from(required.iter().chain(&chain).chain(options)).unwrap();
        let variable = |name: &str| {
            variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
        };
        let HostConfig { submitter, chain, .. } = &line.config;
        let read = Configured::read(submitter, chain.into(), CONTRACTS.as_bytes(), variable);
        read.map(|configured| configured.is_some()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_submitter_is_named_whole_or_not_at_all() {
        let key = |last: u8| format!("0x{}{last:02x}", "00".repeat(31));
        let (sender, delegate) = (key(1), key(2));
        let keys = [("SUBMITTER_SENDER_KEY", &*sender), ("SUBMITTER_DELEGATE_KEY", &*delegate)];
        assert_eq!(read(&[], &[]), Ok(false));
        assert_eq!(read(&[], &keys), Ok(true));
        let half = read(&[], &keys[..1]).unwrap_err();
        assert!(half.contains("SUBMITTER_DELEGATE_KEY") && half.contains("unset them all"), "{half}");
        let password = read(&[], &[("SUBMITTER_SENDER_PASSWORD_FILE", "x")]).unwrap_err();
        assert!(password.contains("SUBMITTER_SENDER_KEY"), "{password}");
        let option = read(&["--submitter-gas-limit", "400000"], &[]).unwrap_err();
        assert!(option.contains("SUBMITTER_SENDER_KEY"), "{option}");
        let other = ["--submitter-spender", "0x0909090909090909090909090909090909090909"];
        assert!(read(&other, &keys).unwrap_err().contains("is no spender of the contract set"));
    }
}
