//! Translated transactions become submitted commands, and what cannot be used becomes dead letters.
//!
//! A component that failed is asked again: a deadline missed or a pool that was empty passes, and a canary that fails is
//! taken out. Only what fails again and again becomes a letter.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::task::{JoinError, spawn_blocking};

use super::cursor::DeadLetter;
use super::log_identity;
use clearfold_base::telemetry::with_causes;
use clearfold_engine::command::{Answer, Command, CommandError, CommandIntake};
use clearfold_sandbox::{Fault, Transaction, Translated, TranslatedCommand, Translator};

/// Who sends the listener's commands, as deciders know it.
const ACTOR: &str = "chain";
/// Commands under way at the same moment.
const MAX_IN_FLIGHT: usize = 256;
/// How often a translator that fails is asked.
const TRANSLATIONS: u32 = 3;
/// How often a decider that fails is asked: for three seconds, which is longer than it takes until a canary that fails is
/// out everywhere.
const DECISIONS: u32 = 6;
/// The pause after the first failure; it doubles.
const RETRY_MS: u64 = 100;

/// Translates all transactions. If the batch fails, one by one, so that only the guilty one is left out: each of its
/// logs in `log_indexes` becomes a letter.
pub(super) async fn translate(
    translator: &Arc<Translator>,
    transactions: &Arc<[Transaction]>,
    log_indexes: &[BTreeSet<u64>],
) -> Result<(Vec<Translated>, Vec<DeadLetter>), JoinError> {
    let part = |range: Range<usize>| {
        let (translator, transactions) = (Arc::clone(translator), Arc::clone(transactions));
        spawn_blocking(move || translator.translate(transactions.get(range).unwrap_or_default()))
    };
    let mut letters = Vec::new();
    if transactions.is_empty() {
        return Ok((Vec::new(), letters));
    }
    match part(0..transactions.len()).await? {
        Ok(translated) => return Ok((translated, letters)),
        Err(fault) => {
            tracing::warn!(error = %with_causes(&fault), "a range could not be translated at once; trying each transaction");
        }
    }
    let mut translated = Vec::with_capacity(transactions.len());
    for (index, (transaction, log_indexes)) in transactions.iter().zip(log_indexes).enumerate() {
        let failed = |outcome: &Result<_, _>| matches!(outcome, Ok(Err(_)));
        match retried(TRANSLATIONS, failed, || part(index..index + 1)).await? {
            Ok(one) => translated.extend(one),
            Err(fault) => {
                letters.extend(untranslated(transaction, log_indexes, &fault));
                translated.push(Translated { commands: Vec::new(), refusals: Vec::new() });
            }
        }
    }
    Ok((translated, letters))
}

/// A letter for each log that was asked for: any of them may be a payment.
fn untranslated(transaction: &Transaction, log_indexes: &BTreeSet<u64>, fault: &Fault) -> Vec<DeadLetter> {
    let transaction_hash = hex::encode(&transaction.transaction_hash);
    tracing::error!(error = %with_causes(fault), transaction = transaction_hash, "a transaction could not be translated");
    let detail = format!("nothing of the transaction was used: {}", with_causes(fault));
    let letter = |log_index: &u64| dead_letter(transaction, *log_index, "component_failed", detail.clone());
    log_indexes.iter().map(letter).collect()
}

/// Repeats what failed and may pass, with growing pauses, and gives what came of it last.
async fn retried<T, F: Future<Output = T>>(
    attempts: u32,
    passing: impl Fn(&T) -> bool,
    attempt: impl Fn() -> F,
) -> T {
    for failures in 1..attempts {
        let outcome = attempt().await;
        if !passing(&outcome) {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(RETRY_MS << (failures - 1))).await;
    }
    attempt().await
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
    let failed = |outcome: &Result<_, _>| matches!(outcome, Err(CommandError::Component(_)));
    match retried(DECISIONS, failed, || intake.submit_in_turn(command.clone())).await {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::retried;

    /// How often it is asked for, if that many attempts fail, and what comes of it.
    async fn asked(failures: u32) -> (u32, Result<(), u32>) {
        let count = Cell::new(0);
        let attempt = || {
            count.set(count.get() + 1);
            std::future::ready(if count.get() > failures { Ok(()) } else { Err(count.get()) })
        };
        let outcome = retried(3, Result::is_err, attempt).await;
        (count.get(), outcome)
    }

    #[tokio::test]
    async fn what_passes_is_asked_again_and_what_stays_is_given_up() {
        assert_eq!(asked(0).await, (1, Ok(())));
        assert_eq!(asked(2).await, (3, Ok(())));
        assert_eq!(asked(9).await, (3, Err(3)));
    }
}
