//! Signed calls of the Spender: who signs, who sends, what is consumed. It decides nothing about payments.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};

use crate::abi::Spender;
use crate::client::{Mined, Party};
use crate::deployment::{Limit, SPENDING_ROLE, exec_batch};
use crate::devchain::{DevChain, Swipe};

/// Call of the Spender that a delegate signed. Whoever knows it can send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedSpend {
    /// Call, salt and signature.
    pub calldata: Bytes,
    /// EIP-712 hash that was signed, and that is consumed when the call succeeds.
    pub hash: B256,
}

/// Outcome of a transaction that was sent without knowing whether it would revert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub mined: Mined,
    /// False if it reverted.
    pub succeeded: bool,
    pub log_count: usize,
}

impl DevChain {
    /// Encodes the call of one swipe, without salt and signature.
    pub fn spend_call(&self, account: usize, amount: U256) -> Result<Bytes> {
        let call = Spender::spendCall {
            asset: self.deployment.eure_v1,
            account: self.deployment.account(account)?.roles,
            receiver: self.deployment.settlement,
            amount,
            roleKey: SPENDING_ROLE,
        };
        Ok(call.abi_encode().into())
    }

    /// Signs a swipe as the delegate.
    pub fn sign_spend(&self, account: usize, amount_minor: U256, salt: B256) -> Result<SignedSpend> {
        self.sign_spend_as(Party::Delegate, account, amount_minor, salt)
    }

    /// Signs a swipe as that party. The Spender accepts it only from a delegate.
    pub fn sign_spend_as(
        &self,
        signer: Party,
        account: usize,
        amount_minor: U256,
        salt: B256,
    ) -> Result<SignedSpend> {
        let mut calldata = self.spend_call(account, amount_minor)?.to_vec();
        let hash = self.deployment.module_tx_hash(&calldata, salt);
        calldata.extend(salt);
        calldata.extend(signer.signer()?.sign_hash_sync(&hash)?.as_bytes());
        Ok(SignedSpend { calldata: calldata.into(), hash })
    }

    /// Sends a signed swipe and waits until it is mined. A swipe that would revert is not sent.
    pub async fn send_spend(&self, sender: Party, spend: &SignedSpend) -> Result<Swipe> {
        let hash = self.post_spend(sender, spend).await?;
        self.swipes_of(hash).await?.pop().context("the transaction logged no Spend")
    }

    /// Sends a signed swipe without waiting for its block. A swipe that would revert is not sent.
    pub async fn post_spend(&self, sender: Party, spend: &SignedSpend) -> Result<B256> {
        self.client.send(sender.address()?, self.deployment.spender, spend.calldata.clone()).await
    }

    /// Sends a signed swipe that may revert, and waits until it is mined.
    pub async fn send_spend_regardless(&self, sender: Party, spend: &SignedSpend) -> Result<Sent> {
        let (from, calldata) = (sender.address()?, spend.calldata.clone());
        let hash = self.client.send_regardless(from, self.deployment.spender, calldata).await?;
        let receipt = self.client.receipt(hash).await?;
        let (mined, log_count) = (Mined::try_from(&receipt)?, receipt.logs().len());
        Ok(Sent { mined, succeeded: receipt.status(), log_count })
    }

    /// Makes the sender's own signature over the hash worthless. Only a delegate's was worth something.
    pub async fn invalidate(&self, sender: Party, hash: B256) -> Result<Mined> {
        let call = Spender::invalidateCall { hash }.abi_encode();
        let hash = self.client.send(sender.address()?, self.deployment.spender, call).await?;
        Mined::try_from(&self.client.mined(hash).await?)
    }

    /// Returns true if the delegate's signature over the hash was executed or invalidated.
    pub async fn is_consumed(&self, delegate: Party, hash: B256) -> Result<bool> {
        let call = Spender::consumedCall { delegate: delegate.address()?, hash };
        self.client.read(self.deployment.spender, call).await
    }

    /// Makes that party a delegate of the Spender, beside the present one.
    pub async fn add_delegate(&self, party: Party) -> Result<()> {
        let call = Spender::enableModuleCall { delegate: party.address()? }.abi_encode();
        self.exec(self.deployment.spender_safe, self.deployment.spender, call).await
    }

    /// Sets the limit of an account's card.
    pub async fn set_limit(&self, account: usize, limit: Limit) -> Result<()> {
        let account = self.deployment.account(account)?;
        self.exec(account.safe, account.roles, limit.encode()).await
    }

    /// Moves the chain's clock forward, and mines a block there.
    pub async fn pass_time(&self, seconds: u64) -> Result<()> {
        self.client.pass_time(seconds).await
    }

    async fn exec(&self, safe: Address, to: Address, call: Vec<u8>) -> Result<()> {
        let hash = self.client.send(self.client.operator, safe, exec_batch(vec![(to, call)])).await?;
        self.client.mined_now(hash).await?;
        Ok(())
    }
}
