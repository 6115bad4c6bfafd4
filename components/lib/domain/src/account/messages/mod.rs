//! Messages of an account: the commands that it accepts and the events that it records.

mod clearing;
mod hold;
mod movement;
mod opening;
mod refund;
mod settlement;
mod spend;

use clearfold_kernel::messages;

pub use clearing::{
    BookClearing, BookClearingReversal, ClaimedOn, ClearingBooked, ClearingMoved, ClearingReversalBooked,
    ClearingSuspended, MatchClearing, MoveClearing, ResolveSuspense, SuspendClearing, SuspenseResolved,
};
pub use hold::{
    FindHold, HoldLowered, HoldPlaced, HoldPrevented, HoldRaised, HoldVoided, LowerCause, LowerHold,
    PlaceHold, Purchase, RaiseHold, VoidHold,
};
pub use movement::{
    BookFunding, DepositReorged, Deposited, FundingBooked, FundingStep, RecordDeposit, RecordReturn,
    RecordWithdrawal, Returned, RevertDeposit, RevertWithdrawal, WithdrawalReorged, Withdrawn,
};
pub use opening::{
    AccountOpened, AssetsNamed, DelayQueue, DelayQueueChanged, ObserveDelayQueue, OpenAccount, Opener,
};
pub use refund::{
    AssignReturn, BookDispute, BookDisputeMoney, BookRefund, BookRefundReversal, DisputeBooked,
    DisputeMoneyBooked, DisputeStep, ReadRefund, RefundBooked, RefundLink, RefundMatch, RefundResolved,
    RefundReversalBooked, ResolveRefund, ReturnAssigned,
};
pub use settlement::{
    BookReceivable, ChargeFee, FeeCharged, ReceivableBooked, ReceivableRecovered, RecordSettlement,
    RecoverReceivable, SettlementBooked, SettlementDirection,
};
pub use spend::{FindSpend, FundedBy, FundingMoved, MatchSpend, MoveFunding, ReadMatch, SpendMatched};

use super::superseded::{
    AccountOpenedV1, BookRefundV1, RefundBookedV1, RefundBookedV2, RefundResolvedV1, ResolveRefundV1,
};
pub use crate::network::{MatchBasis, RefundOutcome, SuspenseOutcome};

messages! {
    /// Commands of an account.
    pub enum Command {
        /// Opens an account for a customer's Safe.
        OpenAccount = 1,
        /// Reports the state of the delay queue, as seen on chain.
        ObserveDelayQueue = 1,
        /// Records money that came to the Safe.
        RecordDeposit = 1,
        /// Reverts a deposit whose block was reorganized away.
        RevertDeposit = 1,
        /// Records money that the customer took out of the Safe.
        RecordWithdrawal = 1,
        /// Reverts a withdrawal whose block was reorganized away.
        RevertWithdrawal = 1,
        /// Places a hold: sets money aside for an authorization.
        PlaceHold = 1,
        /// Raises a hold: sets more money aside.
        RaiseHold = 1,
        /// Lowers a hold: releases all or a part of it.
        LowerHold = 1,
        /// Voids a hold, or prevents one that has not come yet.
        VoidHold = 1,
        /// Books a clearing: the network claims a payment.
        BookClearing = 1,
        /// Puts a clearing that is probably a duplicate into suspense.
        SuspendClearing = 1,
        /// Resolves a suspended clearing as charged or returned.
        ResolveSuspense = 1,
        /// Books a stage of the pull of an authorization's money from the Safe.
        BookFunding = 1,
        /// Records pulled money that was sent back to the Safe.
        RecordReturn = 1,
        /// Books money that a merchant gives back.
        BookRefund = 2 from [BookRefundV1],
        /// Resolves an unlinked refund as paid, taken back, or the return of pulled money.
        ResolveRefund = 2 from [ResolveRefundV1],
        /// Books a provisional credit or the outcome of a dispute.
        BookDispute = 1,
        /// Books a debt of the customer for an amount that could not be pulled.
        BookReceivable = 1,
        /// Books the customer's payment of a receivable, or of a part of it.
        RecoverReceivable = 1,
        /// Records the account's part of a settlement with the network.
        RecordSettlement = 1,
        /// Charges a fee to the customer.
        ChargeFee = 1,
        /// Matches a `Spend` with what the network asked for, or holds its amount.
        MatchSpend = 1,
        /// Asks for a `Spend` that was seen before the network asked.
        FindSpend = 1,
        /// Asks for the payment that a `Spend` was matched with.
        ReadMatch = 1,
        /// Moves the money of a `Spend` to the payment that it is linked to, or back.
        MoveFunding = 1,
        /// Assigns a return to the payment whose pulled money came back.
        AssignReturn = 1,
        /// Asks whether a refund was reported twice, by the network and on chain.
        ReadRefund = 1,
        /// Books the reversal of a clearing by the network.
        BookClearingReversal = 1,
        /// Books the reversal of a refund by the network.
        BookRefundReversal = 1,
        /// Books money that moved in a cycle of a dispute.
        BookDisputeMoney = 1,
        /// Asks for the hold that was placed for a request, or prevents it.
        FindHold = 1,
        /// Asks for the hold that a clearing belongs to which names no known payment.
        MatchClearing = 1,
        /// Moves a clearing to the payment that it is linked to, or back.
        MoveClearing = 1,
    }
}

messages! {
    /// Events of an account.
    pub enum Event {
        /// A customer's Safe became an account.
        AccountOpened = 2 from [AccountOpenedV1],
        /// An operator named the assets of an account that a fact had opened.
        AssetsNamed = 1,
        /// The state of the delay queue was observed on chain.
        DelayQueueChanged = 1,
        /// Money came to the Safe.
        Deposited = 1,
        /// A deposit was reverted, because its block was reorganized away.
        DepositReorged = 1,
        /// The customer took money out of the Safe.
        Withdrawn = 1,
        /// A withdrawal was reverted, because its block was reorganized away.
        WithdrawalReorged = 1,
        /// Money was set aside for an authorization.
        HoldPlaced = 1,
        /// More money was set aside for an authorization.
        HoldRaised = 1,
        /// All or a part of a hold was released.
        HoldLowered = 1,
        /// A hold was voided, or prevented before it came.
        HoldVoided = 1,
        /// The network claimed a payment.
        ClearingBooked = 1,
        /// The network claimed a payment that it had probably claimed before.
        ClearingSuspended = 1,
        /// A suspended clearing was charged or returned.
        SuspenseResolved = 1,
        /// A leg of an authorization's funding reached its next stage on chain.
        FundingBooked = 1,
        /// Pulled money was sent back to the Safe.
        Returned = 1,
        /// A merchant gave money back.
        RefundBooked = 3 from [RefundBookedV1, RefundBookedV2],
        /// An unlinked refund was paid or taken back, or was the return of pulled money.
        RefundResolved = 2 from [RefundResolvedV1],
        /// A dispute was credited provisionally, won or lost.
        DisputeBooked = 1,
        /// The customer owes an amount that could not be pulled.
        ReceivableBooked = 1,
        /// The customer paid a receivable, or a part of it.
        ReceivableRecovered = 1,
        /// The account's part of a settlement with the network was booked.
        SettlementBooked = 1,
        /// The customer paid a fee.
        FeeCharged = 1,
        /// A `Spend` was found to be the money of a payment that the network had asked for.
        SpendMatched = 1,
        /// The money of a `Spend` was moved to the payment that it is linked to, or back.
        FundingMoved = 1,
        /// A return was assigned to the payment whose pulled money came back.
        ReturnAssigned = 1,
        /// The network took a clearing back, or a part of it.
        ClearingReversalBooked = 1,
        /// The network took a refund back, or a part of it.
        RefundReversalBooked = 1,
        /// Money moved in a cycle of a dispute.
        DisputeMoneyBooked = 1,
        /// A reversal came before the hold that it is of.
        HoldPrevented = 1,
        /// A clearing was moved to the payment that it is linked to, or back.
        ClearingMoved = 1,
    }
}
