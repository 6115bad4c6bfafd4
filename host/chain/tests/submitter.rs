//! The submitter's core on a real node behind the strict pool. Its executor here keeps everything in memory: what it
//! shows is that real nodes are as the core believes them to be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::{ReceiptResponse, TransactionBuilder, TxSignerSync};
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::signers::SignerSync;
use alloy::sol_types::{SolCall, SolEvent};
use clearfold_chain::submitter::{
    Account, Change, Command, Draft, Fate, Market, Observation, Outcome, Policy, Price, PriceLimits, Pull,
    PullId, Sighting, State, Step, View, Wait, Work, accept, plan, settle, waits,
};
use clearfold_devchain::pool::{PoolRules, SendFault, StrictPool};
use clearfold_devchain::{Anvil, AnvilOptions, DevChain, Party};
use clearfold_kernel::Timestamp;

const GWEI: u128 = 1_000_000_000;
/// Number of blocks after which one is final on the development chain.
const FINALITY_BLOCKS: u64 = 32;

alloy::sol! {
    interface Spender {
        event HashExecuted(bytes32 hash);
        function consumed(address delegate, bytes32 hash) external view returns (bool);
        function invalidate(bytes32 hash) external;
    }
}

#[tokio::test]
async fn a_pull_survives_a_crash_at_every_step() {
    let mut world = World::start(PoolRules::default()).await;
    for fuse in 0..10 {
        world.submit(fuse);
        world.poll(Some(usize::from(fuse))).await;
        world.poll(None).await;
        world.mine(1).await;
    }
    world.mine(FINALITY_BLOCKS).await;
    for number in 0..10 {
        world.assert_done(number);
    }
    assert_eq!(world.chain.spends().await.unwrap().len(), 10);
    assert_eq!(
        world.signed(Party::Relayer),
        (0..10).collect::<Vec<u64>>(),
        "no nonce is burnt, none used twice"
    );
}

#[tokio::test]
async fn wrong_answers_to_sends_change_nothing() {
    let mut world = World::start(PoolRules { refuses_exact_bump: true, ..PoolRules::default() }).await;
    let faults = [
        SendFault::error_yet_sent("nonce too low: next nonce 9, tx nonce 1"),
        SendFault::error_not_sent("already known"),
        SendFault::lost(),
        SendFault::silence(true),
        SendFault::error_not_sent("replacement transaction underpriced"),
        SendFault::silence(false),
    ];
    for (number, fault) in (0..).zip(faults) {
        world.submit(number);
        world.pool.fail_next_send(fault);
        world.poll(None).await;
    }
    for _ in 0..12 {
        world.poll(None).await;
    }
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    for number in 0..6 {
        world.assert_done(number);
    }
    assert_eq!(world.signed(Party::Relayer), (0..6).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_stuck_transaction_is_raised_until_the_strictest_pool_takes_it() {
    let rules = PoolRules { refuses_exact_bump: true, bump_permille: 124, ..PoolRules::default() };
    let mut world = World::start(rules).await;
    world.submit(0);
    world.poll(None).await;
    for _ in 0..8 {
        world.set_base_fee(20 * GWEI).await;
        world.mine(1).await;
    }
    assert!(world.signed(Party::Relayer).len() > 1, "it was raised");
    assert_eq!(world.pool.attempts().pop().unwrap().verdict, Some(Ok(())));
    world.set_base_fee(GWEI).await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
}

#[tokio::test]
async fn a_dropped_and_a_reorganized_transaction_are_sent_again_as_they_were() {
    let mut world = World::start(PoolRules::default()).await;
    world.submit(0);
    world.poll(None).await;
    let hash = world.pool.attempts().pop().unwrap().hash;
    world.pool.drop_transaction(hash).await.unwrap();
    for _ in 0..3 {
        world.poll(None).await;
    }
    world.mine(2).await;
    world.pool.reorganize(3).await.unwrap();
    world.poll(None).await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
    let sends = world.pool.attempts().into_iter().filter(|attempt| attempt.sender == relayer());
    let raws: Vec<B256> = sends.map(|attempt| attempt.hash).collect();
    assert_eq!(raws, [hash, hash, hash], "sent, sent again after the drop, and after the reorganization");
}

#[tokio::test]
async fn a_stolen_call_and_an_abandoned_one_end_as_the_spender_says() {
    let mut world = World::start(PoolRules::default()).await;
    world.submit(0);
    world.submit(1);
    world.poll(None).await;
    for attempt in world.pool.attempts().iter().rev() {
        world.pool.drop_transaction(attempt.hash).await.unwrap();
    }
    let stolen = world.chain.sign_spend(0, amount(0), salt(0)).unwrap();
    world.chain.post_spend(Party::Stranger, &stolen).await.unwrap();
    world.pool.mine(1).await.unwrap();
    world.command(Command::Abandon { id: id(1) });
    world.poll(None).await;
    world.mine(1).await;
    world.mine(FINALITY_BLOCKS).await;
    world.assert_done(0);
    assert!(matches!(world.outcome(1), Some(Outcome::Dead { .. })), "{:?}", world.waits());
    assert!(world.chain.is_consumed(Party::Delegate, world.pull(1).hash()).await.unwrap());
    let late = world.chain.sign_spend(0, amount(1), salt(1)).unwrap();
    assert!(world.chain.send_spend(Party::Stranger, &late).await.is_err());
    world.mine(FINALITY_BLOCKS + 4).await;
    assert!(world.state.lanes.values().all(|lane| lane.slots.is_empty()), "{:?}", world.state.lanes);
}

/// Chain, pool, and an executor with its memory.
struct World {
    chain: DevChain,
    pool: StrictPool,
    provider: RootProvider,
    log: Vec<Change>,
    state: State,
    view: View,
    saga: Vec<(PullId, Outcome)>,
    fuse: Option<usize>,
    _anvil: Anvil,
}

/// The process crashed.
struct Crash;

impl World {
    async fn start(rules: PoolRules) -> Self {
        let options = AnvilOptions { no_mining: true, ..AnvilOptions::default() };
        let anvil = Anvil::start(&setting("ANVIL_BIN"), &options).unwrap();
        let chain = DevChain::deploy(&anvil.rpc_url, &setting("CLEARFOLD_ARTIFACTS"), 1).await.unwrap();
        let pool = StrictPool::start(&anvil.rpc_url, rules).await.unwrap();
        let provider = ProviderBuilder::new().disable_recommended_fillers();
        let provider = provider.connect_http(pool.rpc_url.parse().unwrap());
        pool.mine(FINALITY_BLOCKS).await.unwrap();
        let (log, state, view) = (Vec::new(), State::default(), View::default());
        let mut world =
            Self { chain, pool, provider, log, state, view, saga: Vec::new(), fuse: None, _anvil: anvil };
        world.poll(None).await;
        world
    }

    fn pull(&self, number: u8) -> Pull {
        let on = self.chain.deployment();
        Pull {
            id: id(number),
            chain_id: on.chain_id,
            spender: on.spender,
            delegate: on.delegate,
            sender: relayer(),
            calldata: self.chain.spend_call(0, amount(number)).unwrap(),
            salt: salt(number),
            not_after: Timestamp::from_s(2_000_000_000).unwrap(),
        }
    }

    fn submit(&mut self, number: u8) {
        let pull = self.pull(number);
        self.command(Command::Pull(pull));
    }

    fn command(&mut self, command: Command) {
        let changes = accept(&self.state, &policy(), command).unwrap();
        self.commit(changes);
    }

    fn commit(&mut self, changes: Vec<Change>) {
        changes.iter().for_each(|change| self.state.apply(change).unwrap());
        self.log.extend(changes);
    }

    /// Mines so many blocks, and looks at the last ones.
    async fn mine(&mut self, blocks: u64) {
        self.pool.mine(blocks).await.unwrap();
        for _ in 0..3 {
            self.poll(None).await;
        }
    }

    async fn set_base_fee(&self, base_fee_wei: u128) {
        let params = (format!("{base_fee_wei:#x}"),);
        let _: serde_json::Value =
            self.provider.raw_request("anvil_setNextBlockBaseFeePerGas".into(), params).await.unwrap();
    }

    async fn poll(&mut self, fuse: Option<usize>) {
        self.fuse = fuse;
        if self.work().await.is_err() {
            self.state = State::default();
            self.log.iter().for_each(|change| self.state.apply(change).unwrap());
            self.view = View::default();
        }
    }

    async fn work(&mut self) -> Result<(), Crash> {
        let observation = self.observe().await;
        self.view.observe(&self.state, observation).unwrap();
        let changes = settle(&self.state, &self.view);
        self.step()?;
        self.commit(changes);
        self.step()?;
        for _ in 0..50 {
            let steps = plan(&self.state, &self.view, &policy());
            if steps.is_empty() {
                return Ok(());
            }
            for step in steps {
                self.take(step).await?;
            }
        }
        panic!("the plan never ends");
    }

    async fn take(&mut self, step: Step) -> Result<(), Crash> {
        match step {
            Step::Sign(draft) => {
                let (hash, raw) = self.sign(&draft);
                self.step()?;
                let signed_at_block = self.view.seen().unwrap().head;
                self.command(Command::Sign { draft, hash, raw, signed_at_block });
                self.step()
            }
            Step::Send { transaction, raw } => {
                // Whatever the answer is, it is not looked at.
                let _ = self.provider.send_raw_transaction(&raw).await;
                self.step()?;
                self.view.sent(transaction);
                Ok(())
            }
            Step::Report { id, outcome } => {
                self.saga.push((id.clone(), outcome));
                self.step()?;
                self.command(Command::Report { id, outcome });
                self.step()
            }
        }
    }

    fn step(&mut self) -> Result<(), Crash> {
        match &mut self.fuse {
            Some(0) => Err(Crash),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn sign(&self, draft: &Draft) -> (B256, Bytes) {
        let spender = self.chain.deployment().spender;
        let (to, input): (Address, Bytes) = match &draft.work {
            Work::Pull { id, .. } => {
                let known = &self.state.pulls[id];
                let signature = Party::Delegate.signer().unwrap().sign_hash_sync(&known.hash).unwrap();
                let tail = [known.pull.salt.as_slice(), &signature.as_bytes()].concat();
                (spender, [&known.pull.calldata[..], &tail].concat().into())
            }
            Work::Invalidate { id } => {
                let hash = self.state.pulls[id].hash;
                (spender, Spender::invalidateCall { hash }.abi_encode().into())
            }
            Work::Repair => (draft.account, Bytes::new()),
        };
        let mut transaction = TxEip1559 {
            chain_id: policy().chain_id,
            nonce: draft.nonce,
            gas_limit: policy().gas_limit,
            max_fee_per_gas: draft.price.fee_cap_wei,
            max_priority_fee_per_gas: draft.price.tip_cap_wei,
            to: TxKind::Call(to),
            input,
            ..TxEip1559::default()
        };
        let party = if draft.account == relayer() { Party::Relayer } else { Party::Delegate };
        let signature = party.signer().unwrap().sign_transaction_sync(&mut transaction).unwrap();
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        (*envelope.tx_hash(), envelope.encoded_2718().into())
    }

    async fn observe(&self) -> Observation {
        let block = |tag| self.provider.get_block_by_number(tag);
        let head = block(BlockNumberOrTag::Latest).await.unwrap().unwrap().header;
        let finalized = block(BlockNumberOrTag::Finalized).await.unwrap().unwrap().header.number;
        let mut accounts = std::collections::BTreeMap::new();
        for address in [relayer(), self.chain.deployment().delegate] {
            accounts.insert(address, self.account(address, finalized).await);
        }
        let slots = self.state.lanes.values().flat_map(|lane| lane.slots.values());
        let mut sightings = std::collections::BTreeMap::new();
        for transaction in slots.flat_map(|slot| &slot.transactions) {
            sightings.insert(transaction.hash, self.sighting(transaction.hash).await);
        }
        let mut fates = std::collections::BTreeMap::new();
        for known in self.state.pulls.values() {
            fates.insert(known.hash, self.fate(known.hash, finalized).await);
        }
        let market = Market { base_fee_wei: u128::from(head.base_fee_per_gas.unwrap()), tip_wei: GWEI / 10 };
        let now = Timestamp::from_s(head.timestamp).unwrap();
        Observation { now, head: head.number, finalized, market, accounts, sightings, fates }
    }

    async fn account(&self, address: Address, finalized: u64) -> Account {
        let count = |at: BlockId| self.provider.get_transaction_count(address).block_id(at);
        Account {
            final_nonce: count(BlockId::number(finalized)).await.unwrap(),
            latest_nonce: count(BlockId::latest()).await.unwrap(),
            pending_nonce: count(BlockId::pending()).await.unwrap(),
            balance_wei: self.provider.get_balance(address).await.unwrap(),
        }
    }

    async fn sighting(&self, hash: B256) -> Sighting {
        if let Some(receipt) = self.provider.get_transaction_receipt(hash).await.unwrap() {
            let (block, succeeded) = (receipt.block_number().unwrap(), receipt.status());
            return Sighting::Mined { block, succeeded };
        }
        let waiting = self.provider.get_transaction_by_hash(hash).await.unwrap();
        if waiting.is_some() { Sighting::Waiting } else { Sighting::Unknown }
    }

    async fn fate(&self, hash: B256, finalized: u64) -> Fate {
        let on = self.chain.deployment();
        let executed = Filter::new()
            .address(on.spender)
            .event_signature(Spender::HashExecuted::SIGNATURE_HASH)
            .from_block(0)
            .to_block(finalized);
        for log in self.provider.get_logs(&executed).await.unwrap() {
            if log.data().data[..] == hash[..] {
                let (transaction, block) = (log.transaction_hash.unwrap(), log.block_number.unwrap());
                return Fate::Executed { transaction, block };
            }
        }
        let call = Spender::consumedCall { delegate: on.delegate, hash }.abi_encode();
        let request = TransactionRequest::default().with_to(on.spender).with_input(call);
        let answer = self.provider.call(request).block(BlockId::number(finalized)).await.unwrap();
        let is_consumed = Spender::consumedCall::abi_decode_returns(&answer).unwrap();
        if is_consumed { Fate::Invalidated } else { Fate::Fresh }
    }

    fn outcome(&self, number: u8) -> Option<Outcome> {
        self.saga.iter().rev().find(|(of, _)| *of == id(number)).map(|(_, outcome)| *outcome)
    }

    fn waits(&self) -> Vec<(PullId, Wait)> {
        waits(&self.state, &self.view, &policy()).into_iter().collect()
    }

    fn assert_done(&self, number: u8) {
        let outcome = self.outcome(number);
        assert!(matches!(outcome, Some(Outcome::Done { .. })), "{number}: {outcome:?} {:?}", self.waits());
    }

    /// Nonces of the party's committed transactions, in order.
    fn signed(&self, party: Party) -> Vec<u64> {
        let of_party = self.log.iter().filter_map(|change| match change {
            Change::Signed { account, nonce, .. } if *account == party.address().unwrap() => Some(*nonce),
            _ => None,
        });
        of_party.collect()
    }
}

fn policy() -> Policy {
    Policy {
        chain_id: 100,
        gas_limit: 500_000,
        prices: PriceLimits {
            floor: Price { fee_cap_wei: GWEI, tip_cap_wei: GWEI / 100 },
            ceiling_fee_cap_wei: 50 * GWEI,
            repair_ceiling_fee_cap_wei: 100 * GWEI,
        },
        max_in_flight: 16,
        raise_after_blocks: 3,
        purse_reserve_wei: U256::from(GWEI),
        max_pulls: 100,
    }
}

fn id(number: u8) -> PullId {
    PullId::new(&format!("pull-{number}")).unwrap()
}

fn salt(number: u8) -> B256 {
    B256::repeat_byte(number + 1)
}

fn amount(number: u8) -> U256 {
    U256::from(100 + u64::from(number))
}

fn relayer() -> Address {
    Party::Relayer.address().unwrap()
}

fn setting(name: &str) -> PathBuf {
    let value = std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run `cargo xtask test`"));
    value.into()
}
