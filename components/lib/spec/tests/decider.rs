//! Tests of decider specifications: failures are reported as such, and invalid files are refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]
#![expect(unexpected_cfgs, reason = "`messages!` asks for a feature that only the domain has")]

use clearfold_kernel::{
    CommandContext, Decided, Decider, Encoded, Entry, Folded, Outcome, Rejection, Turn, messages,
};
use clearfold_spec::{DeciderSubject, NativeDecider, Specification, Verdict};
use serde::{Deserialize, Serialize};

/// A purse: money is put in, and taken out as long as there is some.
struct Purse;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    coins: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    coins: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Changed {
    by: i64,
    owner: String,
}

messages! {
    enum Command {
        Put = 1,
        Take = 1,
    }
}

messages! {
    enum Event {
        Changed = 1,
    }
}

impl Decider for Purse {
    const AGGREGATE: &'static str = "purse";
    const STATE_VERSION: u32 = 1;

    type State = i64;
    type Command = Command;
    type Event = Event;

    fn decide(state: &i64, command: &Command, context: &CommandContext) -> Result<Vec<Event>, Rejection> {
        let owner = context.routing_key.clone();
        match command {
            Command::Put(put) => Ok(vec![Event::Changed(Changed { by: put.coins.into(), owner })]),
            Command::Take(take) if i64::from(take.coins) > *state => {
                Err(Rejection::new("too_little", "put more in"))
            }
            Command::Take(take) => Ok(vec![Event::Changed(Changed { by: -i64::from(take.coins), owner })]),
        }
    }

    fn evolve(state: i64, event: &Event) -> i64 {
        let Event::Changed(changed) = event;
        state + changed.by
    }
}

const HEAD: &str = "decider: purse
let:
  three: &three { Changed: { owner: ann, by: 3 } }
defaults: { id: p1, account: ann, actor: api, at: 2026-11-22T10:00:00.000Z }
cases:
";

fn run(cases: &str, subject: &dyn DeciderSubject) -> Vec<Verdict> {
    let Specification::Decider(file) = Specification::read(&format!("{HEAD}{cases}")).unwrap() else {
        panic!("no decider's file")
    };
    file.run(subject).unwrap()
}

/// Returns the differences of the only case.
fn said(case: &str) -> String {
    let [verdict] = &run(case, &NativeDecider::<Purse>::default())[..] else { panic!("one case") };
    assert_eq!(verdict.passed(), verdict.differences.is_empty());
    verdict.differences.join("\n")
}

#[test]
fn a_case_that_holds_passes_whatever_the_order_of_members() {
    let cases = "
  - case: one step
    row: a row of the table
    given: [*three]
    when: { Take: { coins: 2 }, account: bob, at: 2026-11-23T10:00:00.000Z }
    then: [{ Changed: { by: -2, owner: bob } }]
  - case: several
    steps:
      - { when: { Take: { coins: 1 } }, rejected: too_little }
      - { when: { Put: { coins: 3 } }, then: [*three] }
";
    let verdicts = run(cases, &NativeDecider::<Purse>::default());
    assert!(verdicts.iter().all(Verdict::passed), "{verdicts:?}");
    assert_eq!(verdicts[0].to_string(), "ok      one step [a row of the table]");
}

#[test]
fn a_wrong_expectation_names_the_member_with_both_values() {
    let said = said("  - { case: x, when: { Put: { coins: 3 } }, then: [{ Changed: { by: 4, to: ann } }] }");
    assert_eq!(
        said,
        "event 1, Changed.by: expected 4, got 3\n\
         event 1, Changed.owner: expected nothing, got \"ann\"\n\
         event 1, Changed.to: expected \"ann\", got nothing"
    );
}

#[test]
fn a_wrong_code_and_events_too_many_or_too_few_are_differences() {
    for (case, expected) in [
        (
            "{ case: x, when: { Take: { coins: 1 } }, rejected: too_much }",
            "expected rejected: too_much, got rejected: too_little (put more in)",
        ),
        (
            "{ case: x, when: { Take: { coins: 1 } }, then: [] }",
            "expected no event, got rejected: too_little (put more in)",
        ),
        (
            "{ case: x, when: { Put: { coins: 3 } }, rejected: too_little }",
            "expected rejected: too_little, got Changed {\"by\":3,\"owner\":\"ann\"}",
        ),
        (
            "{ case: x, when: { Put: { coins: 3 } }, then: [] }",
            "expected no event, got Changed {\"by\":3,\"owner\":\"ann\"}",
        ),
        (
            "{ case: x, when: { Put: { coins: 3 } }, then: [*three, *three] }",
            "expected Changed, Changed, got Changed {\"by\":3,\"owner\":\"ann\"}",
        ),
        (
            "{ case: x, when: { Put: { coins: 3 } }, then: [{ Changed v2: { by: 3, owner: ann } }] }",
            "event 1: expected Changed v2, got Changed {\"by\":3,\"owner\":\"ann\"}",
        ),
        (
            "{ case: x, given: [{ Lost: {} }], when: { Put: { coins: 3 } }, then: [*three] }",
            "given: event 0 of the batch: `Lost` is not a known type; known are Changed",
        ),
        (
            "{ case: x, steps: [{ when: { Put: { coins: 3 } }, then: [*three] }, { when: { Put: { coins: 3 } }, then: [] }] }",
            "step 2: expected no event, got Changed {\"by\":3,\"owner\":\"ann\"}",
        ),
    ] {
        assert_eq!(said(&format!("  - {case}")), expected);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_line() {
    for (case, line, why) in [
        ("{ case: x, wen: { Put: { coins: 3 } }, then: [] }", 6, "unknown field `wen`"),
        (
            "{ case: x, when: { Put: {}, actr: api }, then: [] }",
            6,
            "this one has `Put` and `actr`; beside it may stand `id`",
        ),
        ("{ case: x, when: { actor: api }, then: [] }", 6, "has none"),
        ("{ case: x, when: { Put 2: {} }, then: [] }", 6, "`Put 2` is no type"),
        ("{ case: x, when: { Put: {} } }", 6, "the Put must have either `then`"),
        ("{ case: x, when: { Put: {} }, then: [], rejected: y }", 6, "the Put must have either `then`"),
        ("{ case: x, then: [] }", 6, "`x` must have either `when`"),
        ("{ case: x, steps: [] }", 6, "`x` must have either `when`"),
        ("{ case: x, when: { Put: { coins: 1.5 } }, then: [] }", 6, "1.5 is no whole number"),
        ("{ case: x, when: { Put: { coins: 1, coins: 2 } }, then: [] }", 6, "duplicate mapping key `coins`"),
        ("{ case: x, when: { Put: *four }, then: [] }", 6, "reference to unknown value"),
        ("{ case: x, when: { Put: {} }, then: [*three }", 6, "mismatched bracket"),
        ("{ case: x, when: { Put: {} }, then: {} }", 6, "expected a list"),
        ("{ case: x, when: { Put: {}, at: noon }, then: [] }", 6, "`noon` is not a time"),
    ] {
        let error = Specification::read(&format!("{HEAD}  - {case}\n")).unwrap_err();
        assert!(error.why.contains(why), "{case}: {error}");
        assert_eq!(error.line, line, "{case}: {error}");
    }
    for (file, why) in [
        ("cases: []", "the file must say what it specifies"),
        (HEAD, "expected a list"),
        (&format!("{} []", HEAD.trim_end()), "`cases` is empty"),
        (&HEAD.replace("at: 2", "att: 2"), "unknown field `att`"),
    ] {
        let error = Specification::read(file).unwrap_err();
        assert!(error.why.contains(why), "{file}: {error}");
    }
}

#[test]
fn another_decider_than_the_files_is_refused() {
    let file =
        format!("{}  - {{ case: x, when: {{ Put: {{}} }}, then: [] }}", HEAD.replace("purse", "wallet"));
    let Specification::Decider(file) = Specification::read(&file).unwrap() else {
        panic!("no decider's file")
    };
    let error = file.run(&NativeDecider::<Purse>::default()).unwrap_err();
    assert!(error.contains("`wallet`") && error.contains("`purse`"), "{error}");
}

/// A purse with a fault that no case covers.
struct Faulty {
    purse: NativeDecider<Purse>,
    fault: Fault,
}

type Fault = fn(&Turn, Decided) -> Decided;

impl DeciderSubject for Faulty {
    fn aggregate(&self) -> &str {
        self.purse.aggregate()
    }

    fn initial(&self) -> Result<Vec<u8>, String> {
        self.purse.initial()
    }

    fn decide(&self, turn: &Turn) -> Result<Decided, String> {
        Ok((self.fault)(turn, self.purse.decide(turn)?))
    }

    fn keys(&self, messages: &[Encoded]) -> Result<Vec<Vec<String>>, String> {
        self.purse.keys(messages)
    }

    fn evolve(&self, state: &[u8], entries: &[Entry], events: &[Encoded]) -> Result<Folded, String> {
        self.purse.evolve(state, entries, events)
    }
}

#[test]
fn what_must_always_hold_is_checked_unasked() {
    let faults: [(Fault, &str); 4] = [
        (
            |_, decided| match decided.outcomes.first() {
                Some(Err(_)) => Decided { state: vec![0x12], ..decided },
                _ => decided,
            },
            "step 1: the rejected command left behind the state 0x12, instead of 0x00",
        ),
        (
            |_, decided| match decided.outcomes.first() {
                Some(Ok(_)) => Decided { state: vec![0x12], ..decided },
                _ => decided,
            },
            "step 2: `evolve` gives for the events the state 0x06, instead of 0x12",
        ),
        (
            |turn, decided| match turn.commands.len() {
                1 => decided,
                _ => Decided { state: vec![0x12], ..decided },
            },
            "decided in one turn the commands lead to rejected: too_little (put more in); Changed \
             {\"by\":3,\"owner\":\"ann\"}; and the state 0x12, instead of rejected: too_little (put more in); Changed \
             {\"by\":3,\"owner\":\"ann\"}; and the state 0x06 as one by one",
        ),
        (
            |_, decided| Decided { outcomes: Vec::<Outcome>::new(), ..decided },
            "step 1: one command did not get one outcome",
        ),
    ];
    let case = "
  - case: x
    steps:
      - { when: { Take: { coins: 1 } }, rejected: too_little }
      - { when: { Put: { coins: 3 } }, then: [*three] }
";
    for (fault, expected) in faults {
        let verdicts = run(case, &Faulty { purse: NativeDecider::default(), fault });
        assert!(verdicts[0].differences[0].starts_with(expected), "{verdicts:?}");
    }
}

/// A purse that names entries and changes some when it decides, but never when it folds.
struct Keyed {
    purse: NativeDecider<Purse>,
    named: &'static [&'static str],
    changed: &'static [&'static str],
}

impl DeciderSubject for Keyed {
    fn aggregate(&self) -> &str {
        self.purse.aggregate()
    }

    fn initial(&self) -> Result<Vec<u8>, String> {
        self.purse.initial()
    }

    fn keys(&self, messages: &[Encoded]) -> Result<Vec<Vec<String>>, String> {
        Ok(messages.iter().map(|_| self.named.iter().map(ToString::to_string).collect()).collect())
    }

    fn decide(&self, turn: &Turn) -> Result<Decided, String> {
        let entry = |key: &&str| Entry { key: (*key).to_owned(), value: Some(b"1".to_vec()) };
        Ok(Decided { entries: self.changed.iter().map(entry).collect(), ..self.purse.decide(turn)? })
    }

    fn evolve(&self, state: &[u8], entries: &[Entry], events: &[Encoded]) -> Result<Folded, String> {
        self.purse.evolve(state, entries, events)
    }
}

#[test]
fn entries_are_held_to_their_keys_and_compared() {
    let cases: [(&'static [&str], &'static [&str], &str); 5] = [
        (&["a", "b"], &[], ""),
        (&["a\n"], &[], "given: `a\n` is no key: it has 1 to 512 bytes, without control characters"),
        (&["a"], &["b"], "the entry `b` changed, but `keys` did not name it"),
        (&["a"], &["a", "a"], "the entry `a` changed twice"),
        (
            &["a"],
            &["a"],
            "`evolve` gives for the events the state 0x0c, instead of 0x0c with the entries a: 1",
        ),
    ];
    for (named, changed, expected) in cases {
        let subject = Keyed { purse: NativeDecider::default(), named, changed };
        let case = "  - { case: x, given: [*three], when: { Put: { coins: 3 } }, then: [*three] }";
        let said = run(case, &subject).remove(0).differences;
        assert_eq!(said.first().map_or("", String::as_str), expected, "{said:?}");
    }
}
