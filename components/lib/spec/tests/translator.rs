//! Tests of translator specifications: commands and refusals, independent of the other transactions in a batch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

use clearfold_kernel::{
    Encoded, LogFilter, Refusal, Selection, Transaction, Translated, TranslatedCommand, Translator,
};
use clearfold_spec::{NativeTranslator, Specification, Translation, TranslatorSubject, Verdict};

/// Turns every log with data into a command that repeats the data; a log without data is refused.
struct Echo;

impl Translator for Echo {
    fn filters(_: &[u8]) -> Result<Selection, String> {
        Ok(Selection { chain_id: 100, filters: Vec::<LogFilter>::new() })
    }

    fn translate(contracts: &[u8], transactions: &[Transaction]) -> Result<Vec<Translated>, String> {
        if contracts != br#"{"chain_id":100}"# {
            return Err("no contract set of mine".into());
        }
        Ok(transactions.iter().map(echo).collect())
    }
}

fn echo(transaction: &Transaction) -> Translated {
    let mut translated = Translated::default();
    for log in &transaction.logs {
        if log.data.is_empty() {
            let detail = "there is nothing to repeat".to_owned();
            translated.refusals.push(Refusal { log_index: log.log_index, code: "empty", detail });
            continue;
        }
        let payload = format!(r#"{{"bytes":{},"block":{}}}"#, log.data.len(), transaction.block_number);
        translated.commands.push(TranslatedCommand {
            log_index: log.log_index,
            part: 0,
            aggregate: "echo",
            id: "e1".into(),
            routing_key: log.address.to_string(),
            message: Encoded { kind: "Say".into(), schema_version: 2, payload: payload.into_bytes() },
        });
    }
    translated
}

const HEAD: &str = "translator: echo
let:
  account: &account '0x1010101010101010101010101010101010101010'
  hash: &hash '0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a'
  loud: &loud { emitter: *account, event: 'Said(uint256)', arguments: [1] }
  silent: &silent { emitter: *account, topics: [*hash, 'Said(uint256)'], data: '0x' }
contracts: { chain_id: 100 }
transaction: { chain_id: 100, block_number: 7, block_hash: *hash, transaction_hash: *hash, at: 2026-11-22T10:00:00.000Z }
cases:
";

fn run(case: &str, subject: impl FnOnce(Vec<u8>) -> Box<dyn TranslatorSubject>) -> Vec<Verdict> {
    let Specification::Translator(file) = Specification::read(&format!("{HEAD}  - {case}\n")).unwrap() else {
        panic!("no translator's file")
    };
    file.run(&*subject(file.contracts()))
}

fn said(case: &str) -> String {
    run(case, |contracts| Box::new(NativeTranslator::<Echo>::new(contracts)))[0].differences.join("\n")
}

#[test]
fn an_answer_that_is_as_expected_passes() {
    for case in [
        "{ case: x, given: [*loud, *silent], commands: [{ Say v2: { block: 7, bytes: 32 }, log_index: 0, id: e1,
           aggregate: echo, account: *account, part: 0 }], refusals: [{ code: empty, log_index: 1 }] }",
        "{ case: x, transaction: { block_number: 9 }, given: [*loud], commands: [{ Say v2: { block: 9, bytes: 32 } }] }",
        "{ case: x, given: [{ <<: *silent, log_index: 40 }], refusals: [{ code: empty, log_index: 40 }] }",
        "{ case: x, given: [], commands: [] }",
    ] {
        assert_eq!(said(case), "", "{case}");
    }
}

#[test]
fn an_answer_that_differs_says_where() {
    for (case, expected) in [
        (
            "{ case: x, given: [*loud], commands: [{ Say v2: { block: 8, bytes: 32 }, id: e2, log_index: 1, part: 1, account: me }] }",
            "command 1: expected the log_index 1, got 0\ncommand 1: expected the part 1, got 0\n\
             command 1: expected the id e2, got e1\n\
             command 1: expected the account me, got 0x1010101010101010101010101010101010101010\n\
             command 1, Say v2.block: expected 8, got 7",
        ),
        ("{ case: x, given: [*loud], commands: [] }", "expected the commands [], got [\"Say v2\"]"),
        ("{ case: x, given: [*loud], refusals: [] }", "expected the commands [], got [\"Say v2\"]"),
        (
            "{ case: x, given: [*silent], commands: [] }",
            "expected the refusals [], got [\"empty of log 0 (there is nothing to repeat)\"]",
        ),
        (
            "{ case: x, given: [*silent], refusals: [{ code: full }] }",
            "expected the refusals [\"full\"], got [\"empty of log 0 (there is nothing to repeat)\"]",
        ),
        (
            "{ case: x, given: [*silent], refusals: [{ code: empty, log_index: 1 }] }",
            "expected the refusals [\"empty of log 1\"], got [\"empty of log 0 (there is nothing to repeat)\"]",
        ),
        (
            "{ case: x, given: [], fails: no contract }",
            "expected a failure that says `no contract`, got an answer",
        ),
    ] {
        assert_eq!(said(case), expected, "{case}");
    }
}

#[test]
fn a_failure_is_expected_by_a_part_of_its_reason() {
    let case = |part: &str| format!("{{ case: x, given: [], fails: {part} }}");
    let other = |_| Box::new(NativeTranslator::<Echo>::new(Vec::new())) as Box<dyn TranslatorSubject>;
    assert!(run(&case("no contract set"), other)[0].passed());
    assert!(run(&case("something else"), other)[0].differences[0].contains("got `no contract set of mine`"));
}

/// Returns no commands for the second of equal transactions.
struct Sated(NativeTranslator<Echo>);

impl TranslatorSubject for Sated {
    fn translate(&self, transactions: &[Transaction]) -> Result<Vec<Translation>, String> {
        let mut translated = self.0.translate(transactions)?;
        translated.iter_mut().skip(1).for_each(|translation| translation.commands.clear());
        Ok(translated)
    }
}

#[test]
fn an_answer_that_depends_on_the_neighbours_is_found_unasked() {
    let case = "{ case: x, given: [*loud], commands: [{ Say v2: { block: 7, bytes: 32 } }] }";
    let verdicts = run(case, |contracts| Box::new(Sated(NativeTranslator::new(contracts))));
    assert_eq!(
        verdicts[0].differences,
        ["beside others of its kind the transaction becomes something else than alone"]
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (case, why) in [
        ("{ case: x, given: [*loud] }", "`x` must have `commands`, `refusals` or both"),
        (
            "{ case: x, given: [*loud], commands: [], fails: y }",
            "`x` must have `commands`, `refusals` or both",
        ),
        (
            "{ case: x, given: [{ emitter: *account, event: 'Said()' }], commands: [] }",
            "a log must have either `event`",
        ),
        ("{ case: x, given: [{ <<: *loud, arguments: [-1] }], commands: [] }", "-1 is no uint256"),
        ("{ case: x, given: [{ <<: *loud, arguments: [] }], commands: [] }", "1 parameters, but 0 arguments"),
        ("{ case: x, given: [{ <<: *silent, data: '0xzz' }], commands: [] }", "`data` is not hexadecimal"),
        ("{ case: x, given: [{ <<: *silent, topics: ['0x12'] }], commands: [] }", "64 hexadecimal digits"),
        ("{ case: x, given: [{ <<: *silent, emitter: '0x12' }], commands: [] }", "40 hexadecimal digits"),
        ("{ case: x, given: [{ <<: *silent, emiter: '0x12' }], commands: [] }", "unknown field `emiter`"),
        ("{ case: x, given: [], refusals: [{ kode: y }] }", "unknown field `kode`"),
    ] {
        let error = Specification::read(&format!("{HEAD}  - {case}\n")).unwrap_err();
        assert!(error.why.contains(why), "{case}: {error}");
    }
}
