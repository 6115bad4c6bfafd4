//! The endpoints of a chain: the order in which they are asked, and the check that all are on the right chain.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use url::Url;

use super::endpoint::{Endpoint, EndpointError};

/// The endpoints cannot be used.
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

/// Answers of the endpoints to a request to each of them.
#[derive(Debug)]
pub struct Survey {
    /// Number of the newest block that any of them knows.
    pub head: u64,
    /// Endpoints that did not answer, each with the reason.
    pub unreachable: Vec<String>,
}

/// The endpoints of one chain.
pub struct Rpc {
    chain_id: u64,
    endpoints: Vec<Endpoint>,
    /// Index of the endpoint that is asked first: the last one that was of use.
    preferred: AtomicUsize,
}

impl Rpc {
    /// Makes endpoints over HTTP. No request is sent yet.
    #[must_use]
    pub fn new(urls: &[Url], chain_id: u64) -> Self {
        Self { chain_id, endpoints: urls.iter().map(Endpoint::new).collect(), preferred: AtomicUsize::new(0) }
    }

    /// Id of the chain that the endpoints must be on.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Asks all endpoints. One that is on another chain is an error; one that does not answer is not, as long as
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

    /// All endpoints with their indexes, the preferred one first.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let first = self.preferred.load(Ordering::Relaxed);
        self.endpoints.iter().enumerate().cycle().skip(first).take(self.endpoints.len())
    }

    /// Endpoint with that index.
    pub(super) fn at(&self, place: usize) -> Option<&Endpoint> {
        self.endpoints.get(place)
    }

    /// Puts the endpoint with that index first from now on.
    pub(super) fn prefer(&self, place: usize) {
        // Without endpoints there is none to prefer, and the remainder needs a divisor.
        self.preferred.store(place % self.endpoints.len().max(1), Ordering::Relaxed);
    }

    /// Puts the next endpoint first from now on.
    pub(super) fn prefer_another(&self) {
        // An index of a list, so one more is a number; `prefer` begins again behind the last.
        self.prefer(self.preferred.load(Ordering::Relaxed) + 1);
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
