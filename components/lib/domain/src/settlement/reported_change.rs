//! Effect of one event on an account's figures in one asset, as the authorization or the account reports it.

use clearfold_kernel::{Asset, ChainSource, ExternalId, Minor};

use super::comparison::{Subject, What};
use super::fees::FeeChange;
use super::figures::Reported;
use crate::account::Transfer;
use crate::network::DisputeDirection;

/// Side whose stream reports a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportingSide {
    /// Authorization's side: what is to be booked.
    Authorization,
    /// Account's side: what was booked.
    Account,
}

/// Effect of one event on an account's figures in one asset.
pub(super) struct ReportedChange {
    pub reporting_side: ReportingSide,
    pub account: String,
    pub asset: Asset,
    /// Changes of figures that the chain or the network reported.
    pub reported: Vec<(Reported, Step)>,
    /// Transfers booked in the ledger.
    pub transfers: Vec<Transfer>,
    /// Payment whose hold changes, and the change.
    pub hold: Option<(String, HoldStep)>,
    /// Sides of comparisons that the event changes.
    pub sides: Vec<Side>,
    /// Network fees, in currencies of their own.
    pub fees: Vec<FeeChange>,
}

/// Change of a figure.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Up(Minor),
    Down(Minor),
}

/// Change of a hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum HoldStep {
    By(Step),
    /// A clearing uses up what it claims, as far as the hold goes; the final one ends the hold. The amounts against
    /// the hold and released in a superseded version of the event may differ from that, so they are not used.
    Claimed {
        minor: Minor,
        is_final: bool,
    },
}

/// Change of one side of a comparison.
pub(super) struct Side {
    pub subject: Subject,
    pub step: Step,
}

impl ReportedChange {
    pub(super) fn by(reporting_side: ReportingSide, account: String, asset: &Asset) -> Self {
        Self {
            reporting_side,
            account,
            asset: asset.clone(),
            reported: Vec::new(),
            transfers: Vec::new(),
            hold: None,
            sides: Vec::new(),
            fees: Vec::new(),
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

    /// Returns true if the figures of the account change.
    pub(super) fn moves_figures(&self) -> bool {
        !self.reported.is_empty() || !self.transfers.is_empty()
    }
}

/// Id of a funding leg: the chain, the block and the log index of its log.
pub(super) fn leg(source: &ChainSource) -> String {
    format!("{}/{}/{}", source.chain_id, source.block_hash, source.log_index)
}

/// Step of money that moved in a cycle of a dispute.
pub(super) const fn moved(direction: DisputeDirection, minor: Minor) -> Step {
    match direction {
        DisputeDirection::Received => Step::Up(minor),
        DisputeDirection::Paid => Step::Down(minor),
    }
}

/// Id of a record of the network, which is unique within its payment.
pub(super) fn reversal(payment_id: &str, reversal_id: &ExternalId) -> String {
    format!("{payment_id}/{reversal_id}")
}
