//! Disputes in the model: what the customer has of them, and what the network moved.

use std::collections::BTreeSet;

use super::Payment;
use crate::facts::What;

#[derive(Debug, Clone)]
pub struct Dispute {
    pub id: String,
    pub amount: i128,
    pub is_open: bool,
    pub is_credited: bool,
    awarded: i128,
}

/// Money that the network moved: above zero if we received it.
#[derive(Debug, Clone)]
pub struct Money {
    pub dispute: String,
    pub amount: i128,
    pub is_withdrawal: bool,
}

/// Balances of all disputes of a payment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Books {
    /// Money that the network owes us for them, or has paid.
    pub from_network: i128,
    /// Debits of suspense.
    pub waits: i128,
    pub loss: i128,
}

impl Payment {
    /// Returns the balances of its disputes, also of those that nobody opened.
    pub fn dispute_books(&self) -> Books {
        let known = self.disputes.iter().map(|dispute| &dispute.id);
        let told = self.money.iter().map(|money| &money.dispute);
        let ids: BTreeSet<&String> = known.chain(told).collect();
        let mut books = Books::default();
        for id in ids {
            let moved = self.money.iter().filter(|money| money.dispute == *id);
            let is_withdrawn = moved.clone().any(|money| money.is_withdrawal);
            let net: i128 = moved.map(|money| money.amount).sum();
            let dispute = self.disputes.iter().find(|dispute| dispute.id == *id);
            let award = dispute.filter(|dispute| !dispute.is_open).map(|dispute| dispute.awarded);
            let customer = match dispute {
                Some(open) if open.is_open && open.is_credited => open.amount,
                _ => award.unwrap_or(0),
            };
            // The network is expected to pay what it awards, until we give up.
            let from_network = match award {
                Some(award) if !is_withdrawn => net.max(award),
                _ => net,
            };
            let loss = if is_withdrawn { award.unwrap_or(0) - net } else { 0 };
            books.from_network += from_network;
            books.loss += loss;
            books.waits += customer - from_network - loss;
        }
        books
    }
}

pub fn dispute(payment: &mut Payment, what: &What) {
    match what {
        What::DisputeOpened { id, amount } => payment.disputes.push(Dispute {
            id: id.clone(),
            amount: *amount,
            is_open: true,
            is_credited: false,
            awarded: 0,
        }),
        What::DisputeMoney { dispute, amount, is_withdrawal, .. } => {
            let (dispute, amount, is_withdrawal) = (dispute.clone(), *amount, *is_withdrawal);
            payment.money.push(Money { dispute, amount, is_withdrawal });
        }
        What::DisputeCredited { id } => {
            let Some(dispute) = payment.disputes.iter_mut().find(|dispute| dispute.id == *id) else { return };
            dispute.is_credited = true;
            payment.credited += dispute.amount;
        }
        What::DisputeWon { id, .. } | What::DisputeLost { id } => {
            let Some(dispute) = payment.disputes.iter_mut().find(|dispute| dispute.id == *id) else { return };
            dispute.is_open = false;
            dispute.awarded = if let What::DisputeWon { awarded, .. } = what { *awarded } else { 0 };
            payment.credited -= if dispute.is_credited { dispute.amount } else { 0 };
            payment.won += dispute.awarded;
        }
        _ => {}
    }
}
