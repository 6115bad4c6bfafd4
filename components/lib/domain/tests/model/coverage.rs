//! Messages that the lives had, each with the stage of the payment that it met. A kind of message that never met a
//! stage was not compared there.

use std::collections::{BTreeMap, BTreeSet};

use crate::books::{self, Stage};
use crate::facts::{Fact, What};

/// Number of lives that had each pair of a message and a stage.
#[derive(Debug, Default)]
pub struct Coverage(BTreeMap<(String, Stage), u64>);

/// Kinds of messages that must have met every stage that [`can_meet`] allows.
const KINDS: [&str; 11] = [
    "Requested",
    "IncrementRequested",
    "Reversed",
    "Advised",
    "Cleared",
    "ForcePosted",
    "Refunded",
    "DisputeOpened",
    "DisputeMoney",
    "Expired",
    "Approved",
];

const STAGES: [Stage; 9] = [
    Stage::Unknown,
    Stage::Asked,
    Stage::Declined,
    Stage::Open,
    Stage::Withdrawn,
    Stage::Reversed,
    Stage::Cleared,
    Stage::Expired,
    Stage::Forced,
];

/// Request that is the claim as well.
const SINGLE: &str = "SingleMessage";

/// Facts that must have been at all.
const AT_ALL: [&str; 31] = [
    SINGLE,
    "RefundTakenBack",
    "TakenBack",
    "Linked",
    "Taken",
    "ClaimLinked",
    "ClaimUnlinked",
    "ClaimTaken",
    "ClaimGivenUp",
    "Declined",
    "IncrementApproved",
    "IncrementDeclined",
    "Spent",
    "PullIncluded",
    "PullFinal",
    "PullReorged",
    "PullDead",
    "PulledAgain",
    "Deposited",
    "Withdrawn",
    "Reorged",
    "ClearingCharged",
    "ClearingReturned",
    "RefundResolved",
    "DisputeCredited",
    "DisputeWon",
    "DisputeLost",
    "SettlementPaid",
    "SettlementReceived",
    "ReceivableRecovered",
    "SentBack",
];

/// Returns true if the message can meet a payment of this stage at all.
fn can_meet(kind: &str, stage: Stage) -> bool {
    match kind {
        "Expired" => stage == Stage::Open,
        "Approved" => stage == Stage::Asked,
        // An increment names a payment that is known, and a dispute one that was claimed.
        "IncrementRequested" => stage != Stage::Unknown,
        "DisputeOpened" => {
            matches!(stage, Stage::Open | Stage::Reversed | Stage::Cleared | Stage::Expired | Stage::Forced)
        }
        _ => true,
    }
}

fn kind(fact: &Fact) -> String {
    if matches!(fact.what, What::Requested { is_single: true, .. }) {
        return SINGLE.to_owned();
    }
    let text = format!("{:?}", fact.what);
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

/// Returns the pairs that a life had.
pub fn reached(facts: &[Fact]) -> BTreeSet<(String, Stage)> {
    let meets = |(index, fact): (usize, &Fact)| {
        let stage = books::payment(&facts[..index], &fact.payment).stage;
        (kind(fact), stage)
    };
    facts.iter().enumerate().map(meets).collect()
}

impl Coverage {
    pub fn add(&mut self, reached: BTreeSet<(String, Stage)>) {
        for pair in reached {
            *self.0.entry(pair).or_default() += 1;
        }
    }

    /// Returns the pairs that no life had.
    pub fn missing(&self) -> Vec<String> {
        let pairs = KINDS.iter().flat_map(|kind| STAGES.map(|stage| (*kind, stage)));
        let kinds: BTreeSet<&str> = self.0.keys().map(|(kind, _)| kind.as_str()).collect();
        let absent = AT_ALL.into_iter().filter(|kind| !kinds.contains(kind)).map(str::to_owned);
        pairs
            .filter(|(kind, stage)| can_meet(kind, *stage))
            .filter(|(kind, stage)| !self.0.contains_key(&((*kind).to_owned(), *stage)))
            .map(|(kind, stage)| format!("{kind} of {stage:?}"))
            .chain(absent)
            .collect()
    }

    pub fn shown(&self) -> String {
        let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((kind, stage), lives) in &self.0 {
            kinds.entry(kind).or_default().push(format!("{stage:?} {lives}"));
        }
        kinds.into_iter().map(|(kind, stages)| format!("  {kind}: {}\n", stages.join(", "))).collect()
    }
}
