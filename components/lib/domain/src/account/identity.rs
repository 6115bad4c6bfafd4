//! Everything acts once: the ids under which something happened, and what was said under them.
//!
//! A log whose block was reorganized away is unseen again, for the chain may return to that very block. It then says
//! what it said before. A late duplicate cannot be told from such a return: the chain reader sends each in order, once.

use clearfold_kernel::{Amount, ChainSource, Encoded, Rejection};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::funding::Leg;
use super::state::Books;
use crate::checks;

/// What an id is of. Two ids of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A log: it is a deposit or a refund or something else, but never two of them.
    Log,
    /// The log's block was reorganized away, and has not come back.
    Reorg,
    /// The log's block became final.
    Finality,
    Hold,
    /// One that cannot be refused: it may follow another of the same id that was voided.
    ForcedHold,
    /// Of a hold, up or down.
    Change,
    Clearing,
    /// Of a clearing, which may be booked as well: before it, meanwhile or after it.
    Suspension,
    Resolution,
    Refund,
    RefundResolution,
    ProvisionalCredit,
    DisputeOutcome,
    Receivable,
    Recovery,
    Settlement,
    Fee,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Reorg => "reorg",
            Self::Finality => "finality",
            Self::Hold => "hold",
            Self::ForcedHold => "forced_hold",
            Self::Change => "change",
            Self::Clearing => "clearing",
            Self::Suspension => "suspension",
            Self::Resolution => "resolution",
            Self::Refund => "refund",
            Self::RefundResolution => "refund_resolution",
            Self::ProvisionalCredit => "provisional_credit",
            Self::DisputeOutcome => "dispute_outcome",
            Self::Receivable => "receivable",
            Self::Recovery => "recovery",
            Self::Settlement => "settlement",
            Self::Fee => "fee",
        }
    }
}

/// An id under which something happens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    kind: Kind,
    id: String,
}

impl Identity {
    pub(super) fn new(kind: Kind, id: &impl ToString) -> Self {
        Self { kind, id: id.to_string() }
    }

    pub(super) fn log(source: &ChainSource) -> Self {
        Self::new(Kind::Log, &LogId::of(source))
    }

    /// Of the log's block.
    pub(super) fn finality(source: &ChainSource) -> Self {
        Self::new(Kind::Finality, &LogId::of(source))
    }

    /// The key of its entry. The longest id is a dispute's, of two ids: 257 bytes.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.kind.word(), self.id)
    }

    /// Under which a log is known to be away.
    pub(super) fn reorg(&self) -> Option<Self> {
        (self.kind == Kind::Log).then(|| Self { kind: Kind::Reorg, id: self.id.clone() })
    }
}

/// What identifies a log: its chain, its block and its place in it.
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

/// What was said under an id, in 16 bytes: ids are kept for ever, and their contents would be most of what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn of(message: &Encoded) -> Self {
        let digest = Sha256::new().chain_update(&message.kind).chain_update(&message.payload).finalize();
        Self(hex::encode(&digest[..16]))
    }
}

/// What is remembered of something that has happened.
#[derive(Debug, Serialize, Deserialize)]
struct Act {
    said: Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<Fact>,
}

/// What later commands must know of what happened, beside that it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fact {
    /// For the reorganization that may come.
    Deposited(Amount),
    /// For the reorganization that may come.
    Withdrawn(Amount),
    /// Funding, until its block is final.
    Included(Leg),
    /// A clearing that is or was in suspense.
    Suspended(Amount),
    /// A refund that is or was in suspense.
    Unlinked(Amount),
    /// What a dispute is over.
    Disputed(Amount),
}

impl Books {
    /// Whether something happened under that id.
    pub(super) fn has(&self, identity: &Identity) -> bool {
        self.entries.contains(&identity.key()) && !self.is_away(identity)
    }

    /// What is known of that id, also if its log's block was reorganized away.
    pub(super) fn fact(&self, identity: &Identity) -> Option<Fact> {
        self.entries.get::<Act>(&identity.key())?.fact
    }

    /// Whether this has happened. That something else has, under one of the ids, is refused.
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

    fn is_away(&self, identity: &Identity) -> bool {
        identity.reorg().is_some_and(|reorg| self.entries.contains(&reorg.key()))
    }
}
