//! Translated transactions become submitted commands, and what cannot be used becomes dead letters.

use futures::{StreamExt, stream};

use super::cursor::DeadLetter;
use super::log_identity;
use crate::command::{Answer, Command, CommandError, CommandIntake};
use crate::runtime::{Transaction, Translated, TranslatedCommand, Translator};
use crate::telemetry::chain;

/// Who sends the listener's commands, as deciders know it.
const ACTOR: &str = "chain";
/// Commands under way at the same moment: fewer than a partition's queue holds, so that a long range never fills
/// it by itself.
const MAX_IN_FLIGHT: usize = 256;

/// Translates all transactions. If the batch fails, one by one, so that only the guilty one is left out.
pub(super) fn translate(
    translator: &Translator,
    transactions: &[Transaction],
) -> (Vec<Translated>, Vec<DeadLetter>) {
    match translator.translate(transactions) {
        Ok(translated) => (translated, Vec::new()),
        Err(fault) if transactions.len() == 1 => {
            tracing::error!(error = %chain(&fault), "a transaction could not be translated");
            let letters = transactions.iter().map(|transaction| {
                let log_index = transaction.logs.first().map_or(0, |log| log.log_index);
                dead_letter(transaction, log_index, "component_failed", chain(&fault))
            });
            (vec![Translated { commands: Vec::new(), refusals: Vec::new() }], letters.collect())
        }
        Err(fault) => {
            tracing::warn!(error = %chain(&fault), "a range could not be translated at once; trying each transaction");
            let each = transactions
                .iter()
                .map(|transaction| translate(translator, std::slice::from_ref(transaction)));
            let (translated, letters): (Vec<_>, Vec<_>) = each.unzip();
            (translated.into_iter().flatten().collect(), letters.into_iter().flatten().collect())
        }
    }
}

/// Sends all commands and waits for all answers. Fails only on what passes by itself: then the range is sent again,
/// and what was answered before is answered likewise.
pub(super) async fn submit(
    intake: &CommandIntake,
    transactions: &[Transaction],
    translated: Vec<Translated>,
) -> Result<Vec<DeadLetter>, CommandError> {
    let mut letters = Vec::new();
    let mut waiting = Vec::new();
    for (transaction, Translated { commands, refusals }) in transactions.iter().zip(translated) {
        for refusal in refusals {
            tracing::warn!(
                code = refusal.code,
                detail = refusal.detail,
                transaction = hex::encode(&transaction.transaction_hash),
                log_index = refusal.log_index,
                "a log was refused and kept"
            );
            letters.push(dead_letter(transaction, refusal.log_index, &refusal.code, refusal.detail));
        }
        for translated in commands {
            waiting.push(submit_one(intake, transaction, translated));
        }
    }
    // Started in chain order, so commands of one stream reach their queue in that order.
    let mut answers = stream::iter(waiting).buffered(MAX_IN_FLIGHT);
    while let Some(answer) = answers.next().await {
        letters.extend(answer?);
    }
    Ok(letters)
}

async fn submit_one(
    intake: &CommandIntake,
    transaction: &Transaction,
    translated: TranslatedCommand,
) -> Result<Option<DeadLetter>, CommandError> {
    let log_index = translated.log_index;
    let command = command(transaction, translated);
    tracing::info!(
        correlation_id = %command.correlation_id(), kind = command.kind, stream = command.stream(),
        block = transaction.block_number, transaction = hex::encode(&transaction.transaction_hash), log_index,
        "seen on chain"
    );
    match intake.submit(command).await {
        Ok(Answer::Accepted { .. }) => Ok(None),
        Ok(Answer::Rejected { code, detail }) => Ok(Some(dead_letter(transaction, log_index, &code, detail))),
        Err(error) if error.is_passing() => Err(error),
        Err(error) => Ok(Some(dead_letter(transaction, log_index, "command_failed", error.to_string()))),
    }
}

fn command(transaction: &Transaction, translated: TranslatedCommand) -> Command {
    Command {
        idempotency_key: log_identity(transaction, translated.log_index),
        aggregate: translated.aggregate,
        id: translated.id,
        routing_key: translated.routing_key,
        kind: translated.type_,
        schema_version: translated.schema_version,
        payload: translated.payload,
        actor: ACTOR.to_owned(),
    }
}

fn dead_letter(transaction: &Transaction, log_index: u64, code: &str, detail: String) -> DeadLetter {
    DeadLetter {
        identity: log_identity(transaction, log_index),
        block_number: transaction.block_number,
        block_hash: transaction.block_hash.clone(),
        transaction_hash: transaction.transaction_hash.clone(),
        log_index,
        code: code.to_owned(),
        detail,
    }
}
