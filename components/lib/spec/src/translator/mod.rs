//! Specification of translators: given a contract set and a transaction's logs, then commands and refusals.

mod format;

use clearfold_kernel::{Encoded, ExecutedPull, Log, Transaction};

pub use self::format::TranslatorFile;
use self::format::{Case, FromLog, RefusedLog};
use crate::Verdict;
use crate::message::{Message, written_name};

/// Translator under test, with the contract set of its specification file.
pub trait TranslatorSubject {
    /// Translates transactions; returns one result for each.
    fn translate(&self, transactions: &[Transaction]) -> Result<Vec<Translation>, String>;
}

/// Result of translating one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// Commands in log order.
    pub commands: Vec<TranslatedCommand>,
    /// Refusals in log order.
    pub refusals: Vec<Refusal>,
}

/// Command derived from a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslatedCommand {
    /// Index of the log in its block.
    pub log_index: u64,
    /// Part of the log's meaning that the command is about.
    pub part: u32,
    /// Kind of stream.
    pub aggregate: String,
    /// Id of the stream within that kind.
    pub id: String,
    /// Account, which is the routing key.
    pub account: String,
    /// Encoded command.
    pub message: Encoded,
}

/// Log that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the log in its block.
    pub log_index: u64,
    /// Stable code.
    pub code: String,
    /// Explanation for people.
    pub detail: String,
}

impl TranslatorFile {
    /// Returns the contract set in the form in which the translator reads it.
    #[must_use]
    pub fn contracts(&self) -> Vec<u8> {
        self.contracts.to_string().into_bytes()
    }

    /// Runs all cases against a translator that has the file's contract set.
    ///
    /// Each case's transaction is also translated as three copies in one batch: the result for a transaction must not
    /// depend on the others.
    #[must_use]
    pub fn run(&self, subject: &dyn TranslatorSubject) -> Vec<Verdict> {
        let run = |case: &Case| Verdict::new(&case.case, case.row.as_deref(), self.run_case(case, subject));
        self.cases.0.iter().map(run).collect()
    }

    fn run_case(&self, case: &Case, subject: &dyn TranslatorSubject) -> Result<Vec<String>, String> {
        let transaction = self.transaction(case);
        let alone = subject.translate(std::slice::from_ref(&transaction));
        if let Some(part) = &case.fails {
            return Ok(match alone {
                Err(why) if why.contains(part) => Vec::new(),
                Err(why) => vec![format!("expected a failure that says `{part}`, got `{why}`")],
                Ok(_) => vec![format!("expected a failure that says `{part}`, got an answer")],
            });
        }
        let [alone] = <[Translation; 1]>::try_from(alone?)
            .map_err(|all| format!("one transaction got {} answers", all.len()))?;
        let mut differences = of_commands(case.commands.as_deref().unwrap_or_default(), &alone.commands);
        differences.extend(of_refusals(case.refusals.as_deref().unwrap_or_default(), &alone.refusals));
        if subject.translate(&[transaction.clone(), transaction.clone(), transaction])?
            != [alone.clone(), alone.clone(), alone]
        {
            differences.push(
                "beside others of its kind the transaction becomes something else than alone".to_owned(),
            );
        }
        Ok(differences)
    }

    fn transaction(&self, case: &Case) -> Transaction {
        let (own, default) = (&case.transaction, &self.transaction);
        let logs = (0..).zip(&case.given).map(|(place, log)| Log {
            log_index: log.log_index.unwrap_or(place),
            address: log.emitter,
            topics: log.topics.clone(),
            data: log.data.clone(),
        });
        let pulls = case.pulls.iter().map(|pull| ExecutedPull {
            log_index: pull.log_index,
            payment_id: pull.payment_id.clone(),
            leg: pull.leg,
        });
        Transaction {
            chain_id: own.chain_id.unwrap_or(default.chain_id),
            block_hash: own.block_hash.unwrap_or(default.block_hash),
            block_number: own.block_number.unwrap_or(default.block_number),
            block_timestamp: own.at.unwrap_or(default.at),
            transaction_hash: own.transaction_hash.unwrap_or(default.transaction_hash),
            logs: logs.collect(),
            pulls: pulls.collect(),
        }
    }
}

fn of_commands(expected: &[Message<FromLog>], got: &[TranslatedCommand]) -> Vec<String> {
    if expected.len() != got.len() {
        let expected: Vec<String> = expected.iter().map(Message::name).collect();
        let got =
            got.iter().map(|command| written_name(&command.message.kind, command.message.schema_version));
        let got: Vec<String> = got.collect();
        return vec![format!("expected the commands {expected:?}, got {got:?}")];
    }
    let mut differences = Vec::new();
    for (number, (expected, got)) in (1..).zip(expected.iter().zip(got)) {
        let place = format!("command {number}");
        let beside = &expected.beside;
        if let Some(index) = beside.log_index.filter(|index| *index != got.log_index) {
            differences.push(format!("{place}: expected the log_index {index}, got {}", got.log_index));
        }
        if let Some(part) = beside.part.filter(|part| *part != got.part) {
            differences.push(format!("{place}: expected the part {part}, got {}", got.part));
        }
        for (name, expected, got) in [
            ("aggregate", &beside.aggregate, &got.aggregate),
            ("id", &beside.id, &got.id),
            ("account", &beside.account, &got.account),
        ] {
            if let Some(expected) = expected.as_ref().filter(|expected| *expected != got) {
                differences.push(format!("{place}: expected the {name} {expected}, got {got}"));
            }
        }
        differences.extend(expected.differences(&place, &got.message));
    }
    differences
}

fn of_refusals(expected: &[RefusedLog], got: &[Refusal]) -> Vec<String> {
    let same = |(expected, got): (&RefusedLog, &Refusal)| {
        expected.code == got.code && expected.log_index.is_none_or(|index| index == got.log_index)
    };
    if expected.len() == got.len() && expected.iter().zip(got).all(same) {
        return Vec::new();
    }
    let place = |index: Option<u64>| index.map(|index| format!(" of log {index}")).unwrap_or_default();
    let expected: Vec<String> =
        expected.iter().map(|refusal| refusal.code.clone() + &place(refusal.log_index)).collect();
    let got = got
        .iter()
        .map(|refusal| format!("{}{} ({})", refusal.code, place(Some(refusal.log_index)), refusal.detail));
    vec![format!("expected the refusals {expected:?}, got {:?}", got.collect::<Vec<_>>())]
}
