//! Settlement and reconciliation: compares what the chain and the network say with the books, and names every
//! difference.
//!
//! Two sources describe the same money. Authorizations say what was held, claimed, pulled, refunded and disputed;
//! accounts say what was booked. Each figure that both have is compared as soon as one of them changes, and a row of
//! `difference` exists as long as the two disagree. Most exist for moments, because a booking follows its cause; one
//! that lasts needs an operator. An account that was never opened differs in everything that its authorizations say,
//! because nothing of it is booked. Nothing here books, repairs or judges.
//!
//! | compared | authorizations, or the chain | the account's books |
//! |---|---|---|
//! | `hold` | remaining hold of a payment | remaining hold booked for it |
//! | `clearing`, `suspended_clearing` | amount that a record of the network claims | amount booked for it |
//! | `clearing_reversal`, `refund_reversal` | amount of a record that the network takes back | the same |
//! | `clearing_charged`, `clearing_returned` | suspended amount | the same |
//! | `refund`, `refund_paid`, `refund_taken_back` | refunded amount | the same |
//! | `dispute_credit`, `dispute_lost` | disputed amount | the same |
//! | `dispute_won` | awarded amount | the same |
//! | `dispute_money` | received or paid in a cycle of a dispute: paid is below zero | the same |
//! | `funding_included`, `funding_finalized`, `funding_reorged` | amount of a leg | the same |
//! | `return_owed` | pulled for a payment that neither holds nor claimed it | zero: it is to be sent back |
//! | `unmatched_reversal` | amount that a reversal states whose record did not come, or is in suspense | zero: it is to be taken back, or dismissed |
//! | `safe` | deposited − withdrawn − pulled + returned, refunded or reorganized away | the ledger account |
//! | `in_transit` | pulled, not final | the ledger account |
//! | `hold_account` | pulled and final − returned − refunded − settled | the ledger account |
//! | `suspense`, `receivable`, `settlement` | zero: nothing should remain | what still remains |
//! | `withheld` | zero: every refund is resolved | part of a refund on chain that is not credited |
//!
//! The kind of disagreement completes the name: a payment's figures, such as `clearing`, are `not_booked`,
//! `not_authorized` or `differs`; chain against ledger is always `differs`; suspense, receivables, what is withheld,
//! what is owed back and unmatched reversals are `open`, settlements are `outstanding`.

mod comparison;
mod figures;
mod hold;
mod of_account;
mod of_authorization;
mod reported_change;
mod tables;

use std::slice;

use clearfold_kernel::{Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey, Timestamp};

use self::comparison::Subject;
use self::reported_change::ReportedChange;
use self::tables::{AccountAsset, AssetTotal, Difference, Hold};
use crate::projecting::{self, Misfit, Rows};
use crate::{account, authorization};

/// Projector of `settlement`.
pub struct Settlement;

impl Projector for Settlement {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor {
            name: "settlement",
            version: 8,
            tables: tables::all(),
            reads: &[authorization::AGGREGATE, account::AGGREGATE],
        }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        each(events, |change, _| {
            keys.extend(keys_of(change));
            Ok(())
        })?;
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::fetched(&tables::all(), rows)?;
        each(events, |change, at| apply(&mut rows, change, at))?;
        Ok(rows.into_changes())
    }
}

/// Calls `work` with the effect of each event, for both kinds of streams in the order of the log.
fn each(
    events: &[RecordedEvent],
    mut work: impl FnMut(&ReportedChange, Timestamp) -> Result<(), Misfit>,
) -> Result<(), String> {
    let mut hand_over = |change: Option<ReportedChange>, recorded: &RecordedEvent| {
        change.map_or(Ok(()), |change| work(&change, recorded.recorded_at))
    };
    for event in events.iter().map(slice::from_ref) {
        projecting::each(authorization::AGGREGATE, event, |seen| {
            hand_over(of_authorization::reported_change(seen.id, &seen.event)?, seen.recorded)
        })?;
        projecting::each(account::AGGREGATE, event, |seen| {
            hand_over(of_account::reported_change(seen.id, &seen.event)?, seen.recorded)
        })?;
    }
    Ok(())
}

fn keys_of(change: &ReportedChange) -> Vec<RowKey> {
    let (account, asset) = (&change.account, &change.asset.code);
    let mut subjects: Vec<Subject> = change.sides.iter().map(|side| side.subject.clone()).collect();
    let mut keys = Vec::new();
    if change.moves_figures() {
        keys.extend([AccountAsset::key(account, asset), AssetTotal::key(asset)]);
        subjects.extend(figures::COMPARED.map(|what| Subject::of_account(what, account)));
    }
    if let Some((payment_id, _)) = &change.hold {
        keys.push(Hold::key(account, asset, payment_id));
        subjects.push(Subject::of_payment(payment_id));
    }
    keys.extend(subjects.iter().map(|subject| Difference::key(account, asset, &subject.what, &subject.id)));
    keys
}

fn apply(rows: &mut Rows, change: &ReportedChange, at: Timestamp) -> Result<(), Misfit> {
    if change.moves_figures() {
        figures::add(rows, change, at)?;
    }
    if let Some((payment_id, step)) = &change.hold {
        hold::update(rows, change, payment_id, *step, at)?;
    }
    change.sides.iter().try_for_each(|side| comparison::update_side(rows, change, side, at))
}
