//! Logs in, commands or refusals out.

use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use clearfold_kernel::{Address, Hash, Log, Message, Minor, Timestamp, Transaction, Translated, Translator};

use super::GnosisPay;
use super::events::{ExecutionFromModuleSuccess, Spend, Transfer};
use crate::authorization::Command;

const SPENDER: u8 = 0x01;
const EURE: u8 = 0x02;
const EURE_V1: u8 = 0x03;
const SETTLEMENT: u8 = 0x04;
const DOLLAR: u8 = 0x05;
const SAFE: u8 = 0x10;
const ROLES: u8 = 0x11;

fn address(byte: u8) -> Address {
    Address([byte; 20])
}

fn contracts() -> String {
    format!(
        r#"{{"chain_id":100,"assets":[
            {{"asset":"EURe","decimals":18,"canonical":"{}","mirror":"{}"}},
            {{"asset":"USDC.e","decimals":6,"canonical":"{}"}}],
          "spenders":[{{"address":"{}","from_block":10,"to_block":20}}],"settlement":["{}"]}}"#,
        address(EURE),
        address(EURE_V1),
        address(DOLLAR),
        address(SPENDER),
        address(SETTLEMENT)
    )
}

fn log(emitter: u8, event: &impl SolEvent) -> Log {
    let data = event.encode_log_data();
    Log {
        log_index: 0,
        address: address(emitter),
        topics: data.topics().iter().map(|topic: &B256| Hash(topic.0)).collect(),
        data: data.data.to_vec(),
    }
}

fn spend(asset: u8, roles: u8, amount: u64) -> Log {
    let [asset, account, receiver] = [asset, roles, SETTLEMENT].map(|byte| [byte; 20].into());
    log(SPENDER, &Spend { asset, account, receiver, amount: U256::from(amount) })
}

fn transfer(token: u8, from: u8, to: u8, amount: u64) -> Log {
    log(token, &Transfer { from: [from; 20].into(), to: [to; 20].into(), value: U256::from(amount) })
}

fn executed(safe: u8, module: u8) -> Log {
    log(safe, &ExecutionFromModuleSuccess { module: [module; 20].into() })
}

/// The logs of a swipe that matter, in their order.
fn swipe(amount: u64) -> Vec<Log> {
    vec![
        transfer(EURE, SAFE, SETTLEMENT, amount),
        transfer(EURE_V1, SAFE, SETTLEMENT, amount),
        executed(SAFE, ROLES),
        spend(EURE_V1, ROLES, amount),
    ]
}

fn transaction(block_number: u64, logs: Vec<Log>) -> Transaction {
    let logs = (7..).zip(logs).map(|(log_index, log)| Log { log_index, ..log }).collect();
    Transaction {
        chain_id: 100,
        block_hash: Hash([block_number as u8; 32]),
        block_number,
        block_timestamp: Timestamp::from_s(1_000).unwrap(),
        transaction_hash: Hash([0xee; 32]),
        logs,
    }
}

fn translate(block_number: u64, logs: Vec<Log>) -> Translated {
    let transaction = transaction(block_number, logs);
    let [translated] =
        GnosisPay::translate(contracts().as_bytes(), &[transaction]).unwrap().try_into().unwrap();
    translated
}

fn codes(translated: &Translated) -> Vec<&'static str> {
    translated.refusals.iter().map(|refusal| refusal.code).collect()
}

fn payments(translated: &Translated) -> Vec<(&'static str, Address, Minor, u64)> {
    let payment = |command: &clearfold_kernel::TranslatedCommand| {
        let message = &command.message;
        let decoded = Command::decode(&message.kind, message.schema_version, &message.payload).unwrap();
        match decoded {
            Command::RecordSwipe(swipe) => {
                ("swipe", swipe.account, swipe.amount.minor, swipe.source.log_index)
            }
            Command::RecordRefund(refund) => {
                ("refund", refund.account, refund.amount.minor, refund.source.log_index)
            }
            Command::PresentClearing(_) => panic!("a chain presents no clearing"),
        }
    };
    translated.commands.iter().map(payment).collect()
}

#[test]
fn a_swipe_belongs_to_the_safe_behind_the_roles_module() {
    let translated = translate(10, swipe(850));
    assert_eq!(payments(&translated), [("swipe", address(SAFE), Minor::new(850), 10)]);
    assert_eq!(translated.commands[0].routing_key, address(SAFE).to_string());
    assert_eq!(translated.refusals, []);
}

#[test]
fn a_swipe_keeps_its_id_in_another_block() {
    let ids = [10, 11].map(|block| translate(block, swipe(850)).commands[0].id.clone());
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0].len(), 32);
}

#[test]
fn two_swipes_of_one_transaction_are_two_payments() {
    let translated = translate(10, [swipe(850), swipe(850)].concat());
    assert_eq!(payments(&translated).len(), 2);
    assert_ne!(translated.commands[0].id, translated.commands[1].id);
}

#[test]
fn a_spender_counts_only_in_its_blocks() {
    for block in [9, 21] {
        assert_eq!(translate(block, swipe(850)), Translated::default());
    }
    assert_eq!(translate(20, swipe(850)).commands.len(), 1);
}

#[test]
fn a_spend_that_cannot_be_understood_is_refused_with_its_reason() {
    let unknown_asset = vec![executed(SAFE, ROLES), spend(0x77, ROLES, 1)];
    let foreign_module =
        vec![transfer(EURE, SAFE, SETTLEMENT, 1), executed(SAFE, 0x12), spend(EURE, ROLES, 1)];
    let only_mirrored =
        vec![transfer(EURE_V1, SAFE, SETTLEMENT, 1), executed(SAFE, ROLES), spend(EURE, ROLES, 1)];
    let too_late = vec![transfer(EURE, SAFE, SETTLEMENT, 1), spend(EURE, ROLES, 1), executed(SAFE, ROLES)];
    let mut cut = swipe(1);
    cut[3].data.truncate(100);
    let mut huge = swipe(1);
    huge[3].data[96..].fill(0xff);
    for (logs, code) in [
        (unknown_asset, "spend_of_unknown_asset"),
        (foreign_module, "spend_without_account"),
        (too_late, "spend_without_account"),
        (only_mirrored, "spend_without_transfer"),
        (cut, "spend_malformed"),
        (huge, "amount_too_large"),
    ] {
        let translated = translate(10, logs);
        assert_eq!((translated.commands.len(), codes(&translated)), (0, vec![code]));
    }
}

#[test]
fn one_transfer_proves_one_spend() {
    let mut logs = swipe(850);
    logs.push(spend(EURE_V1, ROLES, 850));
    let translated = translate(10, logs);
    assert_eq!((translated.commands.len(), codes(&translated)), (1, vec!["spend_without_transfer"]));
}

#[test]
fn an_odd_spend_does_not_harm_its_neighbour() {
    let translated = translate(10, [vec![spend(0x77, ROLES, 1)], swipe(850)].concat());
    assert_eq!(payments(&translated), [("swipe", address(SAFE), Minor::new(850), 11)]);
    assert_eq!(codes(&translated), ["spend_of_unknown_asset"]);
}

#[test]
fn refunds_are_counted_once_where_they_are_canonical() {
    let batch = [SAFE, 0x20, 0x21]
        .iter()
        .flat_map(|to| [transfer(EURE, SETTLEMENT, *to, 217), transfer(EURE_V1, SETTLEMENT, *to, 217)]);
    let own = [transfer(DOLLAR, SETTLEMENT, SETTLEMENT, 5), transfer(DOLLAR, SETTLEMENT, SAFE, 6)];
    let translated = translate(10, batch.chain(own).collect());
    let expected = [
        ("refund", address(SAFE), Minor::new(217), 7),
        ("refund", address(0x20), Minor::new(217), 9),
        ("refund", address(0x21), Minor::new(217), 11),
        ("refund", address(SAFE), Minor::new(6), 14),
    ];
    assert_eq!(payments(&translated), expected);
}

#[test]
fn a_malformed_transfer_is_refused_not_dropped() {
    let mut odd = transfer(EURE, SETTLEMENT, SAFE, 217);
    odd.topics.pop();
    assert_eq!(codes(&translate(10, vec![odd])), ["transfer_malformed"]);
}

#[test]
fn another_chains_transaction_is_an_error_that_names_both() {
    let foreign = Transaction { chain_id: 1, ..transaction(10, swipe(1)) };
    let error = GnosisPay::translate(contracts().as_bytes(), &[foreign]).unwrap_err();
    assert!(error.contains("chain 100") && error.contains("chain 1;"), "{error}");
}

#[test]
fn a_contract_set_that_cannot_work_is_refused() {
    let good = contracts();
    for (bad, reason) in [
        ("{".to_owned(), "cannot be read"),
        (good.replace("spenders", "spender"), "unknown field"),
        (good.replace(r#""from_block":10"#, r#""from_block":30"#), "ends at a block before"),
        (good.replace(&address(DOLLAR).to_string(), &address(EURE_V1).to_string()), "twice"),
        (good.replace("USDC.e", "EURe"), "twice"),
        (good.replace(r#""decimals":6"#, r#""decimals":39"#), "39 decimals"),
        (good.replace(&format!("[\"{}\"]", address(SETTLEMENT)), "[]"), "`settlement`"),
        (good.replace(&address(SPENDER).to_string(), "0x12"), "40 hexadecimal digits"),
    ] {
        let error = GnosisPay::filters(bad.as_bytes()).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn filters_find_spends_by_module_and_refunds_by_sender() {
    let filters = GnosisPay::filters(contracts().as_bytes()).unwrap();
    let spends = &filters[0];
    assert_eq!(
        (&spends.addresses, spends.from_block, spends.to_block),
        (&vec![address(SPENDER)], 10, Some(20))
    );
    let refunds = &filters[1];
    assert_eq!(refunds.addresses, [address(EURE), address(DOLLAR)]);
    assert_eq!(refunds.first_arguments[0].0[12..], address(SETTLEMENT).0);
}
