//! Pulls of payments: what a saga asks for, which pulls a leg of a payment has, and what follows from both. Pure.
//!
//! A leg has at most one pull that is not definitely dead, whatever numbers its saga asks for: a request joins the pull
//! that may still be executed, and a new one is accepted only when every other is dead for good. A leg that is withdrawn
//! gets no new one.

use alloy::primitives::{B256, keccak256};
use clearfold_kernel::{Address, Amount, ExternalId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::pull::PullId;
use super::state::{Cause, Outcome};

/// Request of a saga, the document of the effect `pull`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Id of the payment.
    pub authorization_id: ExternalId,
    /// Safe that pays.
    pub account: Address,
    pub amount: Amount,
    /// Number of the pull in its leg, from 1. It increments when the one before is dead.
    pub number: u32,
    /// Number of the leg of the payment's funding, from 1; the first if it is absent.
    #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
    pub leg: u32,
    /// True if nothing of the leg shall be pulled any more; amount and number say nothing then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdraw: bool,
}

/// Number of a payment's first leg, which its id alone names.
const FIRST_LEG: u32 = 1;
const LEG: &str = "/leg/";

const fn first_leg() -> u32 {
    FIRST_LEG
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_first_leg(leg: &u32) -> bool {
    *leg == FIRST_LEG
}

/// Returns the name of a payment's leg, by which the submitter knows it. The id of a payment has no slash.
#[must_use]
pub fn leg_name(payment_id: &str, leg: u32) -> String {
    if leg == FIRST_LEG { payment_id.to_owned() } else { format!("{payment_id}{LEG}{leg}") }
}

/// Returns the payment and the number of a leg, from its name.
#[must_use]
pub fn leg_of_name(name: &str) -> (&str, u32) {
    let later = name.rsplit_once(LEG).and_then(|(payment_id, leg)| Some((payment_id, leg.parse().ok()?)));
    later.unwrap_or((name, FIRST_LEG))
}

/// Pulls of a leg, and if it is withdrawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LegPulls {
    pub pulls: Vec<PaymentPull>,
    pub is_withdrawn: bool,
}

/// Pull of a leg, as the submitter's changes know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PaymentPull {
    pub id: PullId,
    pub hash: B256,
    /// `None` while the chain can still decide about it.
    pub end: Option<End>,
}

/// End of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Executed { transaction: B256, block: u64 },
    Dead { cause: Cause },
}

/// Decision on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The leg's money was pulled.
    Executed { pull: PaymentPull, transaction: B256, block: u64 },
    /// The pull with this number cannot be executed any more.
    Dead { cause: Cause },
    /// The pull with this number is accepted and has not ended.
    UnderWay,
    /// Another pull of the leg has not ended.
    Behind,
    /// The pull can be accepted.
    New,
}

impl PullId {
    /// Id of a leg's pull with that number; `None` if it would be too long.
    #[must_use]
    pub fn of_leg(leg_name: &str, number: u32) -> Option<Self> {
        Self::new(&format!("{leg_name}/pull/{number}"))
    }

    /// Returns the name of the pull's leg; `None` if it is the pull of no payment.
    #[must_use]
    pub fn leg_name(&self) -> Option<String> {
        let text = self.to_string();
        text.rsplit_once("/pull/").map(|(name, _)| name.to_owned())
    }

    /// Salt of the pull's call: each number of each leg has its own.
    #[must_use]
    pub fn salt(&self) -> B256 {
        keccak256(self.to_string())
    }
}

impl End {
    pub fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Done { transaction, block } => Some(Self::Executed { transaction, block }),
            Outcome::Dead { cause } => Some(Self::Dead { cause }),
            Outcome::Refused { .. } => None,
        }
    }
}

/// Says what a request for the pull `id` comes to, given all pulls of its leg.
pub(super) fn verdict(pulls: &[PaymentPull], id: &PullId) -> Verdict {
    for pull in pulls {
        if let Some(End::Executed { transaction, block }) = pull.end {
            return Verdict::Executed { pull: pull.clone(), transaction, block };
        }
    }
    match pulls.iter().find(|pull| pull.id == *id).map(|pull| pull.end) {
        Some(Some(End::Dead { cause })) => Verdict::Dead { cause },
        Some(_) => Verdict::UnderWay,
        None if pulls.iter().any(|pull| pull.end.is_none()) => Verdict::Behind,
        None => Verdict::New,
    }
}

/// Answer to the saga: the transaction that pulled the money.
pub(super) fn answer(pull: &PaymentPull, transaction: B256, block: u64) -> Vec<u8> {
    let (id, hash) = (pull.id.to_string(), pull.hash);
    json!({"pull": id, "hash": hash, "transaction_hash": transaction, "block": block})
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXECUTED: End = End::Executed { transaction: B256::ZERO, block: 7 };
    const DEAD: End = End::Dead { cause: Cause::Expired };

    fn pull(number: u32, end: Option<End>) -> PaymentPull {
        PaymentPull { id: id(number), hash: B256::repeat_byte(1), end }
    }

    fn id(number: u32) -> PullId {
        PullId::of_leg("visa-t1", number).unwrap()
    }

    #[test]
    fn a_new_pull_is_accepted_only_if_all_others_are_dead() {
        let of = |pulls: &[PaymentPull], number| verdict(pulls, &id(number));
        assert_eq!(of(&[], 1), Verdict::New);
        assert_eq!(of(&[pull(1, None)], 1), Verdict::UnderWay);
        assert_eq!(of(&[pull(1, Some(DEAD))], 1), Verdict::Dead { cause: Cause::Expired });
        assert_eq!(of(&[pull(1, Some(DEAD))], 2), Verdict::New);
        assert_eq!(of(&[pull(1, None)], 2), Verdict::Behind, "it may still be executed");
        assert_eq!(of(&[pull(1, Some(DEAD)), pull(2, None)], 3), Verdict::Behind);
        assert_eq!(of(&[pull(2, None)], 1), Verdict::Behind, "a request that comes late");
    }

    #[test]
    fn whichever_pull_was_executed_ends_every_request() {
        for (pulls, number) in [
            (vec![pull(1, Some(EXECUTED))], 1),
            (vec![pull(1, Some(EXECUTED))], 2),
            (vec![pull(1, Some(DEAD)), pull(2, Some(EXECUTED))], 1),
            (vec![pull(1, None), pull(2, Some(EXECUTED))], 1),
        ] {
            let verdict = verdict(&pulls, &id(number));
            assert!(matches!(verdict, Verdict::Executed { block: 7, .. }), "{pulls:?} {number}");
        }
    }

    #[test]
    fn a_request_is_read_as_the_saga_writes_it() {
        let written = r#"{"authorization_id":"visa-t1","account":"0x1010101010101010101010101010101010101010",
            "amount":{"minor":"500","asset":"EURe","decimals":18},"number":2}"#;
        let request: PullRequest = serde_json::from_str(written).unwrap();
        assert_eq!((request.authorization_id.as_str(), request.number), ("visa-t1", 2));
        assert_eq!((request.leg, request.withdraw), (1, false));
        assert_ne!(id(1).salt(), id(2).salt());
        assert_eq!(id(2).to_string(), "visa-t1/pull/2");
    }

    #[test]
    fn a_leg_has_a_name_and_its_pulls_have_ids_and_salts_of_their_own() {
        assert_eq!(
            (leg_name("visa-t1", 1), leg_name("visa-t1", 2)),
            ("visa-t1".into(), "visa-t1/leg/2".into())
        );
        for (name, leg) in [("visa-t1", ("visa-t1", 1)), ("visa-t1/leg/12", ("visa-t1", 12))] {
            assert_eq!(leg_of_name(name), leg);
            let pull = PullId::of_leg(name, 3).unwrap();
            assert_eq!(pull.leg_name().as_deref(), Some(name));
            assert_ne!(pull.salt(), PullId::of_leg("visa-t1/leg/3", 3).unwrap().salt());
        }
    }
}
