//! Idempotency: the ids under which something happened, and a fingerprint of what was said under each of them.
//!
//! A log whose block was reorganized away counts as unseen again, because the chain may return to that very block.
//! The log must then say what it said before. A late duplicate cannot be told from such a return, so the chain reader
//! sends each log and each reorganization in order, once.

use clearfold_kernel::{Amount, ChainSource, Encoded, ExternalId, Rejection};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::funding::Leg;
use super::messages::{ClaimedOn, FundedBy};
use super::refund::Unlinked;
use super::state::Books;
use crate::checks;
use crate::network::MatchBasis;

/// Kind of thing that an id identifies. Ids of different kinds never collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A log: a deposit, a refund or something else, but never two of them.
    Log,
    /// The log's block was reorganized away and has not come back.
    Reorg,
    /// The log's block became final.
    Finality,
    Hold,
    /// A hold that cannot be refused. It may follow a hold with the same id that was voided.
    ForcedHold,
    /// A raise of a hold. A lowering may have the same id, because a reversal may come under that of an increment.
    Raise,
    Lowering,
    Clearing,
    ClearingReversal,
    RefundReversal,
    /// The suspension of a clearing. The clearing itself may be booked before, during or after it.
    Suspension,
    Resolution,
    Refund,
    RefundResolution,
    /// The assignment of a return to its payment, under the refund's id.
    ReturnAssignment,
    ProvisionalCredit,
    DisputeOutcome,
    /// Money that moved in a cycle of a dispute, under the network's record.
    DisputeMoney,
    Receivable,
    Recovery,
    Settlement,
    Fee,
    /// Match of a `Spend` with a payment, under the `Spend`'s id.
    Match,
    /// Move of a `Spend`'s money to the payment that it is linked to, by the number of the link.
    Move,
    MoveBack,
    /// Move of a clearing to the payment that it is linked to, by the number of the link.
    ClaimMove,
    ClaimMoveBack,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Reorg => "reorg",
            Self::Finality => "finality",
            Self::Hold => "hold",
            Self::ForcedHold => "forced_hold",
            Self::Raise => "raise",
            Self::Lowering => "lowering",
            Self::Clearing => "clearing",
            Self::ClearingReversal => "clearing_reversal",
            Self::RefundReversal => "refund_reversal",
            Self::Suspension => "suspension",
            Self::Resolution => "resolution",
            Self::Refund => "refund",
            Self::RefundResolution => "refund_resolution",
            Self::ReturnAssignment => "return_assignment",
            Self::ProvisionalCredit => "provisional_credit",
            Self::DisputeOutcome => "dispute_outcome",
            Self::DisputeMoney => "dispute_money",
            Self::Receivable => "receivable",
            Self::Recovery => "recovery",
            Self::Settlement => "settlement",
            Self::Fee => "fee",
            Self::Match => "match",
            Self::Move => "move",
            Self::MoveBack => "move_back",
            Self::ClaimMove => "claim_move",
            Self::ClaimMoveBack => "claim_move_back",
        }
    }
}

/// Id under which something happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    kind: Kind,
    id: String,
}

impl Identity {
    pub(super) fn new(kind: Kind, id: &impl ToString) -> Self {
        Self { kind, id: id.to_string() }
    }

    /// Identity of something that the network names within a payment: another payment may have the same id. No id has a
    /// blank, so no two pairs of ids are alike.
    pub(super) fn of_hold(kind: Kind, hold_id: &ExternalId, id: &ExternalId) -> Self {
        Self { kind, id: format!("{hold_id} {id}") }
    }

    /// Identity of something that the network names within a payment, and that earlier versions named within the account.
    pub(super) fn within(kind: Kind, hold_id: Option<&ExternalId>, id: &ExternalId) -> Self {
        hold_id.map_or_else(|| Self::new(kind, id), |hold_id| Self::of_hold(kind, hold_id, id))
    }

    /// Identity of a move of a `Spend`'s money, or of its way back.
    pub(super) fn moved(spend_id: &ExternalId, link: u32, to: FundedBy) -> Self {
        let kind = if to == FundedBy::Payment { Kind::Move } else { Kind::MoveBack };
        Self { kind, id: format!("{spend_id} {link}") }
    }

    /// Identity of a move of a clearing, or of its way back.
    pub(super) fn claim_moved(posted_on: &ExternalId, link: u32, to: ClaimedOn) -> Self {
        let kind = if to == ClaimedOn::Payment { Kind::ClaimMove } else { Kind::ClaimMoveBack };
        Self { kind, id: format!("{posted_on} {link}") }
    }

    pub(super) fn log(source: &ChainSource) -> Self {
        Self::new(Kind::Log, &LogId::of(source))
    }

    /// Identity of the finality of the log's block.
    pub(super) fn finality(source: &ChainSource) -> Self {
        Self::new(Kind::Finality, &LogId::of(source))
    }

    /// Key of the identity's entry. The longest ids consist of two ids: 257 bytes.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.kind.word(), self.id)
    }

    /// Identity under which the log is marked as reorganized away; `None` if this identity is not a log's.
    pub(super) fn reorg(&self) -> Option<Self> {
        (self.kind == Kind::Log).then(|| Self { kind: Kind::Reorg, id: self.id.clone() })
    }
}

/// Id of a log: its chain, its block and its index in the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogId(String);

impl LogId {
    pub(super) fn of(source: &ChainSource) -> Self {
        Self(format!("{}/{}/{}", source.chain_id, source.block_hash, source.log_index))
    }
}

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Digest of what was said under an id, in 16 bytes: ids are kept for ever, and their full contents would be most of
/// the stored data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn of(message: &Encoded) -> Self {
        let digest = Sha256::new().chain_update(&message.kind).chain_update(&message.payload).finalize();
        Self(hex::encode(&digest[..16]))
    }
}

/// Entry of something that has happened.
#[derive(Debug, Serialize, Deserialize)]
struct Act {
    said: Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<Fact>,
}

/// Detail of what happened that later commands need, besides that it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fact {
    /// Amount of a deposit, kept for a reorganization that may come.
    Deposited(Amount),
    /// Amount of a withdrawal, kept for a reorganization that may come.
    Withdrawn(Amount),
    /// Funding leg that was included in a block, kept for its finality or reorganization.
    Included(Leg),
    /// Amount of a clearing that is or was in suspense.
    Suspended(Amount),
    /// Refund that names no payment.
    Unlinked(Unlinked),
    /// Refund that the network told of and that was seen on chain before: the stream of that one, and the payment.
    Told { on_chain: ExternalId, payment_id: ExternalId },
    /// Amount of a refund that was resolved as a return, and that its payment counts.
    CameBack(Amount),
    /// Disputed amount.
    Disputed(Amount),
    /// `Spend` whose money a hold is for.
    HeldBy(ExternalId),
    /// Payment that a `Spend` was matched with, and the reason.
    Matched(ExternalId, MatchBasis),
}

impl Books {
    /// Returns true if something happened under the identity. A log that was reorganized away does not count.
    pub(super) fn has(&self, identity: &Identity) -> bool {
        self.entries.contains(&identity.key()) && !self.is_away(identity)
    }

    /// Returns the fact kept under the identity, also if its log was reorganized away.
    pub(super) fn fact(&self, identity: &Identity) -> Option<Fact> {
        self.entries.get::<Act>(&identity.key())?.fact
    }

    /// Returns true if this has already happened. Fails if something else happened under one of the identities.
    pub(super) fn has_done(&self, identities: &[Identity], said: &Fingerprint) -> Result<bool, Rejection> {
        for identity in identities {
            if let Some(before) = self.entries.get::<Act>(&identity.key()) {
                checks::repeated(&identity.id, &before.said, said)?;
            }
        }
        Ok(identities.iter().any(|identity| self.has(identity)))
    }

    pub(super) fn did(&mut self, identity: &Identity, said: &Fingerprint, fact: Option<&Fact>) {
        if let Some(reorg) = identity.reorg() {
            self.entries.remove(&reorg.key());
        }
        self.entries.set(&identity.key(), &Act { said: said.clone(), fact: fact.cloned() });
    }

    /// Replaces what is known under an identity.
    pub(super) fn rewrite(&mut self, identity: &Identity, said: &Fingerprint, fact: Option<Fact>) {
        self.entries.set(&identity.key(), &Act { said: said.clone(), fact });
    }

    fn is_away(&self, identity: &Identity) -> bool {
        identity.reorg().is_some_and(|reorg| self.entries.contains(&reorg.key()))
    }
}
