//! Tests of the contract set's validation and of its log filters. The rest is
//! specified in `specs/gnosis_pay.yaml` and `specs/gnosis_pay_movements.yaml`.

use clearfold_kernel::{Address, Translator};

use super::GnosisPay;

const SPENDER: u8 = 0x01;
const EURE: u8 = 0x02;
const EURE_V1: u8 = 0x03;
const SETTLEMENT: u8 = 0x04;
const DOLLAR: u8 = 0x05;
const SAFE: u8 = 0x10;
const SECOND_SAFE: u8 = 0x11;

fn address(byte: u8) -> Address {
    Address([byte; 20])
}

fn contracts() -> String {
    format!(
        r#"{{"chain_id":100,"assets":[
            {{"asset":"EURe","decimals":18,"canonical":"{}","mirror":"{}"}},
            {{"asset":"USDC.e","decimals":6,"canonical":"{}"}}],
          "spenders":[{{"address":"{}","from_block":10,"to_block":20}}],"settlement":["{}"],"accounts":["{}","{}"]}}"#,
        address(EURE),
        address(EURE_V1),
        address(DOLLAR),
        address(SPENDER),
        address(SETTLEMENT),
        address(SAFE),
        address(SECOND_SAFE)
    )
}

#[test]
fn a_contract_set_that_cannot_work_is_refused() {
    let good = contracts();
    for (bad, reason) in [
        ("{".to_owned(), "cannot be read"),
        (good.replace("spenders", "spender"), "unknown field"),
        (good.replace("mirror", "miror"), "unknown field `miror`"),
        (good.replace(r#""from_block":10"#, r#""from_block":30"#), "ends at a block before"),
        (good.replace(&address(DOLLAR).to_string(), &address(EURE_V1).to_string()), "twice"),
        (good.replace("USDC.e", "EURe"), "twice"),
        (good.replace(r#""decimals":6"#, r#""decimals":39"#), "39 decimals"),
        (good.replace(&format!("[\"{}\"]", address(SETTLEMENT)), "[]"), "`settlement`"),
        (good.replace(&address(SPENDER).to_string(), "0x12"), "40 hexadecimal digits"),
        (good.replace(&address(SAFE).to_string(), "0x12"), "40 hexadecimal digits"),
        (good.replace(&address(SECOND_SAFE).to_string(), &address(SAFE).to_string()), "listed twice"),
        (good.replace(&address(SAFE).to_string(), &address(0).to_string()), "which is the zero address"),
        (
            good.replace(&address(SAFE).to_string(), &address(SETTLEMENT).to_string()),
            "which is a settlement Safe",
        ),
        (good.replace(&address(SAFE).to_string(), &address(EURE_V1).to_string()), "the contract of an asset"),
        (good.replace(&address(SAFE).to_string(), &address(SPENDER).to_string()), "which is a spender"),
    ] {
        let error = GnosisPay::filters(bad.as_bytes()).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn filters_find_spends_by_module_and_refunds_by_sender() {
    let selection = GnosisPay::filters(contracts().as_bytes()).unwrap();
    assert_eq!(selection.chain_id, 100);
    let filters = selection.filters;
    let spends = &filters[0];
    assert_eq!(
        (&spends.addresses, spends.from_block, spends.to_block),
        (&vec![address(SPENDER)], 10, Some(20))
    );
    let refunds = &filters[1];
    assert_eq!(refunds.addresses, [address(EURE), address(DOLLAR)]);
    assert_eq!(refunds.first_arguments[0].0[12..], address(SETTLEMENT).0);
}

#[test]
fn filters_find_the_movements_of_accounts_by_receiver_and_by_sender() {
    let filters = GnosisPay::filters(contracts().as_bytes()).unwrap().filters;
    let [_, refunds, to_accounts, from_accounts] = &filters[..] else { panic!("{filters:?}") };
    let accounts =
        |words: &[clearfold_kernel::Hash]| -> Vec<u8> { words.iter().map(|word| word.0[31]).collect() };
    assert_eq!(accounts(&to_accounts.second_arguments), [SAFE, SECOND_SAFE]);
    assert_eq!(accounts(&from_accounts.first_arguments), [SAFE, SECOND_SAFE]);
    assert!(to_accounts.first_arguments.is_empty() && from_accounts.second_arguments.is_empty());
    assert!(refunds.second_arguments.is_empty());
    for filter in [to_accounts, from_accounts] {
        assert_eq!(filter.addresses, [address(EURE), address(DOLLAR)]);
        assert_eq!((&filter.topics, filter.to_block), (&refunds.topics, None));
    }
}

#[test]
fn an_account_is_listed_with_its_roles_module_or_without() {
    let safe = format!("\"{}\"", address(SAFE));
    let with_roles = format!("{{\"safe\":{safe},\"roles\":\"{}\"}}", address(0x33));
    let listed = contracts().replace(&safe, &with_roles);
    let filters = |contracts: &str| GnosisPay::filters(contracts.as_bytes());
    assert_eq!(filters(&listed).unwrap(), filters(&contracts()).unwrap());
    let twice = listed.replace(&address(SECOND_SAFE).to_string(), &address(SAFE).to_string());
    assert!(filters(&twice).unwrap_err().contains("listed twice"));
    let odd = listed.replace("\"roles\"", "\"role\"");
    assert!(filters(&odd).unwrap_err().contains("unknown field `role`"));
}

#[test]
fn a_filter_names_no_more_accounts_than_nodes_take() {
    let accounts: Vec<String> = (1..=1_201_u32).map(|number| format!("\"0x{number:040x}\"")).collect();
    let listed = format!("\"{}\",\"{}\"", address(SAFE), address(SECOND_SAFE));
    let contracts = contracts().replace(&listed, &accounts.join(","));
    let filters = GnosisPay::filters(contracts.as_bytes()).unwrap().filters;
    let receivers: Vec<usize> =
        filters.iter().map(|filter| filter.second_arguments.len()).filter(|count| *count > 0).collect();
    assert_eq!(receivers, [500, 500, 201]);
    assert_eq!(filters.iter().skip(2).map(|filter| filter.first_arguments.len()).sum::<usize>(), 1_201);
}

#[test]
fn a_contract_set_without_accounts_asks_for_no_movements() {
    let listed = format!(",\"accounts\":[\"{}\",\"{}\"]", address(SAFE), address(SECOND_SAFE));
    let contracts = contracts().replace(&listed, "");
    assert!(!contracts.contains("accounts"));
    assert_eq!(GnosisPay::filters(contracts.as_bytes()).unwrap().filters.len(), 2);
}
