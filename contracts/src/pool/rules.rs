//! Rules by which a pool of transactions admits one, with the error texts of geth. Pure: it asks no node.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};

/// Rules of a pool. The defaults are geth's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRules {
    /// Least raise of both caps with which a transaction replaces another, in thousandths.
    pub bump_permille: u128,
    /// True if a raise of exactly `bump_permille` is refused, as reth does.
    pub refuses_exact_bump: bool,
    /// Number of nonces that may be missing before a transaction's; geth keeps such a transaction in its queue.
    pub max_gap: u64,
    /// Number of transactions that one account may have in the pool.
    pub account_slots: usize,
    /// Least tip cap.
    pub min_tip_wei: u128,
}

impl Default for PoolRules {
    fn default() -> Self {
        Self { bump_permille: 100, refuses_exact_bump: false, max_gap: 64, account_slots: 16, min_tip_wei: 1 }
    }
}

/// Transaction that is offered to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub hash: B256,
    pub sender: Address,
    pub nonce: u64,
    pub fee_cap_wei: u128,
    pub tip_cap_wei: u128,
    /// Gas limit × fee cap, and the value.
    pub max_cost_wei: U256,
}

/// Account of the sender, as its node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub next_nonce: u64,
    pub balance_wei: U256,
}

/// Reason for which the pool refuses a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    #[error("already known")]
    AlreadyKnown,
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    #[error("nonce too high: next nonce {next}, tx nonce {nonce}, at most {max_gap} may be missing between")]
    NonceTooHigh { next: u64, nonce: u64, max_gap: u64 },
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    #[error("transaction underpriced: gas tip cap {tip_cap_wei}, minimum needed {min_tip_wei}")]
    Underpriced { tip_cap_wei: u128, min_tip_wei: u128 },
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountFull { pooled: usize },
    #[error("insufficient funds for gas * price + value: balance {balance_wei}, queued cost {cost_wei}")]
    InsufficientFunds { balance_wei: U256, cost_wei: U256 },
    /// The rules admit it, and anvil does not.
    #[error("{0}")]
    ByAnvil(String),
}

/// Transactions that wait for a block, by account and nonce.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    rules: PoolRules,
    waiting: BTreeMap<Address, BTreeMap<u64, Offer>>,
}

impl Pool {
    pub fn new(rules: PoolRules) -> Self {
        Self { rules, waiting: BTreeMap::new() }
    }

    /// Checks that the pool takes the transaction, beside the others or instead of the one with its nonce.
    pub fn check(&mut self, offer: &Offer, account: Account) -> Result<(), PoolRefusal> {
        let waiting = self.waiting.entry(offer.sender).or_default();
        // Transactions below the account's next nonce are mined.
        *waiting = waiting.split_off(&account.next_nonce);
        self.rules.check(waiting, offer, account)
    }

    /// Adds a transaction that was checked.
    pub fn insert(&mut self, offer: Offer) {
        self.waiting.entry(offer.sender).or_default().insert(offer.nonce, offer);
    }

    /// Returns the transactions of an account that wait.
    pub fn waiting(&self, sender: Address) -> Vec<B256> {
        let waiting = self.waiting.get(&sender).into_iter().flat_map(BTreeMap::values);
        waiting.map(|offer| offer.hash).collect()
    }

    /// Removes a transaction; returns false if it does not wait.
    pub fn remove(&mut self, hash: B256) -> bool {
        let mut removed = false;
        for waiting in self.waiting.values_mut() {
            waiting.retain(|_, offer| {
                let goes = offer.hash == hash;
                removed |= goes;
                !goes
            });
        }
        removed
    }
}

impl PoolRules {
    fn check(
        &self,
        waiting: &BTreeMap<u64, Offer>,
        offer: &Offer,
        account: Account,
    ) -> Result<(), PoolRefusal> {
        let (nonce, next) = (offer.nonce, account.next_nonce);
        let same_nonce = waiting.get(&nonce);
        if same_nonce.is_some_and(|old| old.hash == offer.hash) {
            return Err(PoolRefusal::AlreadyKnown);
        }
        if nonce < next {
            return Err(PoolRefusal::NonceTooLow { next, nonce });
        }
        if offer.tip_cap_wei > offer.fee_cap_wei {
            return Err(PoolRefusal::TipAboveFeeCap);
        }
        if offer.tip_cap_wei < self.min_tip_wei {
            let (tip_cap_wei, min_tip_wei) = (offer.tip_cap_wei, self.min_tip_wei);
            return Err(PoolRefusal::Underpriced { tip_cap_wei, min_tip_wei });
        }
        match same_nonce {
            Some(old) if !self.replaces(old, offer) => return Err(PoolRefusal::ReplacementUnderpriced),
            Some(_) => {}
            None => self.check_place(waiting, nonce, next)?,
        }
        check_funds(waiting, offer, account.balance_wei)
    }

    /// Returns true if both caps are raised by enough.
    fn replaces(&self, old: &Offer, new: &Offer) -> bool {
        let is_enough = |old_wei: u128, new_wei: u128| {
            let needed = U256::from(old_wei) * U256::from(1000 + self.bump_permille);
            let offered = U256::from(new_wei) * U256::from(1000);
            // A percentage of a few wei is less than one: geth wants more in any case.
            new_wei > old_wei && (offered > needed || (offered == needed && !self.refuses_exact_bump))
        };
        is_enough(old.fee_cap_wei, new.fee_cap_wei) && is_enough(old.tip_cap_wei, new.tip_cap_wei)
    }

    fn check_place(&self, waiting: &BTreeMap<u64, Offer>, nonce: u64, next: u64) -> Result<(), PoolRefusal> {
        if waiting.len() >= self.account_slots {
            return Err(PoolRefusal::AccountFull { pooled: waiting.len() });
        }
        let between = nonce - next;
        let present = waiting.range(next..nonce).count();
        // A count of entries of a map fits in 64 bits.
        let missing = between - u64::try_from(present).unwrap_or(between);
        if missing > self.max_gap {
            return Err(PoolRefusal::NonceTooHigh { next, nonce, max_gap: self.max_gap });
        }
        Ok(())
    }
}

/// Fails if the account could not pay for all that waits, as geth does.
fn check_funds(waiting: &BTreeMap<u64, Offer>, offer: &Offer, balance_wei: U256) -> Result<(), PoolRefusal> {
    let others = waiting.values().filter(|other| other.nonce != offer.nonce);
    let cost_wei = others.fold(offer.max_cost_wei, |sum, other| sum.saturating_add(other.max_cost_wei));
    // A sum at the end of the number's range is more than any balance.
    if cost_wei > balance_wei {
        return Err(PoolRefusal::InsufficientFunds { balance_wei, cost_wei });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RICH: Account = Account { next_nonce: 5, balance_wei: U256::MAX };

    fn offer(nonce: u64, fee_cap_wei: u128, tip_cap_wei: u128) -> Offer {
        let name = format!("{nonce} {fee_cap_wei} {tip_cap_wei}");
        Offer {
            hash: alloy::primitives::keccak256(name),
            sender: Address::ZERO,
            nonce,
            fee_cap_wei,
            tip_cap_wei,
            max_cost_wei: U256::from(fee_cap_wei),
        }
    }

    impl Pool {
        fn admit(&mut self, offer: Offer, account: Account) -> Result<(), PoolRefusal> {
            self.check(&offer, account)?;
            self.insert(offer);
            Ok(())
        }
    }

    fn pool(rules: PoolRules) -> Pool {
        let mut pool = Pool::new(rules);
        pool.admit(offer(5, 1000, 100), RICH).unwrap();
        pool
    }

    #[test]
    fn a_replacement_raises_both_caps_by_a_tenth() {
        let geth = PoolRules::default();
        for (fee, tip) in [(1099, 110), (1100, 109), (1100, 100), (1000, 110), (2000, 100), (1000, 1000)] {
            let refusal = pool(geth).admit(offer(5, fee, tip), RICH).unwrap_err();
            assert_eq!(refusal, PoolRefusal::ReplacementUnderpriced, "{fee} {tip}");
        }
        pool(geth).admit(offer(5, 1100, 110), RICH).unwrap();

        let reth = PoolRules { refuses_exact_bump: true, ..geth };
        for (fee, tip) in [(1100, 110), (1101, 110), (1100, 111)] {
            assert!(pool(reth).admit(offer(5, fee, tip), RICH).is_err(), "{fee} {tip}");
        }
        pool(reth).admit(offer(5, 1101, 111), RICH).unwrap();

        let parity = PoolRules { bump_permille: 125, ..geth };
        assert!(pool(parity).admit(offer(5, 1124, 113), RICH).is_err());
        pool(parity).admit(offer(5, 1125, 113), RICH).unwrap();
    }

    #[test]
    fn a_tenth_of_a_few_wei_is_at_least_one() {
        let mut pool = Pool::new(PoolRules::default());
        pool.admit(offer(5, 7, 1), RICH).unwrap();
        assert!(pool.admit(offer(5, 8, 1), RICH).is_err());
        pool.admit(offer(5, 8, 2), RICH).unwrap();
    }

    #[test]
    fn nonces_are_neither_used_nor_far_ahead() {
        let mut pool = pool(PoolRules { max_gap: 2, ..PoolRules::default() });
        let low = pool.admit(offer(4, 1000, 100), RICH).unwrap_err();
        assert_eq!(low, PoolRefusal::NonceTooLow { next: 5, nonce: 4 });
        pool.admit(offer(8, 1000, 100), RICH).unwrap();
        let high = pool.admit(offer(10, 1000, 100), RICH).unwrap_err();
        assert_eq!(high, PoolRefusal::NonceTooHigh { next: 5, nonce: 10, max_gap: 2 });
        // Once 5 is in a block, 6 and 7 are missing before 8, and 9 would miss the same two.
        pool.admit(offer(9, 1000, 100), Account { next_nonce: 6, ..RICH }).unwrap();
    }

    #[test]
    fn an_account_has_so_many_slots_and_replacing_needs_none() {
        let mut pool = Pool::new(PoolRules { account_slots: 2, ..PoolRules::default() });
        pool.admit(offer(5, 1000, 100), RICH).unwrap();
        pool.admit(offer(6, 1000, 100), RICH).unwrap();
        assert_eq!(pool.admit(offer(7, 1000, 100), RICH), Err(PoolRefusal::AccountFull { pooled: 2 }));
        pool.admit(offer(6, 1100, 110), RICH).unwrap();
        pool.admit(offer(7, 1000, 100), Account { next_nonce: 6, ..RICH }).unwrap();
    }

    #[test]
    fn known_underpriced_and_unpaid_transactions_are_refused() {
        let mut pool = pool(PoolRules { min_tip_wei: 10, ..PoolRules::default() });
        assert_eq!(pool.admit(offer(5, 1000, 100), RICH), Err(PoolRefusal::AlreadyKnown));
        let low = PoolRefusal::Underpriced { tip_cap_wei: 9, min_tip_wei: 10 };
        assert_eq!(pool.admit(offer(6, 1000, 9), RICH), Err(low));
        assert_eq!(pool.admit(offer(6, 10, 11), RICH), Err(PoolRefusal::TipAboveFeeCap));
        let poor = Account { balance_wei: U256::from(1999), ..RICH };
        assert!(matches!(pool.admit(offer(6, 1000, 100), poor), Err(PoolRefusal::InsufficientFunds { .. })));
        let able = Account { balance_wei: U256::from(2000), ..RICH };
        pool.admit(offer(6, 1000, 100), able).unwrap();
    }

    #[test]
    fn a_removed_transaction_can_come_again() {
        let mut pool = pool(PoolRules::default());
        assert!(pool.remove(offer(5, 1000, 100).hash));
        assert!(!pool.remove(offer(5, 1000, 100).hash));
        pool.admit(offer(5, 1000, 100), RICH).unwrap();
    }
}
