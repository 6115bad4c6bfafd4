//! Everything acts once: the ids under which something happened, and what was said under them.
//!
//! A log whose block was reorganized away is unseen again, for the chain may return to that very block. It then says
//! what it said before. A late duplicate cannot be told from such a return: the chain reader sends each in order, once.

use std::collections::BTreeMap;

use clearfold_kernel::{ChainSource, Encoded, Rejection};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checks;

/// What an id is of. Two ids of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
}

/// What identifies a log: its chain, its block and its place in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
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

/// What was said under an id, in 16 bytes: ids are kept for ever, and their contents would be most of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn of(message: &Encoded) -> Self {
        let digest = Sha256::new().chain_update(&message.kind).chain_update(&message.payload).finalize();
        Self(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// All that has happened, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acts(BTreeMap<Kind, BTreeMap<String, Fingerprint>>);

impl Acts {
    /// Whether something happened under that id.
    pub(super) fn contains(&self, identity: &Identity) -> bool {
        self.get(identity).is_some() && !self.is_away(identity)
    }

    /// Whether this has happened. That something else has, under one of the ids, is refused.
    pub(super) fn has_done(&self, identities: &[Identity], said: &Fingerprint) -> Result<bool, Rejection> {
        let mut known = identities.iter().filter_map(|identity| Some((identity, self.get(identity)?)));
        known.try_for_each(|(identity, before)| checks::repeated(&identity.id, before, said))?;
        Ok(identities.iter().any(|identity| self.contains(identity)))
    }

    pub(super) fn insert(&mut self, identity: Identity, said: Fingerprint) {
        if identity.kind == Kind::Log
            && let Some(away) = self.0.get_mut(&Kind::Reorg)
        {
            away.remove(&identity.id);
        }
        self.0.entry(identity.kind).or_default().insert(identity.id, said);
    }

    fn is_away(&self, identity: &Identity) -> bool {
        let away = self.0.get(&Kind::Reorg);
        identity.kind == Kind::Log && away.is_some_and(|away| away.contains_key(&identity.id))
    }

    fn get(&self, identity: &Identity) -> Option<&Fingerprint> {
        self.0.get(&identity.kind)?.get(&identity.id)
    }
}
