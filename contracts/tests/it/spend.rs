//! Tests of what the Spender consumes: which signed call works how often, from whom, and until when.

use alloy::primitives::{B256, U256};
use clearfold_devchain::{DevChain, Limit, Party, SignedSpend};

use crate::{assert_refused, cents, start};

const SALT: B256 = B256::repeat_byte(7);
const HOUR_S: u64 = 3600;

#[tokio::test]
async fn the_same_call_with_the_same_salt_works_once() {
    let (_anvil, chain) = start().await;
    let spend = chain.sign_spend(0, cents(100), SALT).unwrap();
    assert!(!chain.is_consumed(Party::Delegate, spend.hash).await.unwrap());
    let first = chain.send_spend(Party::Relayer, &spend).await.unwrap();
    assert!(chain.is_consumed(Party::Delegate, spend.hash).await.unwrap());

    assert_refused(chain.send_spend(Party::Relayer, &spend).await, "HashAlreadyConsumed");
    let again = chain.send_spend_regardless(Party::Relayer, &spend).await.unwrap();
    assert_eq!((again.succeeded, again.log_count), (false, 0));
    assert_eq!(chain.spends().await.unwrap(), [first]);
}

#[tokio::test]
async fn the_same_salt_with_anything_else_pulls_again() {
    let (_anvil, chain) = start().await;
    let amount = chain.swipe_salted(0, cents(100), SALT).await.unwrap();
    let other_amount = chain.swipe_salted(0, cents(101), SALT).await.unwrap();
    let other_account = chain.swipe_salted(1, cents(100), SALT).await.unwrap();
    assert_eq!(chain.spends().await.unwrap(), [amount, other_amount, other_account]);
}

#[tokio::test]
async fn the_same_call_with_another_salt_pulls_again() {
    let (_anvil, chain) = start().await;
    let first = chain.swipe_salted(0, cents(100), SALT).await.unwrap();
    let second = chain.swipe_salted(0, cents(100), B256::repeat_byte(8)).await.unwrap();
    assert_eq!(chain.spends().await.unwrap(), [first, second]);
}

#[tokio::test]
async fn a_stranger_can_send_a_signed_call_but_not_change_it() {
    let (_anvil, chain) = start().await;
    let spend = chain.sign_spend(0, cents(100), SALT).unwrap();
    let mut changed = spend.calldata.to_vec();
    changed[4 + 3 * 32 + 31] ^= 1;
    let changed = SignedSpend { calldata: changed.into(), ..spend.clone() };
    assert_refused(chain.send_spend(Party::Stranger, &changed).await, "NotAuthorized");
    let unsigned = SignedSpend { calldata: chain.spend_call(0, cents(100)).unwrap(), ..spend.clone() };
    assert_refused(chain.send_spend(Party::Stranger, &unsigned).await, "NotAuthorized");
    let own = chain.sign_spend_as(Party::Stranger, 0, cents(100), SALT).unwrap();
    assert_refused(chain.send_spend(Party::Stranger, &own).await, "NotAuthorized");

    let swipe = chain.send_spend(Party::Stranger, &spend).await.unwrap();
    assert_refused(chain.send_spend(Party::Relayer, &spend).await, "HashAlreadyConsumed");
    assert_eq!(chain.spends().await.unwrap(), [swipe]);
}

#[tokio::test]
async fn a_hash_is_consumed_for_each_delegate() {
    let (_anvil, chain) = start().await;
    chain.add_delegate(Party::Stranger).await.unwrap();
    let first = chain.sign_spend(0, cents(100), SALT).unwrap();
    let second = chain.sign_spend_as(Party::Stranger, 0, cents(100), SALT).unwrap();
    assert_eq!(first.hash, second.hash, "the hash does not hold the signer");
    chain.send_spend(Party::Relayer, &first).await.unwrap();
    chain.send_spend(Party::Relayer, &second).await.unwrap();
    assert_eq!(chain.spends().await.unwrap().len(), 2, "pulled once for each signature");
}

#[tokio::test]
async fn a_delegate_that_sends_consumes_nothing() {
    let (_anvil, chain) = start().await;
    let spend = chain.sign_spend(0, cents(100), SALT).unwrap();
    chain.send_spend(Party::Delegate, &spend).await.unwrap();
    chain.send_spend(Party::Delegate, &spend).await.unwrap();
    assert!(!chain.is_consumed(Party::Delegate, spend.hash).await.unwrap());
    chain.send_spend(Party::Relayer, &spend).await.unwrap();
    assert_eq!(chain.spends().await.unwrap().len(), 3, "so a delegate must never send a pull");
}

#[tokio::test]
async fn an_invalidated_hash_cannot_execute() {
    let (_anvil, chain) = start().await;
    let spend = chain.sign_spend(0, cents(100), SALT).unwrap();
    chain.invalidate(Party::Delegate, spend.hash).await.unwrap();
    assert!(chain.is_consumed(Party::Delegate, spend.hash).await.unwrap());
    assert_refused(chain.send_spend(Party::Relayer, &spend).await, "HashAlreadyConsumed");
    assert_refused(chain.send_spend(Party::Stranger, &spend).await, "HashAlreadyConsumed");
    assert_eq!(chain.spends().await.unwrap(), []);
}

#[tokio::test]
async fn nobody_but_the_delegate_can_invalidate_its_signature() {
    let (_anvil, chain) = start().await;
    let spend = chain.sign_spend(0, cents(100), SALT).unwrap();
    // The log of this is the same as that of the delegate's.
    chain.invalidate(Party::Stranger, spend.hash).await.unwrap();
    assert!(!chain.is_consumed(Party::Delegate, spend.hash).await.unwrap());
    chain.send_spend(Party::Relayer, &spend).await.unwrap();
}

#[tokio::test]
async fn an_exceeded_allowance_reverts_all_and_heals_at_the_refill() {
    let (_anvil, chain) = start().await;
    let limit = Limit { balance: small(50), max_refill: small(120), refill: small(70), period_s: HOUR_S };
    chain.set_limit(0, limit).await.unwrap();
    let spend = chain.sign_spend(0, cents(100), SALT).unwrap();
    assert_refused(chain.send_spend(Party::Relayer, &spend).await, "AllowanceExceeded");
    let sent = chain.send_spend_regardless(Party::Relayer, &spend).await.unwrap();
    assert_eq!((sent.succeeded, sent.log_count), (false, 0));
    assert!(!chain.is_consumed(Party::Delegate, spend.hash).await.unwrap(), "the hash is as fresh as before");

    chain.pass_time(HOUR_S).await.unwrap();
    chain.send_spend(Party::Relayer, &spend).await.unwrap();
    assert_eq!(spendable(&chain, small(20)).await, 1, "50 + 70 - 100 are left");
}

#[tokio::test]
async fn a_refill_never_lifts_the_balance_above_its_maximum() {
    let (_anvil, chain) = start().await;
    let limit = Limit { balance: small(10), max_refill: small(120), refill: small(70), period_s: HOUR_S };
    chain.set_limit(0, limit).await.unwrap();
    chain.pass_time(HOUR_S * 5 + HOUR_S / 2).await.unwrap();
    assert_refused(chain.swipe(0, cents(121)).await, "AllowanceExceeded");
    chain.swipe(0, cents(120)).await.unwrap();
    // A spend keeps the start of the period: the next refill is half an hour away.
    assert_refused(chain.swipe(0, cents(1)).await, "AllowanceExceeded");
    chain.pass_time(HOUR_S / 2).await.unwrap();
    assert_eq!(spendable(&chain, small(70)).await, 1);
}

#[tokio::test]
async fn a_balance_above_the_maximum_is_kept_and_without_a_period_nothing_refills() {
    let (_anvil, chain) = start().await;
    let limit = Limit { balance: small(200), max_refill: small(120), refill: small(70), period_s: HOUR_S };
    chain.set_limit(0, limit).await.unwrap();
    chain.pass_time(HOUR_S).await.unwrap();
    assert_eq!(spendable(&chain, small(200)).await, 1);

    let limit = Limit { balance: small(10), max_refill: small(120), refill: small(70), period_s: 0 };
    chain.set_limit(0, limit).await.unwrap();
    chain.pass_time(HOUR_S * 24).await.unwrap();
    assert_eq!(spendable(&chain, small(10)).await, 1);
}

/// Returns how often account 0 can spend the amount, after checking that it can spend no more than a whole number of it.
async fn spendable(chain: &DevChain, amount_minor: u128) -> usize {
    let amount = U256::from(amount_minor);
    let mut count = 0;
    while chain.swipe(0, amount).await.is_ok() {
        count += 1;
    }
    assert_refused(chain.swipe(0, U256::ONE).await, "AllowanceExceeded");
    count
}

fn small(count: u64) -> u128 {
    u128::try_from(cents(count)).unwrap()
}
