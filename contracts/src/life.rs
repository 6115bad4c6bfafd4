//! Lives of payments: what the card network does next with one. Pure: it follows from the payment's id and from what
//! the host says of it, so a simulation that begins again goes on with the rest.

use crate::host::Payment;

/// Units of the smallest number on a card, a cent, in an asset with 18 decimals.
pub const CENT: u128 = 10_000_000_000_000_000;

/// Life of a payment that was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Cleared,
    Incremented,
    ReversedInPart,
    Reversed,
    Refunded,
    ClearedInTwoParts,
}

/// Next act of the network, with its amount in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Claims a payment that was seen on chain first.
    ClaimSwipe,
    /// Asks for more in the same payment.
    Increment {
        cents: u128,
    },
    Clear {
        cents: u128,
        part: u8,
        parts: u8,
    },
    ReversePart {
        cents: u128,
    },
    Reverse,
    Refund {
        cents: u128,
    },
    /// Settles what was claimed.
    Settle {
        cents: u128,
    },
    /// Settles what was refunded.
    SettleRefund {
        cents: u128,
    },
}

impl Act {
    /// Name of the act, the same for the same act on the same payment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaimSwipe | Self::Clear { part: 1, .. } => "clear",
            Self::Clear { .. } => "clear-rest",
            Self::Increment { .. } => "increment",
            Self::ReversePart { .. } => "reverse-part",
            Self::Reverse => "reverse",
            Self::Refund { .. } => "refund",
            Self::Settle { .. } => "settle",
            Self::SettleRefund { .. } => "settle-refund",
        }
    }

    /// Returns true if it comes at once, and not after the customer's time.
    pub const fn is_prompt(self) -> bool {
        matches!(self, Self::Increment { .. } | Self::Settle { .. } | Self::SettleRefund { .. })
    }
}

/// Statuses in which the network has something to do.
pub const STATUSES: [&str; 5] =
    ["recorded", "authorized", "partially_authorized", "partially_cleared", "cleared"];

/// Acts that are due on a payment, given its status and its amounts.
pub fn acts(payment: &Payment) -> Vec<Act> {
    if !is_simulated(&payment.id) {
        return Vec::new();
    }
    let life = life(&payment.id);
    let [held, reversed, cleared, refunded] =
        [&payment.held, &payment.reversed, &payment.cleared, &payment.refunded]
            .map(|amount| amount.minor / CENT);
    match payment.status.as_str() {
        "recorded" => vec![Act::ClaimSwipe],
        // A verification holds nothing that could be claimed.
        "authorized" if held == 0 => Vec::new(),
        "authorized" if life == Life::Incremented => {
            // The amount follows from the first one, so a simulation that begins again asks for the same.
            let cents = payment.amount.minor / CENT / 4 + 1;
            vec![Act::Increment { cents }, Act::Clear { cents: held, part: 1, parts: 1 }]
        }
        "authorized" => vec![match life {
            Life::Reversed => Act::Reverse,
            Life::ReversedInPart if reversed == 0 && held > 1 => Act::ReversePart { cents: held / 2 },
            Life::ClearedInTwoParts if held > 1 => Act::Clear { cents: held / 2, part: 1, parts: 2 },
            _ => Act::Clear { cents: held, part: 1, parts: 1 },
        }],
        "partially_authorized" => vec![Act::Clear { cents: held, part: 1, parts: 1 }],
        "partially_cleared" => vec![Act::Clear { cents: held, part: 2, parts: 2 }],
        // A part of a cent is no number of the network.
        "cleared" if cleared == 0 => Vec::new(),
        "cleared" => {
            let mut acts = vec![Act::Settle { cents: cleared }];
            if refunded > 0 {
                acts.push(Act::SettleRefund { cents: refunded });
            } else if life == Life::Refunded && payment.id.starts_with("visa-") {
                acts.push(Act::Refund { cents: cleared });
            }
            acts
        }
        _ => Vec::new(),
    }
}

/// Returns true for a payment that this network asked for, or that began on the development chain, whose ids have no
/// parts. Somebody may try payments of their own beside it.
fn is_simulated(id: &str) -> bool {
    id.starts_with("visa-demo-") || !id.contains('-')
}

fn life(id: &str) -> Life {
    match id.bytes().map(u32::from).sum::<u32>() % 10 {
        0 => Life::ReversedInPart,
        1 => Life::Reversed,
        2 | 3 => Life::Refunded,
        4 => Life::ClearedInTwoParts,
        5 => Life::Incremented,
        _ => Life::Cleared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Amount;

    fn payment(id: &str, status: &str, [held, reversed, cleared, refunded]: [u128; 4]) -> Payment {
        let amount = |cents: u128| Amount { minor: cents * CENT, decimals: 18, asset: "EURe".to_owned() };
        Payment {
            id: id.to_owned(),
            account: "0xaa".to_owned(),
            status: status.to_owned(),
            amount: amount(held),
            held: amount(held),
            reversed: amount(reversed),
            cleared: amount(cleared),
            refunded: amount(refunded),
            occurred_at: "2026-11-29T10:00:00.000Z".to_owned(),
        }
    }

    /// Id of a payment with that life.
    fn id(wanted: Life) -> String {
        (0..10).map(|number| format!("visa-demo-{number}")).find(|id| life(id) == wanted).unwrap()
    }

    #[test]
    fn payments_of_others_are_left_alone() {
        for id in ["visa-1", "mastercard-2026-11-22-MCC", "trace-visa-1-2-3-4", "refund-visa-1"] {
            assert_eq!(acts(&payment(id, "authorized", [100, 0, 0, 0])), [], "{id}");
        }
        let seen_on_chain = payment("0123456789abcdef0123456789abcdef", "recorded", [100, 0, 0, 0]);
        assert_eq!(acts(&seen_on_chain), [Act::ClaimSwipe]);
    }

    #[test]
    fn each_life_goes_on_to_its_end() {
        let next = |life, status, figures| acts(&payment(&id(life), status, figures));
        let whole = |cents| vec![Act::Clear { cents, part: 1, parts: 1 }];
        assert_eq!(next(Life::Cleared, "authorized", [100, 0, 0, 0]), whole(100));
        assert_eq!(next(Life::Cleared, "cleared", [0, 0, 100, 0]), [Act::Settle { cents: 100 }]);
        let in_part = next(Life::ReversedInPart, "authorized", [101, 0, 0, 0]);
        assert_eq!(in_part, [Act::ReversePart { cents: 50 }]);
        assert_eq!(next(Life::ReversedInPart, "authorized", [51, 50, 0, 0]), whole(51));
        assert_eq!(next(Life::Reversed, "authorized", [100, 0, 0, 0]), [Act::Reverse]);
        assert_eq!(next(Life::Reversed, "reversed", [0, 100, 0, 0]), []);
        let more = [Act::Increment { cents: 26 }, Act::Clear { cents: 100, part: 1, parts: 1 }];
        assert_eq!(next(Life::Incremented, "authorized", [100, 0, 0, 0]), more);
        assert_eq!(next(Life::Reversed, "partially_authorized", [70, 0, 0, 0]), whole(70));
        let first = next(Life::ClearedInTwoParts, "authorized", [101, 0, 0, 0]);
        assert_eq!(first, [Act::Clear { cents: 50, part: 1, parts: 2 }]);
        let rest = next(Life::ClearedInTwoParts, "partially_cleared", [51, 0, 50, 0]);
        assert_eq!(rest, [Act::Clear { cents: 51, part: 2, parts: 2 }]);
        let refund = [Act::Settle { cents: 100 }, Act::Refund { cents: 100 }];
        assert_eq!(next(Life::Refunded, "cleared", [0, 0, 100, 0]), refund);
        let settled = [Act::Settle { cents: 100 }, Act::SettleRefund { cents: 100 }];
        assert_eq!(next(Life::Refunded, "cleared", [0, 0, 100, 100]), settled);
    }
}
