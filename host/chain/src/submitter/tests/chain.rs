//! Model of a chain: blocks that can be replaced, a pool with geth's rules, a Spender, and nodes that do not tell all.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use clearfold_kernel::Timestamp;

use super::super::{
    Account, Draft, Executions, Fate, Market, Observation, Price, PullState, Reach, Sighting, State, Work,
};
use super::{BASE_FEE_WEI, GAS_LIMIT};

/// Number of blocks behind the head that are final.
const FINALITY_BLOCKS: u64 = 4;
const POOL_SLOTS: usize = 16;
const BLOCK_S: u64 = 5;
/// Most ranges that are read at one look.
const RANGES: usize = 4;
/// Blocks in which executions are looked for.
const REACH: Reach = Reach { range: 4, margin: 0, unsigned: 1000 };

/// Content of a transaction, as the Spender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Spend(B256),
    Invalidate(B256),
    Nothing,
}

#[derive(Clone, Debug)]
struct Tx {
    hash: B256,
    sender: Address,
    nonce: u64,
    price: Price,
    call: Call,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Consumed {
    Executed { transaction: B256, block: u64 },
    Invalidated,
}

/// State of the chain behind one block.
#[derive(Clone, Debug, Default)]
struct Block {
    mined: BTreeMap<B256, (u64, bool)>,
    nonces: BTreeMap<Address, u64>,
    consumed: BTreeMap<B256, Consumed>,
    pulled: BTreeMap<B256, u32>,
}

pub struct Chain {
    blocks: Vec<Block>,
    finalized: u64,
    pool: BTreeMap<(Address, u64), Tx>,
    /// Every transaction that was ever signed, by its hash: the model's bytes mean nothing by themselves.
    signed: BTreeMap<B256, Tx>,
    /// Hashes of calls that were sent anywhere, and that anybody may know since.
    exposed: BTreeSet<B256>,
    /// Calls and nonces that others use in the next block.
    foreign: Vec<Tx>,
    /// Hashes whose call reverts, for instance because of the allowance.
    pub reverting: BTreeSet<B256>,
    pub base_fee_wei: u128,
    pub balance_wei: U256,
    /// True if the Spender refuses an executed hash, as it does. Without that, only the submitter's own care is left.
    pub refuses_consumed: bool,
    now: Timestamp,
}

/// Lies of the nodes in one observation.
#[derive(Clone, Debug, Default)]
pub struct Lies {
    /// Transactions that no node admits to know.
    pub hidden: Vec<B256>,
    /// Transactions whose receipt has the opposite status.
    pub inverted: Vec<B256>,
    /// First block whose logs are served; none before it are.
    pub first_served: u64,
    /// True if a node serves the state of all old blocks, as archive nodes do.
    pub has_old_state: bool,
}

/// Executions that a process has read of no block yet.
pub fn unread() -> Executions {
    Executions::new(REACH)
}

impl Chain {
    pub fn new() -> Self {
        Self {
            blocks: vec![Block::default()],
            finalized: 0,
            pool: BTreeMap::new(),
            signed: BTreeMap::new(),
            exposed: BTreeSet::new(),
            foreign: Vec::new(),
            reverting: BTreeSet::new(),
            base_fee_wei: BASE_FEE_WEI,
            balance_wei: U256::from(u128::MAX),
            refuses_consumed: true,
            now: Timestamp::from_s(1000).unwrap(),
        }
    }

    /// Signs a draft. The same draft gives the same bytes.
    pub fn sign(&mut self, state: &State, draft: &Draft) -> (B256, Bytes) {
        let call = match &draft.work {
            Work::Pull { id, .. } => Call::Spend(state.pulls[id].hash),
            Work::Invalidate { id } => Call::Invalidate(state.pulls[id].hash),
            Work::Repair => Call::Nothing,
        };
        let raw = format!("{} {} {:?} {call:?}", draft.account, draft.nonce, draft.price);
        let hash = keccak256(&raw);
        let (sender, nonce, price) = (draft.account, draft.nonce, draft.price);
        self.signed.insert(hash, Tx { hash, sender, nonce, price, call });
        (hash, raw.into_bytes().into())
    }

    /// Sends bytes. Whoever sees them knows the call, also if they reach no pool.
    pub fn send(&mut self, raw: &Bytes, reaches_pool: bool) {
        let tx = self.signed[&keccak256(raw)].clone();
        if let Call::Spend(hash) = tx.call {
            self.exposed.insert(hash);
        }
        let waiting = self.pool.range((tx.sender, 0)..=(tx.sender, u64::MAX)).count();
        let place = (tx.sender, tx.nonce);
        let has_room = match self.pool.get(&place) {
            Some(old) => {
                is_enough(old.price.fee_cap_wei, tx.price.fee_cap_wei)
                    && is_enough(old.price.tip_cap_wei, tx.price.tip_cap_wei)
            }
            None => waiting < POOL_SLOTS,
        };
        if reaches_pool && has_room && tx.nonce >= self.head().nonce(tx.sender) {
            self.pool.insert(place, tx);
        }
    }

    /// Mines a block with at most so many transactions of the pool.
    pub fn mine(&mut self, most: usize) {
        let number = self.blocks.len() as u64;
        let mut block = self.head().clone();
        for tx in std::mem::take(&mut self.foreign) {
            self.execute(&mut block, number, &tx);
        }
        let accounts: BTreeSet<Address> = self.pool.keys().map(|(account, _)| *account).collect();
        let mut room = most;
        for account in accounts {
            while room > 0
                && let Some(tx) = self.pool.get(&(account, block.nonce(account))).cloned()
                && tx.price.fee_cap_wei >= self.base_fee_wei
            {
                self.execute(&mut block, number, &tx);
                room -= 1;
            }
        }
        self.pool.retain(|(account, nonce), _| *nonce >= block.nonce(*account));
        self.blocks.push(block);
        self.finalized = self.finalized.max(number.saturating_sub(FINALITY_BLOCKS));
        self.now = self.now.after_s(BLOCK_S);
    }

    fn execute(&self, block: &mut Block, number: u64, tx: &Tx) {
        let nonce = block.nonces.entry(tx.sender).or_default();
        if *nonce != tx.nonce {
            return;
        }
        *nonce += 1;
        let succeeded = match tx.call {
            Call::Nothing => true,
            Call::Invalidate(hash) => {
                block.consumed.entry(hash).or_insert(Consumed::Invalidated);
                true
            }
            Call::Spend(hash) => {
                let is_refused = match block.consumed.get(&hash) {
                    Some(Consumed::Executed { .. }) => self.refuses_consumed,
                    Some(Consumed::Invalidated) => true,
                    None => false,
                };
                let succeeds = !is_refused && !self.reverting.contains(&hash);
                if succeeds {
                    *block.pulled.entry(hash).or_default() += 1;
                    block.consumed.insert(hash, Consumed::Executed { transaction: tx.hash, block: number });
                }
                succeeds
            }
        };
        block.mined.insert(tx.hash, (number, succeeded));
    }

    /// Replaces blocks that are not final by empty ones. Their transactions go back into the pool, or nowhere.
    pub fn reorganize(&mut self, depth: u64, return_to_pool: bool) {
        let head = self.number();
        let depth = depth.min(head - self.finalized);
        let gone: Vec<B256> =
            self.head().mined.iter().filter(|(_, at)| at.0 > head - depth).map(|(hash, _)| *hash).collect();
        self.blocks.truncate((head - depth + 1) as usize);
        for _ in 0..depth {
            self.blocks.push(self.head().clone());
        }
        for tx in gone.iter().filter_map(|hash| self.signed.get(hash)).filter(|_| return_to_pool) {
            self.pool.entry((tx.sender, tx.nonce)).or_insert(tx.clone());
        }
    }

    /// Drops one transaction of the pool.
    pub fn drop_one(&mut self, which: usize) {
        if let Some(place) = self.pool.keys().copied().nth(which % self.pool.len().max(1)) {
            self.pool.remove(&place);
        }
    }

    /// Lets a stranger send a call that was seen, in the next block.
    pub fn steal_call(&mut self, which: usize) {
        let Some(&hash) = self.exposed.iter().nth(which % self.exposed.len().max(1)) else { return };
        let sender = Address::repeat_byte(0x57);
        let mine = self.foreign.iter().filter(|tx| tx.sender == sender).count() as u64;
        let nonce = self.head().nonce(sender) + mine;
        self.foreign.push(foreign(sender, nonce, Call::Spend(hash)));
    }

    /// Lets somebody who has the key use the account's next nonce, in the next block.
    pub fn steal_nonce(&mut self, account: Address) {
        let mine = self.foreign.iter().filter(|tx| tx.sender == account).count() as u64;
        let nonce = self.head().nonce(account) + mine;
        self.foreign.push(foreign(account, nonce, Call::Nothing));
    }

    /// Puts a transaction of somebody who has the key into the pool, behind all others.
    pub fn offer_foreign(&mut self, account: Address) -> B256 {
        let tx = foreign(account, self.pending(account), Call::Nothing);
        let hash = tx.hash;
        self.pool.insert((account, tx.nonce), tx);
        hash
    }

    /// Looks at the chain as the executor does.
    pub fn observe(&self, state: &State, executions: &mut Executions, lies: &Lies) -> Observation {
        let last = &self.blocks[self.finalized as usize];
        let account = |address: Address| Account {
            final_nonce: last.nonce(address),
            latest_nonce: self.head().nonce(address),
            pending_nonce: self.pending(address),
            balance_wei: self.balance_wei,
        };
        let slots = state.lanes.values().flat_map(|lane| lane.slots.values());
        let hashes = slots.flat_map(|slot| slot.transactions.iter().map(|transaction| transaction.hash));
        Observation {
            now: self.now,
            head: self.number(),
            finalized: self.finalized,
            market: Market { base_fee_wei: self.base_fee_wei, tip_wei: 2 },
            accounts: [super::SENDER, super::DELEGATE].map(|address| (address, account(address))).into(),
            sightings: hashes.map(|hash| (hash, self.sighting(hash, lies))).collect(),
            fates: self.fates(state, executions, lies),
        }
    }

    /// Asks the Spender, and reads logs as far as that needs, as the executor does.
    fn fates(&self, state: &State, executions: &mut Executions, lies: &Lies) -> BTreeMap<B256, Fate> {
        let undecided: Vec<&PullState> = state.pulls.values().filter(|known| known.is_undecided()).collect();
        let last = &self.blocks[self.finalized as usize].consumed;
        let consumed = undecided.iter().map(|known| known.hash).filter(|hash| last.contains_key(hash));
        let consumed: BTreeSet<B256> = consumed.collect();
        executions.prepare(&undecided, &consumed, self.finalized);
        if let Some(known) = executions.to_probe(&undecided, &consumed, self.finalized) {
            let is_fresh = |block: &Block| !block.consumed.contains_key(&known.hash);
            let fresh_until = self.blocks.iter().rposition(is_fresh).filter(|_| lies.has_old_state);
            executions.probed(known.hash, fresh_until.map(|block| block as u64), self.finalized);
        }
        for _ in 0..RANGES {
            let Some(range) = executions.next(&undecided, &consumed, self.finalized) else { break };
            if *range.start() < lies.first_served {
                executions.fail("these blocks are pruned".to_owned());
                break;
            }
            let found = last.iter().filter_map(|(hash, by)| match by {
                Consumed::Executed { transaction, block } => Some((*hash, (*transaction, *block))),
                Consumed::Invalidated => None,
            });
            executions.extend(&range, found.filter(|(_, (_, block))| range.contains(block)));
        }
        let fate = |known: &&PullState| {
            let is_consumed = consumed.contains(&known.hash);
            (known.hash, executions.fate(known, is_consumed, self.finalized))
        };
        undecided.iter().map(fate).collect()
    }

    fn sighting(&self, hash: B256, lies: &Lies) -> Sighting {
        if lies.hidden.contains(&hash) {
            return Sighting::Unknown;
        }
        match self.head().mined.get(&hash) {
            Some(&(block, succeeded)) => {
                Sighting::Mined { block, succeeded: succeeded != lies.inverted.contains(&hash) }
            }
            None if self.pool.values().any(|tx| tx.hash == hash) => Sighting::Waiting,
            None => Sighting::Unknown,
        }
    }

    pub fn final_fate(&self, hash: B256) -> Fate {
        match self.blocks[self.finalized as usize].consumed.get(&hash) {
            None => Fate::Fresh,
            Some(&Consumed::Executed { transaction, block }) => Fate::Executed { transaction, block },
            Some(Consumed::Invalidated) => Fate::Invalidated,
        }
    }

    /// Returns how often the hash was executed on the present chain.
    pub fn pulled(&self, hash: B256) -> u32 {
        self.head().pulled.get(&hash).copied().unwrap_or_default()
    }

    pub fn latest(&self, account: Address) -> u64 {
        self.head().nonce(account)
    }

    /// Returns the transactions of the account in the pool, by nonce.
    pub fn waiting(&self, account: Address) -> Vec<(u64, B256)> {
        let of_account = self.pool.range((account, 0)..=(account, u64::MAX));
        of_account.map(|((_, nonce), tx)| (*nonce, tx.hash)).collect()
    }

    pub fn number(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    pub fn pass_time(&mut self, seconds: u64) {
        self.now = self.now.after_s(seconds);
    }

    fn pending(&self, account: Address) -> u64 {
        let mut nonce = self.head().nonce(account);
        while self.pool.contains_key(&(account, nonce)) {
            nonce += 1;
        }
        nonce
    }

    fn head(&self) -> &Block {
        self.blocks.last().expect("there is a first block")
    }
}

impl Block {
    fn nonce(&self, account: Address) -> u64 {
        self.nonces.get(&account).copied().unwrap_or_default()
    }
}

fn foreign(sender: Address, nonce: u64, call: Call) -> Tx {
    let hash = keccak256(format!("foreign {sender} {nonce} {call:?}"));
    let price = Price { fee_cap_wei: u128::from(GAS_LIMIT) * BASE_FEE_WEI, tip_cap_wei: 1 };
    Tx { hash, sender, nonce, price, call }
}

/// Geth's rule, without equality, as reth has it.
fn is_enough(old_wei: u128, new_wei: u128) -> bool {
    new_wei * 10 > old_wei * 11
}
