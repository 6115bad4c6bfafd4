//! `clearfold translate`: shows the commands that a recorded transaction would become.
//!
//! The file has the raw answers of a node: `chainId`, and `blocks` and `receipts` by hash. No command is sent.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value};

use super::{contracts, load};
use crate::config::Contracts;
use clearfold_chain::Recording;
use clearfold_sandbox::{HandlerEngine, Limits, TranslatedCommand, Translator};

#[derive(Debug, Args)]
pub(super) struct TranslateArgs {
    /// File with the translator, a component
    component: PathBuf,
    /// JSON file with the recorded transaction: chainId, blocks and receipts
    file: PathBuf,
    #[command(flatten)]
    contracts: Contracts,
}

impl TranslateArgs {
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

/// Formats the command's type, id and payload as one JSON object.
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
