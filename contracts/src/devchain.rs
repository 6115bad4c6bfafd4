//! Actions on the development chain, card swipes and refunds, and queries of what happened. It reads nothing but the
//! chain.

use std::path::Path;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::rpc::types::Log;
use alloy::sol_types::{SolCall, SolEvent};
use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::abi::{EureV2, Oddities, Spender, Token};
use crate::client::{Client, Mined, Party};
use crate::deployment::{self, Deployment, exec_batch};
use crate::oddity::Oddity;

/// Chain with the contracts deployed.
pub struct DevChain {
    pub(crate) client: Client,
    pub(crate) deployment: Deployment,
}

/// One `Spend` of the Spender, with the Safe that paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swipe {
    pub transaction_hash: B256,
    pub block_hash: B256,
    pub block_number: u64,
    /// Index of the `Spend`, counted over the block.
    pub log_index: u64,
    pub safe: Address,
    pub roles: Address,
    pub asset: Address,
    pub receiver: Address,
    pub amount_minor: U256,
}

impl DevChain {
    /// Deploys the contracts of `artifacts` to the chain and opens `accounts` accounts, each with money and a daily
    /// limit.
    pub async fn deploy(rpc_url: &str, artifacts: &Path, accounts: usize) -> Result<Self> {
        let client = Client::connect(rpc_url).await?;
        let deployment = deployment::deploy(&client, artifacts, accounts).await?;
        Ok(Self { client, deployment })
    }

    /// Opens contracts that are already deployed; fails if they are not.
    pub async fn open(rpc_url: &str, deployment: &Deployment) -> Result<Self> {
        let client = Client::connect(rpc_url).await?;
        deployment.check(&client).await?;
        Ok(Self { client, deployment: deployment.clone() })
    }

    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Returns the contract set in the form of the host's configuration.
    pub fn contract_set(&self) -> Value {
        self.deployment.contract_set()
    }

    /// Makes one card swipe and waits until it is mined.
    pub async fn swipe(&self, account: usize, amount_minor: U256) -> Result<Swipe> {
        self.swipe_salted(account, amount_minor, B256::random()).await
    }

    /// Makes a swipe with the caller's salt. The same swipe with the same salt is accepted once.
    pub async fn swipe_salted(&self, account: usize, amount_minor: U256, salt: B256) -> Result<Swipe> {
        self.send_spend(Party::Relayer, &self.sign_spend(account, amount_minor, salt)?).await
    }

    /// Makes many swipes, each a transaction; all are sent before the first is waited for.
    pub async fn swipes(&self, wanted: &[(usize, U256)]) -> Result<Vec<Swipe>> {
        let mut sent = Vec::with_capacity(wanted.len());
        for &(account, amount_minor) in wanted {
            let call = self.sign_spend(account, amount_minor, B256::random())?.calldata;
            sent.push(self.client.send(self.client.relayer, self.deployment.spender, call).await?);
        }
        let mut swipes = Vec::with_capacity(wanted.len());
        for hash in sent {
            swipes.extend(self.swipes_of(hash).await?);
        }
        Ok(swipes)
    }

    /// Makes many swipes in one transaction, which then has several `Spend`s.
    pub async fn swipes_at_once(&self, wanted: &[(usize, U256)]) -> Result<Vec<Swipe>> {
        let mut calls = Vec::with_capacity(wanted.len());
        for &(account, amount_minor) in wanted {
            calls.push(self.sign_spend(account, amount_minor, B256::random())?.calldata);
        }
        let call = Oddities::forwardCall { to: self.deployment.spender, calls };
        let from = self.client.relayer;
        let hash = self.client.send(from, self.deployment.oddities, call.abi_encode()).await?;
        self.swipes_of(hash).await
    }

    /// Pays refunds as on Gnosis Chain: all of them in one transaction of the settlement Safe.
    pub async fn refund_batch(&self, refunds: &[(usize, U256)]) -> Result<Mined> {
        let mut calls = Vec::with_capacity(refunds.len());
        for &(account, amount) in refunds {
            let to = self.deployment.account(account)?.safe;
            calls.push((self.deployment.eure_v1, Token::transferCall { to, amount }.abi_encode()));
        }
        let from = self.client.operator;
        let hash = self.client.send(from, self.deployment.settlement, exec_batch(calls)).await?;
        Mined::try_from(&self.client.mined(hash).await?)
    }

    /// Issues money to an account, as the issuer does for a bank transfer.
    pub async fn deposit(&self, account: usize, amount: U256) -> Result<Mined> {
        let to = self.deployment.account(account)?.safe;
        let call = EureV2::mintCall { to, amount };
        let from = self.client.operator;
        let hash = self.client.send(from, self.deployment.eure_v2, call.abi_encode()).await?;
        Mined::try_from(&self.client.mined(hash).await?)
    }

    /// Sends money from an account's Safe, as its owner does, to each receiver in one transaction.
    pub async fn withdraw(&self, account: usize, receivers: &[(Address, U256)]) -> Result<Mined> {
        let safe = self.deployment.account(account)?.safe;
        let call = |&(to, amount): &(Address, U256)| {
            (self.deployment.eure_v1, Token::transferCall { to, amount }.abi_encode())
        };
        let calls = exec_batch(receivers.iter().map(call).collect());
        let hash = self.client.send(self.client.operator, safe, calls).await?;
        Mined::try_from(&self.client.mined(hash).await?)
    }

    /// Emits logs that no honest contract would emit, from the contract `deployment().oddities`.
    pub async fn odd(&self, oddity: Oddity) -> Result<Mined> {
        let call = Oddities::emitLogsCall { logs: oddity.logs(&self.deployment)? };
        let from = self.client.operator;
        let hash = self.client.send(from, self.deployment.oddities, call.abi_encode()).await?;
        Mined::try_from(&self.client.mined(hash).await?)
    }

    /// Returns every `Spend` of the Spender from the first block to the head, for comparison with the payments.
    pub async fn spends(&self) -> Result<Vec<Swipe>> {
        let logs = self.client.logs(self.deployment.spender, Spender::Spend::SIGNATURE_HASH).await?;
        logs.iter().map(|log| self.swipe_from(log)).collect()
    }

    /// Returns what an account's Safe holds in EURe, in minor units.
    pub async fn balance(&self, account: usize) -> Result<U256> {
        let safe = self.deployment.account(account)?.safe;
        self.client.read(self.deployment.eure_v2, Token::balanceOfCall { account: safe }).await
    }

    /// Returns one transaction with its block and its receipt, verbatim as the node answers.
    pub async fn record(&self, transaction_hash: B256) -> Result<Value> {
        let receipt = self.ask("eth_getTransactionReceipt", json!([transaction_hash])).await?;
        let block_key = receipt["blockHash"].as_str().context("a receipt without a block")?;
        let block = self.ask("eth_getBlockByHash", json!([block_key, true])).await?;
        // Anvil may return the receipt while it still reports the transaction as pending; the block's copy is final.
        let transactions = block["transactions"].as_array().context("a block without transactions")?;
        let wanted = transaction_hash.to_string();
        let transaction = transactions.iter().find(|transaction| transaction["hash"] == wanted.as_str());
        let transaction = transaction.context("the block does not hold the transaction")?;
        let transaction_key = transaction_hash.to_string();
        Ok(json!({
            "chainId": self.deployment.chain_id,
            "transactions": {&transaction_key: transaction},
            "blocks": {block_key: block},
            "receipts": {&transaction_key: receipt},
            "calls": [],
        }))
    }

    async fn ask(&self, method: &'static str, params: Value) -> Result<Value> {
        let answer: Value = self.client.provider.raw_request(method.into(), params.clone()).await?;
        (!answer.is_null()).then_some(answer).with_context(|| format!("{method} {params} knows nothing"))
    }

    pub(crate) async fn swipes_of(&self, hash: B256) -> Result<Vec<Swipe>> {
        let receipt = self.client.mined(hash).await?;
        let is_spend = |log: &&Log| {
            log.address() == self.deployment.spender && log.topic0() == Some(&Spender::Spend::SIGNATURE_HASH)
        };
        receipt.logs().iter().filter(is_spend).map(|log| self.swipe_from(log)).collect()
    }

    fn swipe_from(&self, log: &Log) -> Result<Swipe> {
        let spend = Spender::Spend::decode_log(&log.inner)?;
        let account = self.deployment.accounts.iter().find(|account| account.roles == spend.account);
        Ok(Swipe {
            transaction_hash: log.transaction_hash.context("a Spend without a transaction")?,
            block_hash: log.block_hash.context("a Spend without a block")?,
            block_number: log.block_number.context("a Spend without a block")?,
            log_index: log.log_index.context("a Spend without an index")?,
            safe: account.context("a Spend of an account that is not in the deployment")?.safe,
            roles: spend.account,
            asset: spend.asset,
            receiver: spend.receiver,
            amount_minor: spend.amount,
        })
    }
}
