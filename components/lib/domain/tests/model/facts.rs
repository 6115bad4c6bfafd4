//! Facts of one account's life, as plain values: amounts are whole cents, ids are strings, times are numbers.

/// One fact. What happens to the account alone has an empty `payment`.
#[derive(Debug, Clone)]
pub struct Fact {
    pub payment: String,
    pub what: What,
    /// Time at which it was told.
    pub at_ms: u64,
}

#[derive(Debug, Clone)]
pub enum What {
    // The network asks, and is answered.
    Requested {
        id: String,
        amount: i128,
        at: i64,
        /// The request is the claim as well.
        is_single: bool,
    },
    Approved {
        amount: i128,
    },
    Declined,
    IncrementRequested {
        id: String,
        amount: i128,
        is_total: bool,
        at: i64,
    },
    IncrementApproved {
        id: String,
    },
    IncrementDeclined {
        id: String,
    },
    // The network states.
    /// A part of the hold, or all of it, is given back.
    Reversed {
        id: String,
        part: Option<i128>,
    },
    Advised {
        id: String,
        amount: i128,
        at: i64,
        /// True if what a stand-in approved is claimed as well.
        is_single: bool,
    },
    Cleared {
        id: String,
        amount: i128,
        reference: Option<String>,
        part: Part,
    },
    ForcePosted {
        id: String,
        amount: i128,
    },
    /// The network takes a refund back: this much of it, or all that is left.
    RefundTakenBack {
        id: String,
        refund: String,
        amount: Option<i128>,
    },
    /// The network takes a claim back: this much of it, or all that is left.
    TakenBack {
        id: String,
        claim: String,
        amount: Option<i128>,
    },
    Refunded {
        id: String,
        amount: i128,
        on_chain: bool,
    },
    /// Money of a dispute moves: above zero if we receive it.
    DisputeMoney {
        id: String,
        dispute: String,
        amount: i128,
        is_withdrawal: bool,
    },
    // Time passes.
    Expired,
    // The chain shows.
    Spent {
        amount: i128,
    },
    /// The `Spend` of this payment is the money of another one.
    Linked,
    /// The link of the `Spend` is undone, and its money is this payment's again.
    Unlinked,
    /// The `Spend` of another payment is this one's money.
    Taken {
        spend: String,
        amount: i128,
        is_final: bool,
    },
    /// The block of a `Spend` that was taken is final.
    TakenFinal {
        spend: String,
    },
    /// The clearing of this payment is the claim to another one.
    ClaimLinked,
    /// The link of the clearing ended, and it is this payment's own claim again.
    ClaimUnlinked,
    /// The clearing of another payment, known there by `record`, is this one's claim.
    ClaimTaken {
        origin: String,
        record: String,
        id: String,
        amount: i128,
        reference: Option<String>,
        part: Part,
    },
    /// The clearing of that payment is not this one's claim any more.
    ClaimGivenUp {
        origin: String,
    },
    PullIncluded {
        leg: u32,
        amount: i128,
    },
    PullFinal {
        leg: u32,
    },
    PullReorged {
        leg: u32,
    },
    /// No pull of the leg can be executed.
    PullDead {
        leg: u32,
    },
    PulledAgain {
        leg: u32,
    },
    Deposited {
        log: u64,
        amount: i128,
    },
    Withdrawn {
        log: u64,
        amount: i128,
    },
    /// The block of a deposit or a withdrawal is gone.
    Reorged {
        log: u64,
    },
    // An operator decides.
    ClearingCharged {
        id: String,
    },
    ClearingReturned {
        id: String,
    },
    RefundResolved {
        as_what: Resolution,
    },
    DisputeOpened {
        id: String,
        amount: i128,
    },
    DisputeCredited {
        id: String,
    },
    DisputeWon {
        id: String,
        awarded: i128,
    },
    DisputeLost {
        id: String,
    },
    SettlementPaid {
        amount: i128,
    },
    SettlementReceived {
        amount: i128,
    },
    ReceivableBooked {
        amount: i128,
    },
    ReceivableRecovered {
        amount: i128,
    },
    /// Money came back to the Safe, of no payment that is known.
    SentBack {
        amount: i128,
    },
    FeeCharged {
        amount: i128,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Partial,
    Final,
    /// Number and count of a sequence.
    Of(u8, u8),
}

/// Outcome of an unlinked refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    Paid,
    TakenBack,
    /// It was pulled money that came back, of this payment if it is known.
    Returned(Option<String>),
    /// The network told of it on the stream of its payment.
    Matched,
}
