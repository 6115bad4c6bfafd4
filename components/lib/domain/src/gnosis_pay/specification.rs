//! Tests of the contract set's validation and of its log filters. The rest is specified in `specs/gnosis_pay.yaml`.

use clearfold_kernel::{Address, Translator};

use super::GnosisPay;

const SPENDER: u8 = 0x01;
const EURE: u8 = 0x02;
const EURE_V1: u8 = 0x03;
const SETTLEMENT: u8 = 0x04;
const DOLLAR: u8 = 0x05;

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
