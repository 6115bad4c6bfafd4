//! Translated transactions become submitted commands; logs that cannot be used become dead letters.
//!
//! A component that failed is asked again: a missed deadline or an empty pool is temporary, and a canary that fails is
//! taken out. Only repeated failures become a dead letter.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::{StreamExt, stream};

use super::cursor::DeadLetter;
use super::translation::TranslatorCallError;
use super::{log_identity, part_identity};
use clearfold_base::blocking::{Panicked, blocking};
use clearfold_base::telemetry::with_causes;
use clearfold_engine::command::{Answer, Command, CommandError, CommandIntake};
use clearfold_sandbox::{Fault, Transaction, Translated, TranslatedCommand, Translator};

/// Actor of the listener's commands, as deciders see it.
const ACTOR: &str = "chain";
/// Largest number of commands that wait for their answers at the same moment.
const MAX_UNANSWERED: usize = 256;
/// Attempts to translate a transaction before its logs are kept as dead letters.
const MAX_TRANSLATION_ATTEMPTS: usize = 3;
/// Attempts to decide a command before it is kept as a dead letter: for three seconds at least, which is longer than it
/// takes until a failing canary is taken out everywhere.
const MAX_DECISION_ATTEMPTS: usize = 6;
/// Pause after the first failure; it doubles.
const RETRY: Duration = Duration::from_millis(100);

/// Translates all transactions. If the batch fails, translates them one by one, so that only the failing transaction is
/// left out: each of its logs in `log_indexes` becomes a letter.
pub(super) async fn translate(
    translator: &Arc<Translator>,
    transactions: &Arc<[Transaction]>,
    log_indexes: &[BTreeSet<u64>],
) -> Result<(Vec<Translated>, Vec<DeadLetter>), Panicked> {
    let mut letters = Vec::new();
    if transactions.is_empty() {
        return Ok((Vec::new(), letters));
    }
    match translate_range(translator, transactions, 0..transactions.len()).await {
        Ok(translated) => return Ok((translated, letters)),
        Err(TranslatorCallError::Panicked(panicked)) => return Err(panicked),
        Err(TranslatorCallError::Fault(fault)) => {
            tracing::warn!(error = %with_causes(&fault), "a range could not be translated at once; trying each transaction");
        }
    }
    let mut translated = Vec::with_capacity(transactions.len());
    for (index, (transaction, log_indexes)) in transactions.iter().zip(log_indexes).enumerate() {
        let one = (|| translate_range(translator, transactions, index..index + 1))
            .retry(retry_policy(MAX_TRANSLATION_ATTEMPTS))
            .when(|error| matches!(error, TranslatorCallError::Fault(_)));
        match one.await {
            Ok(one) => translated.extend(one),
            Err(TranslatorCallError::Panicked(panicked)) => return Err(panicked),
            Err(TranslatorCallError::Fault(fault)) => {
                letters.extend(untranslated(transaction, log_indexes, &fault));
                translated.push(Translated { commands: Vec::new(), refusals: Vec::new() });
            }
        }
    }
    Ok((translated, letters))
}

/// Translates some of the transactions. The range lies within them.
async fn translate_range(
    translator: &Arc<Translator>,
    transactions: &Arc<[Transaction]>,
    range: Range<usize>,
) -> Result<Vec<Translated>, TranslatorCallError> {
    let (translator, transactions) = (Arc::clone(translator), Arc::clone(transactions));
    Ok(blocking(move || translator.translate(&transactions[range])).await??)
}

/// Backoff between at most `attempts` attempts.
fn retry_policy(attempts: usize) -> ExponentialBuilder {
    ExponentialBuilder::new().with_min_delay(RETRY).with_max_times(attempts - 1).with_jitter()
}

/// Makes a letter for each log that was asked for: any of them may be a payment.
fn untranslated(transaction: &Transaction, log_indexes: &BTreeSet<u64>, fault: &Fault) -> Vec<DeadLetter> {
    let transaction_hash = hex::encode(&transaction.transaction_hash);
    tracing::error!(error = %with_causes(fault), transaction = transaction_hash, "a transaction could not be translated");
    let detail = format!("nothing of the transaction was used: {}", with_causes(fault));
    let letter = |log_index: &u64| {
        let identity = log_identity(transaction, *log_index);
        dead_letter(transaction, identity, *log_index, "component_failed", detail.clone())
    };
    log_indexes.iter().map(letter).collect()
}

/// Submits all commands and waits for all answers. Fails only on temporary errors: then the range is submitted again,
/// and commands that were answered before get the same answers.
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
            let identity = log_identity(transaction, refusal.log_index);
            letters.push(dead_letter(
                transaction,
                identity,
                refusal.log_index,
                &refusal.code,
                refusal.detail,
            ));
        }
        for translated in commands {
            waiting.push(submit_one(intake, transaction, translated));
        }
    }
    // Started in chain order, so commands of one stream reach their queue in that order.
    let mut answers = stream::iter(waiting).buffered(MAX_UNANSWERED);
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
    let letter = |code: &str, detail: String| {
        dead_letter(transaction, command.idempotency_key.clone(), log_index, code, detail)
    };
    tracing::info!(
        correlation_id = %command.correlation_id(), kind = command.kind, stream = command.stream(),
        block = transaction.block_number, transaction = hex::encode(&transaction.transaction_hash), log_index,
        "seen on chain"
    );
    let answer = (|| intake.submit_in_turn(command.clone()))
        .retry(retry_policy(MAX_DECISION_ATTEMPTS))
        .when(|error| matches!(error, CommandError::Component(_)));
    match answer.await {
        Ok(Answer::Accepted { .. }) => Ok(None),
        Ok(Answer::Rejected { code, detail }) => Ok(Some(letter(&code, detail))),
        Err(error) if error.is_passing() => Err(error),
        Err(error) => Ok(Some(letter("command_failed", error.to_string()))),
    }
}

fn command(transaction: &Transaction, translated: TranslatedCommand) -> Command {
    Command {
        idempotency_key: part_identity(transaction, translated.log_index, translated.part),
        aggregate: translated.aggregate,
        id: translated.id,
        routing_key: translated.routing_key,
        kind: translated.type_,
        schema_version: translated.schema_version,
        payload: translated.payload,
        actor: ACTOR.to_owned(),
    }
}

/// Makes the letter of a log, or of the part of it that `identity` names.
fn dead_letter(
    transaction: &Transaction,
    identity: String,
    log_index: u64,
    code: &str,
    detail: String,
) -> DeadLetter {
    DeadLetter {
        identity,
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

    use backon::Retryable;

    use super::{command, retry_policy};
    use clearfold_sandbox::{Transaction, TranslatedCommand};

    #[test]
    fn the_first_part_of_a_log_has_its_key_and_further_ones_a_suffix() {
        let transaction = Transaction {
            chain_id: 100,
            block_hash: vec![0xab; 32],
            block_number: 1,
            block_timestamp_s: 1,
            transaction_hash: vec![2; 32],
            logs: Vec::new(),
            pulls: Vec::new(),
        };
        let key = |part: u32| {
            let translated = TranslatedCommand {
                log_index: 7,
                part,
                aggregate: "account".into(),
                id: "1".into(),
                routing_key: "0xaa".into(),
                type_: "RecordDeposit".into(),
                schema_version: 1,
                payload: Vec::new(),
            };
            command(&transaction, translated).idempotency_key
        };
        let of_log = format!("chain/100/0x{}/7", "ab".repeat(32));
        assert_eq!(
            [key(0), key(1), key(12)],
            [of_log.clone(), format!("{of_log}/1"), format!("{of_log}/12")]
        );
    }

    /// Number of attempts if so many of them fail, and the result of the last one.
    async fn attempts(failures: u32, is_temporary: bool) -> (u32, Result<(), u32>) {
        let count = Cell::new(0);
        let attempt = || {
            count.set(count.get() + 1);
            std::future::ready(if count.get() > failures { Ok(()) } else { Err(count.get()) })
        };
        let outcome = attempt.retry(retry_policy(3)).when(|_| is_temporary).await;
        (count.get(), outcome)
    }

    #[tokio::test]
    async fn a_temporary_failure_is_tried_again_and_a_lasting_one_given_up() {
        assert_eq!(attempts(0, true).await, (1, Ok(())));
        assert_eq!(attempts(2, true).await, (3, Ok(())));
        assert_eq!(attempts(9, true).await, (3, Err(3)));
        assert_eq!(attempts(9, false).await, (1, Err(1)));
    }
}
