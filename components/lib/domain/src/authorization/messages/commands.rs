//! What can be asked for.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Hash, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DisputeOutcome, DisputeReason, DisputeStage, Extent, Part, RefundOrigin, ReversalCause};
use crate::network::{Merchant, Network, Presented, RefundOutcome, SuspenseOutcome};
use crate::policy::DeclineReason;

/// A command's payload: what does not belong is refused, not passed over.
macro_rules! command {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }
    };
}

command! {
    /// A card's spend was seen on chain. Only the chain can say so.
    RecordSwipe {
        /// The Safe that paid.
        account: Address,
        /// What it paid.
        amount: Amount,
        /// The `Spend` log.
        source: ChainSource,
        /// The block's time.
        occurred_at: Timestamp,
    }
}

command! {
    /// The network asks whether the payment may be made.
    RequestAuthorization {
        /// The network's id of the message. The same id is the same request.
        message_id: ExternalId,
        /// The Safe that shall pay.
        account: Address,
        /// The card.
        card_id: ExternalId,
        /// What is asked for, in the account's asset.
        amount: Amount,
        /// The same in the merchant's currency, if that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        presented: Option<Presented>,
        /// Who asks.
        merchant: Merchant,
        /// Through which network.
        network: Network,
        /// Whether a part of the amount would do.
        partial_allowed: bool,
        /// The network's time of the message.
        occurred_at: Timestamp,
    }
}

command! {
    /// Card and account agreed; the amount is held.
    ApproveAuthorization {
        /// How much: all that was asked for, or a part if the merchant allows that.
        amount: Amount,
    }
}

command! {
    /// Something was against the payment.
    DeclineAuthorization {
        /// What it was.
        reason: DeclineReason,
    }
}

command! {
    /// The merchant asks for more, in the same payment. The account has held it already.
    IncrementAuthorization {
        /// The network's id of the message. The same id is the same increment.
        message_id: ExternalId,
        /// How much more.
        amount: Amount,
        /// The network's time of the message.
        occurred_at: Timestamp,
    }
}

command! {
    /// A hold, or a part of it, is given back.
    ReverseAuthorization {
        /// The id of the message. The same id is the same reversal.
        message_id: ExternalId,
        /// How much of what is held.
        extent: Extent,
        /// Why.
        cause: ReversalCause,
        /// The time of the message.
        occurred_at: Timestamp,
    }
}

command! {
    /// The hold's time is over. Sent by a durable timer; refused if it comes too early.
    ExpireAuthorization {}
}

command! {
    /// A stand-in of the network approved the payment in our place.
    RecordAdvice {
        /// The network's id of the message. The same id is the same advice.
        message_id: ExternalId,
        /// The Safe that pays.
        account: Address,
        /// The card.
        card_id: ExternalId,
        /// What was approved.
        amount: Amount,
        /// Who is paid.
        merchant: Merchant,
        /// Through which network.
        network: Network,
        /// The network's time of the message.
        occurred_at: Timestamp,
    }
}

command! {
    /// The card network presents a clearing: its claim to the payment or to a part of it.
    PresentClearing {
        /// The network's id of the record. The same id is the same clearing.
        clearing_id: ExternalId,
        /// How much is claimed, in the account's asset.
        amount: Amount,
        /// The same in the merchant's currency, if that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        presented: Option<Presented>,
        /// The acquirer's reference of the transaction. Two records with one reference and one amount are suspicious.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// Whether more will come.
        part: Part,
        /// When the network says that it was presented.
        occurred_at: Timestamp,
    }
}

command! {
    /// The card network claims money without an authorization, or beside one.
    ForcePost {
        /// The network's id of the record. The same id is the same clearing.
        clearing_id: ExternalId,
        /// The Safe that pays.
        account: Address,
        /// The card.
        card_id: ExternalId,
        /// How much is claimed, in the account's asset.
        amount: Amount,
        /// The same in the merchant's currency, if that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        presented: Option<Presented>,
        /// Who is paid.
        merchant: Merchant,
        /// When the network says that it was presented.
        occurred_at: Timestamp,
    }
}

command! {
    /// Money came back. On a payment's stream it is linked to the payment; on a stream of its own it is not.
    RecordRefund {
        /// The Safe that was paid.
        account: Address,
        /// How much it got back.
        amount: Amount,
        /// By whose word.
        origin: RefundOrigin,
        /// The block's time, or the network's.
        occurred_at: Timestamp,
    }
}

command! {
    /// Somebody found out what a suspended clearing is.
    ResolveClearing {
        /// The network's id of the record.
        clearing_id: ExternalId,
        /// What it is.
        outcome: SuspenseOutcome,
    }
}

command! {
    /// Somebody found out who pays for an unlinked refund.
    ResolveRefund {
        /// Who it is.
        outcome: RefundOutcome,
        /// The payment that it turned out to belong to, if somebody knows. It is recorded, and changes nothing of that
        /// payment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_id: Option<ExternalId>,
    }
}

command! {
    /// Something was seen of the transaction that pulls the money. Only the chain can say so.
    ObserveFunding {
        /// What was seen.
        observation: Observation,
        /// The block's time, or the observer's where there is no block.
        occurred_at: Timestamp,
    }
}

/// What was seen of the transaction that pulls the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// It was sent, for the first time or again.
    Submitted {
        /// Its hash.
        transaction_hash: Hash,
    },
    /// It is in a block.
    Included {
        /// What it pulled.
        amount: Amount,
        /// The transfer's log.
        source: ChainSource,
    },
    /// That block is final.
    Finalized {
        /// The transfer's log.
        source: ChainSource,
    },
    /// It is in a block, and failed.
    Reverted {
        /// Its hash.
        transaction_hash: Hash,
    },
    /// It will never be in a block.
    Dropped {
        /// Its hash.
        transaction_hash: Hash,
    },
    /// Its block is no longer on the chain.
    Reorged {
        /// The transfer's log as it was.
        source: ChainSource,
    },
}

command! {
    /// A rule would have refused a payment that could not be refused.
    FlagPayment {
        /// Which one.
        reason: DeclineReason,
    }
}

command! {
    /// The customer disputes the payment, or a part of it.
    OpenDispute {
        /// Our id of the dispute.
        dispute_id: ExternalId,
        /// How much.
        amount: Amount,
        /// Why.
        reason: DisputeReason,
    }
}

command! {
    /// The dispute went a step further.
    AdvanceDispute {
        /// Our id of the dispute.
        dispute_id: ExternalId,
        /// The next stage.
        stage: DisputeStage,
    }
}

command! {
    /// The customer gets the disputed money until it is decided who keeps it.
    GrantProvisionalCredit {
        /// Our id of the dispute.
        dispute_id: ExternalId,
    }
}

command! {
    /// The dispute is decided.
    ResolveDispute {
        /// Our id of the dispute.
        dispute_id: ExternalId,
        /// For whom.
        outcome: DisputeOutcome,
        /// How much of what is disputed the customer gets. If it is not said: all that was won.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        awarded: Option<Amount>,
    }
}
