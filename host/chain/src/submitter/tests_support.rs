//! Pull for tests beside those of the core.

use alloy::primitives::{Address, Bytes};
use clearfold_kernel::Timestamp;

use super::{Pull, PullId};

pub(super) fn pull(id: &str) -> Pull {
    let id = PullId::new(id).expect("an id");
    Pull {
        salt: id.salt(),
        id,
        chain_id: 100,
        spender: Address::repeat_byte(1),
        delegate: Address::repeat_byte(2),
        sender: Address::repeat_byte(3),
        calldata: Bytes::from_static(&[1, 2, 3, 4]),
        not_after: Timestamp::from_s(4_000_000_000).expect("a time"),
    }
}
