//! Facts of a message that decide nothing: they go into the command as they came.

use clearfold_domain::network::{
    Details, FeeAmount, FeeDirection, FeeList, FieldText, InvalidFees, NetworkFee, NetworkFees, StatedAmount,
};
use clearfold_kernel::{Amount, Asset};

use crate::message::{Kind, Message, Money, Stated, StatedFee};

/// Most amounts of a list that are kept: field 54 has six, and fees are fewer.
const MOST: usize = 12;

/// Returns what the message states besides what decides; None if that is nothing.
pub fn of(kind: Kind, message: &Message) -> Result<Option<Box<Details>>, String> {
    // A request and an advice have members of their own for card and merchant.
    let is_named = matches!(kind, Kind::Authorization | Kind::Advice);
    let mut stated = amounts("additional_amounts", &message.additional_amounts)?;
    // The question for a credit is asked as one for nothing.
    let asked = message.amount.as_ref().filter(|_| message.asks_for_credit(kind));
    stated.extend(asked.map(credit));
    Ok(Details {
        transaction_type: message.transaction_type(),
        processing_code: message.processing_code.clone(),
        amounts: stated,
        fees: amounts("fees", &message.fees)?,
        acquirer: message.acquirer.clone(),
        forwarder: message.forwarder.clone(),
        stan: message.stan.clone(),
        retrieval_reference: message.retrieval_reference.clone(),
        approval_code: message.approval_code.clone(),
        terminal: message.terminal.clone(),
        card_id: message.card.clone().filter(|_| !is_named),
        merchant: message.merchant.clone().filter(|_| !is_named),
        original: message.original.clone(),
        // A clearing has a member of its own for it.
        reference: message.reference.clone().filter(|_| kind != Kind::Clearing),
        additional: message.unknown.kept.clone(),
        not_kept: u32::try_from(message.unknown.left_out.len()).unwrap_or(u32::MAX),
    }
    .stated())
}

/// Returns the amount that a question for a credit is about.
fn credit(asked: &Money) -> StatedAmount {
    let asset = Asset { code: asked.currency.clone(), decimals: asked.exponent };
    let kind = FieldText::try_from("credit".to_owned()).ok();
    StatedAmount { kind, amount: Amount { minor: asked.minor, asset }, is_credit: true }
}

fn amounts(field: &str, stated: &[Stated]) -> Result<Vec<StatedAmount>, String> {
    if stated.len() > MOST {
        return Err(format!("{field} has {} amounts, and at most {MOST} are kept", stated.len()));
    }
    Ok(stated.iter().map(amount).collect())
}

/// Returns the network fees of a record; None if it states none.
pub fn network_fees(message: &Message) -> Result<Option<Box<NetworkFees>>, String> {
    if message.network_fees.is_empty() {
        return Ok(None);
    }
    let fees: Result<Vec<_>, InvalidFees> = message.network_fees.iter().map(network_fee).collect();
    let fees = fees.and_then(FeeList::try_from).map_err(|error| format!("network_fees: {error}"))?;
    Ok(Some(Box::new(NetworkFees { network: message.network, fees })))
}

fn network_fee(stated: &StatedFee) -> Result<NetworkFee, InvalidFees> {
    let asset = Asset { code: stated.currency.clone(), decimals: stated.exponent };
    let amount = FeeAmount::try_from(Amount { minor: stated.minor, asset })?;
    let direction = if stated.credit { FeeDirection::Credit } else { FeeDirection::Debit };
    Ok(NetworkFee { kind: stated.kind, code: stated.code.clone(), amount, direction })
}

fn amount(stated: &Stated) -> StatedAmount {
    let asset = Asset { code: stated.currency.clone(), decimals: stated.exponent };
    let amount = Amount { minor: stated.minor, asset };
    StatedAmount { kind: stated.kind.clone(), amount, is_credit: stated.credit }
}
