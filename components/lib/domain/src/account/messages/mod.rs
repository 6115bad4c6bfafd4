//! What can be asked of an account, and what can have happened to it.

mod clearing;
mod hold;
mod movement;
mod opening;
mod refund;
mod settlement;

use clearfold_kernel::messages;

pub use clearing::{
    BookClearing, ClearingBooked, ClearingSuspended, ResolveSuspense, SuspendClearing, SuspenseResolved,
};
pub use hold::{
    HoldLowered, HoldPlaced, HoldRaised, HoldVoided, LowerCause, LowerHold, PlaceHold, RaiseHold, VoidHold,
};
pub use movement::{
    BookFunding, DepositReorged, Deposited, FundingBooked, FundingStep, RecordDeposit, RecordReturn,
    RecordWithdrawal, Returned, RevertDeposit, RevertWithdrawal, WithdrawalReorged, Withdrawn,
};
pub use opening::{AccountOpened, DelayQueue, DelayQueueChanged, ObserveDelayQueue, OpenAccount};
pub use refund::{
    BookDispute, BookRefund, DisputeBooked, DisputeStep, RefundBooked, RefundLink, RefundResolved,
    ResolveRefund,
};
pub use settlement::{
    BookReceivable, ChargeFee, FeeCharged, ReceivableBooked, ReceivableRecovered, RecordSettlement,
    RecoverReceivable, SettlementBooked, SettlementDirection,
};

pub use crate::network::{RefundOutcome, SuspenseOutcome};

messages! {
    /// What can be asked for.
    pub enum Command {
        /// A customer's Safe becomes an account.
        OpenAccount = 1,
        /// The delay queue was seen on chain.
        ObserveDelayQueue = 1,
        /// Money came to the Safe.
        RecordDeposit = 1,
        /// A deposit's block was reorganized away.
        RevertDeposit = 1,
        /// The customer took money out of the Safe.
        RecordWithdrawal = 1,
        /// A withdrawal's block was reorganized away.
        RevertWithdrawal = 1,
        /// Sets money aside for an authorization.
        PlaceHold = 1,
        /// Sets more aside.
        RaiseHold = 1,
        /// Sets less aside.
        LowerHold = 1,
        /// Undoes a hold, or prevents it.
        VoidHold = 1,
        /// The network claims a payment.
        BookClearing = 1,
        /// The network claims a payment twice, probably.
        SuspendClearing = 1,
        /// A suspended clearing is charged or returned.
        ResolveSuspense = 1,
        /// An authorization's money was pulled from the Safe.
        BookFunding = 1,
        /// Pulled money was sent back.
        RecordReturn = 1,
        /// A merchant gives money back.
        BookRefund = 1,
        /// An unlinked refund is paid or taken back.
        ResolveRefund = 1,
        /// A dispute goes a step further.
        BookDispute = 1,
        /// The customer owes what could not be pulled.
        BookReceivable = 1,
        /// The customer pays what was owed.
        RecoverReceivable = 1,
        /// Settled with the network.
        RecordSettlement = 1,
        /// The customer pays a fee.
        ChargeFee = 1,
    }
}

messages! {
    /// What can have happened.
    pub enum Event {
        /// A customer's Safe became an account.
        AccountOpened = 1,
        /// The delay queue was seen on chain.
        DelayQueueChanged = 1,
        /// Money came to the Safe.
        Deposited = 1,
        /// A deposit went with its block.
        DepositReorged = 1,
        /// The customer took money out of the Safe.
        Withdrawn = 1,
        /// A withdrawal went with its block.
        WithdrawalReorged = 1,
        /// Money was set aside for an authorization.
        HoldPlaced = 1,
        /// More was set aside.
        HoldRaised = 1,
        /// Less is set aside.
        HoldLowered = 1,
        /// A hold was undone, or prevented.
        HoldVoided = 1,
        /// The network claimed a payment.
        ClearingBooked = 1,
        /// The network claimed a payment twice, probably.
        ClearingSuspended = 1,
        /// A suspended clearing was charged or returned.
        SuspenseResolved = 1,
        /// A leg of an authorization's funding went a step further.
        FundingBooked = 1,
        /// Pulled money was sent back.
        Returned = 1,
        /// A merchant gave money back.
        RefundBooked = 1,
        /// An unlinked refund was paid or taken back.
        RefundResolved = 1,
        /// A dispute went a step further.
        DisputeBooked = 1,
        /// The customer owes what could not be pulled.
        ReceivableBooked = 1,
        /// The customer paid what was owed.
        ReceivableRecovered = 1,
        /// Settled with the network.
        SettlementBooked = 1,
        /// The customer paid a fee.
        FeeCharged = 1,
    }
}
