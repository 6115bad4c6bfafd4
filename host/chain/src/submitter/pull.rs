//! Pull: one transfer from a customer's Safe, fixed before anything is signed. It never changes.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use clearfold_kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest id of a pull, in bytes.
const MAX_ID_BYTES: usize = 256;

/// Id of a pull, made by its saga. Two pulls with the same id are the same pull.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PullId(String);

impl PullId {
    /// Creates an id; `None` if the text is empty or too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= MAX_ID_BYTES).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for PullId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Transfer that a delegate signs for the Spender, and an account sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    pub id: PullId,
    pub chain_id: u64,
    /// Contract that is called. Another Spender would pull again.
    pub spender: Address,
    /// Account whose signature authorizes the call. The Spender remembers the hash for each delegate.
    pub delegate: Address,
    /// Account that sends the transaction and pays for it. Its lane is the pull's for good.
    pub sender: Address,
    /// Call without salt and signature.
    pub calldata: Bytes,
    pub salt: B256,
    /// Time from which the pull must not be sent for the first time, and is invalidated if it was.
    pub not_after: Timestamp,
}

impl Pull {
    /// Returns true if the other asks for the same once more. The accounts that sign and send are the submitter's to
    /// choose, so a repeat may name others.
    pub(super) fn is_repeated_by(&self, other: &Self) -> bool {
        Self { delegate: self.delegate, sender: self.sender, ..other.clone() } == *self
    }

    /// Returns the EIP-712 hash that the delegate signs and the Spender consumes, as Zodiac computes it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let domain_type = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
        let chain_id = B256::from(U256::from(self.chain_id));
        let domain = keccak256([domain_type, chain_id, self.spender.into_word()].concat());
        let module_tx_type = keccak256("ModuleTx(bytes data,bytes32 salt)");
        let module_tx = keccak256([module_tx_type, keccak256(&self.calldata), self.salt].concat());
        keccak256([&[0x19, 0x01], domain.as_slice(), module_tx.as_slice()].concat())
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, address, b256, bytes};
    use clearfold_kernel::Timestamp;

    use super::{Pull, PullId};

    /// Swipe of a Gnosis Pay card: transaction 0xe8d666d6acf22e5a50dfea7ece1473558a854dfa04441ea9b3d0898843364ad8.
    fn real() -> Pull {
        Pull {
            id: PullId::new("real").unwrap(),
            chain_id: 100,
            spender: address!("cff260bfbc199dc82717494299b1acade25f549b"),
            delegate: Address::ZERO,
            sender: address!("90830ed558f12d826370dc52e9d87947a7f18de9"),
            calldata: bytes!(
                "8a320255"
                "000000000000000000000000cb444e90d8198415266c6a2724b7900fb12fc56e"
                "0000000000000000000000009cdc40a10a79b2baa002926e559270c5de9b99e9"
                "0000000000000000000000004822521e6135cd2599199c83ea35179229a172ee"
                "00000000000000000000000000000000000000000000000075f610f70ed20000"
                "349476e3982666749979c85ce800cd2947a4b8dc9fe20a01a00a1b526072a8a3"
            ),
            salt: b256!("0000000000000000000000000000000000000000000000000000019200d3d7ab"),
            not_after: Timestamp::default(),
        }
    }

    #[test]
    fn the_hash_is_the_one_that_gnosis_pay_consumed() {
        // The data of the transaction's `HashExecuted`.
        let consumed = b256!("5265634517abff9d9794d55ad5b04816f841455600276a2eb59a3b4d0cc9de9d");
        assert_eq!(real().hash(), consumed);
    }

    #[test]
    fn whatever_the_call_holds_changes_the_hash_and_who_signs_or_sends_does_not() {
        let hash = real().hash();
        assert_ne!(Pull { chain_id: 101, ..real() }.hash(), hash);
        assert_ne!(Pull { spender: Address::ZERO, ..real() }.hash(), hash);
        assert_ne!(Pull { salt: B256::ZERO, ..real() }.hash(), hash);
        let mut calldata = real().calldata.to_vec();
        calldata[130] ^= 1;
        assert_ne!(Pull { calldata: calldata.into(), ..real() }.hash(), hash);
        let elsewhere = Address::repeat_byte(1);
        assert_eq!(Pull { delegate: elsewhere, sender: elsewhere, ..real() }.hash(), hash);
    }

    #[test]
    fn an_id_has_a_length() {
        assert!(PullId::new("").is_none());
        assert!(PullId::new(&"x".repeat(257)).is_none());
        assert_eq!(
            PullId::new("saga-authorization-1/fund").unwrap().to_string(),
            "saga-authorization-1/fund"
        );
    }
}
