//! Settlement and reconciliation: what the chain and the network say, what the books say, and every difference named.
//!
//! Two sources tell of the same money. Authorizations say what was held, claimed, pulled, refunded and disputed;
//! accounts say what was booked. Each figure that both have is compared as soon as one of them changes, and a row of
//! `difference` stands as long as the two part. Most stand for moments: a booking follows its cause. What has stood
//! for long is somebody's work. An account whose books were never opened differs in all that its authorizations say,
//! because nothing of it is booked. Nothing here books, mends or judges.
//!
//! | compared | authorizations, or the chain | the account's books |
//! |---|---|---|
//! | `hold` | what a payment still holds | what is left of its hold |
//! | `clearing`, `suspended_clearing` | what a record of the network claims | what was booked for it |
//! | `clearing_charged`, `clearing_returned` | what was suspended | the same |
//! | `refund`, `refund_paid`, `refund_taken_back` | what came back | the same |
//! | `dispute_credit`, `dispute_lost` | how much is disputed | the same |
//! | `dispute_won` | how much was awarded | the same |
//! | `funding_included`, `funding_finalized`, `funding_reorged` | what a leg pulled | the same |
//! | `safe` | deposited − withdrawn − pulled + what came back | the ledger account |
//! | `in_transit` | pulled, and not final | the ledger account |
//! | `hold_account` | pulled for good − what went back − what was settled | the ledger account |
//! | `suspense`, `receivable`, `settlement` | nothing: it shall not stay so | what is still there |
//!
//! How they differ completes the name: `clearing` is `not_booked`, `not_authorized` or `differs`; the chain and the
//! ledger `differ`; suspense and receivables are `open`, settlements are `outstanding`.

mod comparison;
mod figures;
mod hold;
mod of_account;
mod of_authorization;
mod tables;
mod told;

use std::slice;

use clearfold_kernel::{Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey, Timestamp};

use self::comparison::Subject;
use self::tables::{AccountAsset, AssetTotal, Difference, Hold};
use self::told::Told;
use crate::projecting::{self, Misfit, Rows};
use crate::{account, authorization};

/// The projector.
pub struct Settlement;

impl Projector for Settlement {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor { name: "settlement", version: 2, tables: tables::all() }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        each(events, |told, _| {
            keys.extend(keys_of(told));
            Ok(())
        })?;
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::fetched(&tables::all(), rows)?;
        each(events, |told, at| apply(&mut rows, told, at))?;
        Ok(rows.into_changes())
    }
}

/// Hands over what each event tells, of both kinds of streams in the log's order.
fn each(
    events: &[RecordedEvent],
    mut work: impl FnMut(&Told, Timestamp) -> Result<(), Misfit>,
) -> Result<(), String> {
    let mut hand_over = |told: Option<Told>, recorded: &RecordedEvent| {
        told.map_or(Ok(()), |told| work(&told, recorded.recorded_at))
    };
    for event in events.iter().map(slice::from_ref) {
        projecting::each(authorization::AGGREGATE, event, |seen| {
            hand_over(of_authorization::told(seen.id, &seen.event)?, seen.recorded)
        })?;
        projecting::each(account::AGGREGATE, event, |seen| {
            hand_over(of_account::told(seen.id, &seen.event)?, seen.recorded)
        })?;
    }
    Ok(())
}

fn keys_of(told: &Told) -> Vec<RowKey> {
    let (account, asset) = (&told.account, &told.asset.code);
    let mut subjects: Vec<Subject> = told.sides.iter().map(|side| side.subject.clone()).collect();
    let mut keys = Vec::new();
    if told.moves_figures() {
        keys.extend([AccountAsset::key(account, asset), AssetTotal::key(asset)]);
        subjects.extend(figures::COMPARED.map(|what| Subject::of_account(what, account)));
    }
    if let Some((payment_id, _)) = &told.hold {
        keys.push(Hold::key(account, asset, payment_id));
        subjects.push(Subject::of_payment(payment_id));
    }
    keys.extend(subjects.iter().map(|subject| Difference::key(account, asset, &subject.what, &subject.id)));
    keys
}

fn apply(rows: &mut Rows, told: &Told, at: Timestamp) -> Result<(), Misfit> {
    if told.moves_figures() {
        figures::add(rows, told, at)?;
    }
    if let Some((payment_id, step)) = &told.hold {
        hold::change(rows, told, payment_id, *step, at)?;
    }
    told.sides.iter().try_for_each(|side| comparison::tell(rows, told, side, at))
}
