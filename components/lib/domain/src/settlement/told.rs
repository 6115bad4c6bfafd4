//! What one event tells of an account's money in one asset, whoever tells it.

use clearfold_kernel::{Asset, ChainSource, Minor};

use super::comparison::{Subject, What};
use super::figures::Reported;
use crate::account::Transfer;

/// Who tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    /// What is to be booked.
    Authorization,
    /// What was booked.
    Account,
}

/// What an event tells.
pub(super) struct Told {
    pub teller: Teller,
    pub account: String,
    pub asset: Asset,
    /// What the chain or the network did.
    pub reported: Vec<(Reported, Step)>,
    /// What moved in the ledger.
    pub transfers: Vec<Transfer>,
    /// What became of a payment's hold.
    pub hold: Option<(String, HoldStep)>,
    /// The teller's sides of comparisons.
    pub sides: Vec<Side>,
}

/// How a figure changes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Up(Minor),
    Down(Minor),
}

/// How a hold changes.
#[derive(Debug, Clone, Copy)]
pub(super) enum HoldStep {
    By(Step),
    /// A clearing uses up what it claims, as far as the hold goes; the last one ends the hold. What a superseded
    /// clearing says it released or claimed against the hold may be less, or more, than that.
    Claimed {
        minor: Minor,
        is_final: bool,
    },
}

/// One side of a comparison.
pub(super) struct Side {
    pub subject: Subject,
    pub step: Step,
}

impl Told {
    pub(super) fn by(teller: Teller, account: String, asset: &Asset) -> Self {
        Self {
            teller,
            account,
            asset: asset.clone(),
            reported: Vec::new(),
            transfers: Vec::new(),
            hold: None,
            sides: Vec::new(),
        }
    }

    pub(super) fn reports(mut self, figure: Reported, step: Step) -> Self {
        self.reported.push((figure, step));
        self
    }

    pub(super) fn moves(mut self, transfers: &[Transfer]) -> Self {
        self.transfers = transfers.to_vec();
        self
    }

    pub(super) fn holds(mut self, payment_id: &str, step: HoldStep) -> Self {
        self.hold = Some((payment_id.to_owned(), step));
        self
    }

    pub(super) fn says(mut self, what: What, id: &str, payment_id: Option<&str>, step: Step) -> Self {
        let subject = Subject { what, id: id.to_owned(), payment_id: payment_id.map(str::to_owned) };
        self.sides.push(Side { subject, step });
        self
    }

    /// Whether the figures of the account change.
    pub(super) fn moves_figures(&self) -> bool {
        !self.reported.is_empty() || !self.transfers.is_empty()
    }
}

/// What identifies a leg: its chain, its block and its place in it.
pub(super) fn leg(source: &ChainSource) -> String {
    format!("{}/{}/{}", source.chain_id, source.block_hash, source.log_index)
}
