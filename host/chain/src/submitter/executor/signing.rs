//! Transactions as they are signed: the same draft gives the same bytes.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, Bytes, TxKind};
use alloy::signers::SignerSync;
use alloy::sol_types::SolCall;

use super::abi::Spender;
use super::keys::Keys;
use crate::submitter::{Draft, Policy, PullState, State, Work};

/// A draft cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error(
        "there is no key of {account}, which the pull names; give back the key that it was accepted with"
    )]
    NoKey { account: Address },
    #[error("a transaction could not be signed")]
    Failed(#[from] alloy::signers::Error),
}

/// Signs a draft; returns the transaction's hash and bytes.
pub(super) fn sign(
    keys: &Keys,
    policy: &Policy,
    state: &State,
    draft: &Draft,
) -> Result<(B256, Bytes), SigningError> {
    let known = draft.work.pull().and_then(|id| state.pulls.get(id));
    let (to, input) = match (&draft.work, known) {
        (Work::Pull { .. }, Some(known)) => (known.pull.spender, signed_call(keys, known)?),
        (Work::Invalidate { .. }, Some(known)) => {
            (known.pull.spender, Spender::invalidateCall { hash: known.hash }.abi_encode().into())
        }
        // A repair only uses up its nonce: a call to the sender's own account without data. So does the transaction of a
        // pull that has ended meanwhile.
        (Work::Repair | Work::Pull { .. } | Work::Invalidate { .. }, _) => (draft.account, Bytes::new()),
    };
    let mut transaction = TxEip1559 {
        chain_id: policy.chain_id,
        nonce: draft.nonce,
        gas_limit: policy.gas_limit,
        max_fee_per_gas: draft.price.fee_cap_wei,
        max_priority_fee_per_gas: draft.price.tip_cap_wei,
        to: TxKind::Call(to),
        input,
        ..TxEip1559::default()
    };
    let key = keys.of(draft.account).ok_or(SigningError::NoKey { account: draft.account })?;
    let signature = key.sign_transaction_sync(&mut transaction)?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok((*envelope.tx_hash(), envelope.encoded_2718().into()))
}

/// Returns the call with its salt and the delegate's signature, as the Spender reads it.
fn signed_call(keys: &Keys, known: &PullState) -> Result<Bytes, SigningError> {
    let account = known.pull.delegate;
    let key = keys.of(account).ok_or(SigningError::NoKey { account })?;
    let signature = key.sign_hash_sync(&known.hash)?.as_bytes();
    Ok([&known.pull.calldata[..], known.pull.salt.as_slice(), &signature].concat().into())
}
