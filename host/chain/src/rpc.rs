//! The nodes together: which one is asked, and whether all of them are on the right chain.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use url::Url;

use super::endpoint::{Endpoint, EndpointError};

/// Why the nodes cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    #[error("no endpoint of CHAIN_RPC_URLS can be used; start the node, or correct CHAIN_RPC_URLS: {0}")]
    Unusable(String),
    #[error(
        "CHAIN_RPC_URLS names {host}, which is on chain {found}, but the contract set is for chain {expected}; give \
         an endpoint of chain {expected}, or in CHAIN_CONTRACTS the contract set of chain {found}"
    )]
    WrongChain { host: String, found: u64, expected: u64 },
}

/// What the endpoints said when each was asked.
#[derive(Debug)]
pub struct Survey {
    /// The newest block that any of them knows.
    pub head: u64,
    /// Those that did not answer, each with the reason.
    pub unreachable: Vec<String>,
}

/// The endpoints of one chain.
pub struct Rpc {
    chain_id: u64,
    endpoints: Vec<Endpoint>,
    /// The one that was of use last.
    preferred: AtomicUsize,
}

impl Rpc {
    /// Endpoints over HTTP. Nothing is asked yet.
    #[must_use]
    pub fn new(urls: &[Url], chain_id: u64) -> Self {
        Self { chain_id, endpoints: urls.iter().map(Endpoint::new).collect(), preferred: AtomicUsize::new(0) }
    }

    /// The chain that they must be on.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Asks all of them. One that is on another chain is an error; one that does not answer is not, as long as
    /// another does.
    pub async fn survey(&self) -> Result<Survey, RpcError> {
        let asked = self.endpoints.iter().map(|endpoint| async {
            endpoint.check_chain(self.chain_id).await?;
            endpoint.head().await
        });
        let (mut newest, mut unreachable) = (None, Vec::new());
        for (endpoint, answer) in self.endpoints.iter().zip(join_all(asked).await) {
            match answer {
                Ok(head) => newest = newest.max(Some(head)),
                Err(EndpointError::WrongChain { found, expected }) => {
                    let host = endpoint.host().to_owned();
                    return Err(RpcError::WrongChain { host, found, expected });
                }
                Err(error) => unreachable.push(format!("{}: {error}", endpoint.host())),
            }
        }
        let head = newest.ok_or_else(|| RpcError::Unusable(unreachable.join("; ")))?;
        Ok(Survey { head, unreachable })
    }

    /// All of them with their places, the preferred one first.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let first = self.preferred.load(Ordering::Relaxed);
        self.endpoints.iter().enumerate().cycle().skip(first).take(self.endpoints.len())
    }

    /// From now on the one at that place comes first.
    pub(super) fn prefer(&self, place: usize) {
        self.preferred.store(place % self.endpoints.len().max(1), Ordering::Relaxed);
    }

    /// From now on the next one comes first.
    pub(super) fn prefer_another(&self) {
        self.prefer(self.preferred.load(Ordering::Relaxed).saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::Rpc;

    #[test]
    fn the_preferred_endpoint_comes_first_and_the_others_follow_in_turn() {
        let urls = ["http://a", "http://b", "http://c"].map(|url| url.parse().unwrap());
        let rpc = Rpc::new(&urls, 100);
        let hosts =
            |rpc: &Rpc| rpc.in_turn().map(|(_, endpoint)| endpoint.host().to_owned()).collect::<String>();
        assert_eq!(hosts(&rpc), "abc");
        rpc.prefer(1);
        assert_eq!(hosts(&rpc), "bca");
        rpc.prefer_another();
        rpc.prefer_another();
        assert_eq!(hosts(&rpc), "abc");
    }
}
