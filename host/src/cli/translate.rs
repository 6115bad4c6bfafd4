//! `clearfold translate`: what would this recorded transaction become?
//!
//! The file has the raw answers of a node: `chainId`, and `blocks` and `receipts` by hash. Nothing is sent anywhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use alloy::primitives::B256;
use alloy::rpc::types::TransactionReceipt;
use anyhow::{Context, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{contracts, load};
use crate::config::Contracts;
use crate::runtime::{HandlerEngine, Limits, Transaction, TranslatedCommand, Translator};

#[derive(Debug, Args)]
pub(super) struct Translate {
    /// The translator, a component
    component: PathBuf,
    /// The recorded transaction: a JSON file with chainId, blocks and receipts
    file: PathBuf,
    #[command(flatten)]
    contracts: Contracts,
}

#[derive(Deserialize)]
struct Recording {
    #[serde(rename = "chainId")]
    chain_id: u64,
    blocks: BTreeMap<B256, Block>,
    receipts: BTreeMap<B256, TransactionReceipt>,
}

#[derive(Deserialize)]
struct Block {
    timestamp: alloy::primitives::U64,
}

impl Translate {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (contracts, contracts_name) = contracts::read(&self.contracts)?;
        let wasm = load::read_wasm(&self.component)?;
        let file =
            std::fs::read(&self.file).with_context(|| format!("{} cannot be read", self.file.display()))?;
        let recording: Recording = serde_json::from_slice(&file).with_context(|| {
            format!("{} is no recorded transaction (chainId, blocks, receipts)", self.file.display())
        })?;

        let name = self.component.display().to_string();
        let engine = Arc::new(HandlerEngine::new(Limits::of)?);
        let translator = Translator::load(&engine, &name, &wasm, contracts)?;
        translator.filters().with_context(|| format!("{contracts_name} cannot be used"))?;
        let transactions = recording.transactions()?;
        let mut out = std::io::stdout().lock();
        for (transaction, translated) in transactions.iter().zip(translator.translate(&transactions)?) {
            for command in &translated.commands {
                writeln!(out, "{}", line(command)?)?;
            }
            for refusal in &translated.refusals {
                let hash = hex::encode(&transaction.transaction_hash);
                eprintln!(
                    "refused: log {} of 0x{hash}: {}: {}",
                    refusal.log_index, refusal.code, refusal.detail
                );
            }
        }
        Ok(())
    }
}

impl Recording {
    /// The transactions that succeeded, in chain order.
    fn transactions(self) -> anyhow::Result<Vec<Transaction>> {
        let mut transactions = Vec::new();
        for (hash, receipt) in self.receipts {
            let block_hash =
                receipt.block_hash.with_context(|| format!("the receipt of {hash} names no block"))?;
            let block = self.blocks.get(&block_hash);
            let block =
                block.with_context(|| format!("the block {block_hash} of {hash} is not in the file"))?;
            ensure!(
                receipt.transaction_hash == hash,
                "the receipt under {hash} is of {}",
                receipt.transaction_hash
            );
            if !receipt.status() {
                continue;
            }
            let place =
                (receipt.block_number.unwrap_or_default(), receipt.transaction_index.unwrap_or_default());
            let logs = receipt.inner.logs().iter().map(crate::chain::wire_log).collect::<Result<_, _>>()?;
            let transaction = Transaction {
                chain_id: self.chain_id,
                block_hash: block_hash.to_vec(),
                block_number: place.0,
                block_timestamp_s: block.timestamp.to(),
                transaction_hash: hash.to_vec(),
                logs,
            };
            transactions.push((place, transaction));
        }
        transactions.sort_by_key(|(place, _)| *place);
        Ok(transactions.into_iter().map(|(_, transaction)| transaction).collect())
    }
}

/// The command's type, id and payload as one JSON object.
fn line(command: &TranslatedCommand) -> anyhow::Result<Value> {
    let payload: Map<String, Value> = serde_json::from_slice(&command.payload)
        .with_context(|| format!("the payload of a {} is no JSON object", command.type_))?;
    let mut line = Map::new();
    line.insert("type".into(), command.type_.as_str().into());
    line.insert("schema_version".into(), command.schema_version.into());
    line.insert("aggregate".into(), command.aggregate.as_str().into());
    line.insert("id".into(), command.id.as_str().into());
    line.extend(payload);
    Ok(Value::Object(line))
}
