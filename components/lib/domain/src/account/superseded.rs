//! Superseded versions of this stream's messages: still read, no longer written. Each is defined beside its upcast.

use clearfold_kernel::{Address, Amount, Asset, ChainSource, ExternalId, Minor, Superseded, Timestamp};
use serde::{Deserialize, Serialize};

use super::ledger::Transfer;
use super::messages::{
    AccountOpened, BookRefund, Opener, RefundBooked, RefundLink, RefundOutcome, RefundResolved, ResolveRefund,
};

/// An account was opened for a customer's Safe. This version does not state who opened it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountOpenedV1 {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Assets in which the account's cards pay.
    pub assets: Vec<Asset>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

impl Superseded for AccountOpenedV1 {
    type Next = AccountOpened;

    /// Counts the opening as an operator's. A saga may have asked for it, but in this version the assets of an account
    /// never changed, and so they do not.
    fn upcast(self) -> AccountOpened {
        AccountOpened { account: self.account, assets: self.assets, opened_by: Opener::Operator, at: self.at }
    }
}

/// A merchant gave money back. This version states no withheld part, because nothing was withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundBookedV1 {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`.
    pub refund_id: ExternalId,
    /// Amount refunded.
    pub amount: Amount,
    /// Link to the payment: `linked` if the payment is known.
    pub link: RefundLink,
    /// `Transfer` log of the refund. Absent if the refund did not come on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ChainSource>,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

impl Superseded for RefundBookedV1 {
    type Next = RefundBookedV2;

    fn upcast(self) -> RefundBookedV2 {
        let Self { account, refund_id, amount, link, source, transfers, at } = self;
        RefundBookedV2 { account, refund_id, amount, link, source, withheld: Minor::ZERO, transfers, at }
    }
}

/// A merchant gave money back. This version does not state on which stream it was reported, and is matched with nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundBookedV2 {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`.
    pub refund_id: ExternalId,
    /// Amount refunded.
    pub amount: Amount,
    /// Link to the payment: `linked` if the payment is known.
    pub link: RefundLink,
    /// `Transfer` log of the refund. Absent if the refund did not come on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ChainSource>,
    /// Part of the amount that is withheld, in minor units of the same asset: so much is owed back to the customer for
    /// pulled money, and it is credited only if the refund turns out to be none of it. Absent if nothing is withheld.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    pub withheld: Minor,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

impl Superseded for RefundBookedV2 {
    type Next = RefundBooked;

    fn upcast(self) -> RefundBooked {
        let Self { account, refund_id, amount, link, source, withheld, transfers, at } = self;
        let (reported_on, matched) = (None, None);
        RefundBooked {
            account,
            refund_id,
            amount,
            link,
            source,
            reported_on,
            matched,
            withheld,
            transfers,
            at,
        }
    }
}

/// Books money that a merchant gives back. A refund with a `source` is accepted only from the chain reader (actor
/// `chain`). This version does not name the stream that reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookRefundV1 {
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`. A
    /// repeat with the same content has no effect.
    pub refund_id: ExternalId,
    /// Amount refunded.
    pub amount: Amount,
    /// Link to the payment: `linked` if the payment is known.
    pub link: RefundLink,
    /// `Transfer` log of the refund. Absent if the refund did not come on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ChainSource>,
}

impl Superseded for BookRefundV1 {
    type Next = BookRefund;

    /// Names no stream, so the refund is matched with nothing.
    fn upcast(self) -> BookRefund {
        let Self { refund_id, amount, link, source } = self;
        BookRefund { refund_id, amount, link, source, reported_on: None }
    }
}

/// Resolves an unlinked refund, once it is known who pays for it. This version does not name the payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveRefundV1 {
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`. A
    /// repeat with the same content has no effect.
    pub refund_id: ExternalId,
    /// Outcome: the network pays (`paid`), the customer gives the credit back (`taken_back`), or it was the return of
    /// pulled money (`returned`).
    pub outcome: RefundOutcome,
}

impl Superseded for ResolveRefundV1 {
    type Next = ResolveRefund;

    /// Names no payment. The refund's own stream may know it.
    fn upcast(self) -> ResolveRefund {
        ResolveRefund { refund_id: self.refund_id, outcome: self.outcome, payment_id: None }
    }
}

/// An unlinked refund was paid or taken back, or was the return of pulled money. This version names no payment, and
/// nothing was withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundResolvedV1 {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`.
    pub refund_id: ExternalId,
    /// Outcome: the network pays (`paid`), the customer gives the credit back (`taken_back`), or it was the return of
    /// pulled money (`returned`).
    pub outcome: RefundOutcome,
    /// Amount refunded, which was in suspense.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

impl Superseded for RefundResolvedV1 {
    type Next = RefundResolved;

    /// Names no payment. The refund's own stream may know it.
    fn upcast(self) -> RefundResolved {
        let Self { account, refund_id, outcome, amount, transfers, at } = self;
        let (withheld, payment_id) = (Minor::ZERO, None);
        RefundResolved { account, refund_id, outcome, amount, withheld, payment_id, transfers, at }
    }
}
