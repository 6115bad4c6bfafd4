//! Messages as the commands that they become.

use super::*;

fn money(minor: u128, currency: &str, exponent: u8) -> Money {
    Money { minor: Minor::new(minor), currency: currency.to_owned(), exponent }
}

#[test]
fn a_currency_is_an_asset_exactly() {
    for (given, asset, minor) in [
        (money(1_250, "EUR", 2), "EURe", 12_500_000_000_000_000_000),
        (money(1, "GBP", 2), "GBPe", 10_000_000_000_000_000),
        (money(1_250, "USD", 2), "USDC.e", 12_500_000),
        (money(12, "USD", 0), "USDC.e", 12_000_000),
        (money(0, "EUR", 2), "EURe", 0),
    ] {
        let amount = asset_amount(&given).unwrap();
        assert_eq!((amount.asset.code.as_str(), amount.minor), (asset, Minor::new(minor)));
        assert_eq!(network_money(amount.minor, &given), Ok(given));
    }
}

#[test]
fn what_does_not_fit_an_asset_is_refused() {
    for (given, said) in [
        (money(1, "XAU", 2), "no account is charged in \"XAU\""),
        (money(1, "USD", 7), "the exponent 7 is more than USDC.e has decimals"),
        (money(u128::MAX, "EUR", 2), "is too large"),
    ] {
        let refused = asset_amount(&given).unwrap_err();
        assert!(refused.contains(said), "{refused}");
        assert!(said == "is too large" || network_money(Minor::new(1), &given).is_err(), "{said}");
    }
}

#[test]
fn a_total_is_only_for_increments() {
    let message: Message = serde_json::from_value(serde_json::json!({
        "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1", "basis": "total",
        "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
        "amount": {"minor": "1250", "currency": "EUR", "exponent": 2},
    }))
    .unwrap();
    assert!(command(Kind::Increment, &message).is_ok());
    for kind in [Kind::Authorization, Kind::Advice, Kind::Reversal, Kind::Clearing] {
        let refused = command(kind, &message).err().unwrap_or_default();
        assert!(refused.contains("the route of the increments"), "{refused:?}");
    }
}

/// Reads a message of all kinds with some fields, and returns the body that sends it.
fn sent(kind: Kind, fields: &serde_json::Value) -> Result<serde_json::Value, String> {
    let mut message = serde_json::json!({
        "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1",
        "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
        "amount": {"minor": "1250", "currency": "EUR", "exponent": 2}, "cause": "merchant",
        "merchant": {"id": "m-1", "name": "Shop", "category": "5812", "country": "AT"},
    });
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let message = Message::read(kind, message.to_string().as_bytes())?;
    Ok(serde_json::from_str(&command(kind, &message)?.bodies()?[0]).unwrap())
}

#[test]
fn a_refund_is_credited_on_its_payment_under_an_id_of_its_own() {
    let sent =
        sent(Kind::Refund, &serde_json::json!({"reference": "arn-1", "processing_code": "200000"})).unwrap();
    let (payload, details) = (&sent["payload"], &sent["payload"]["details"]);
    assert_eq!((&sent["id"], &sent["type"]), (&"alone-8-visa-t-1-m-1".into(), &"RecordRefund".into()));
    assert_eq!(payload["origin"]["network"], "visa-t-1/m-1");
    assert_eq!(payload["amount"]["minor"], "12500000000000000000");
    assert_eq!(
        [&details["transaction_type"], &details["reference"], &details["card_id"]],
        ["refund", "arn-1", "card-1"]
    );
    assert_eq!(details["merchant"]["category"], "5812");
}

#[test]
fn a_refund_is_sent_alone_only_if_its_payment_is_not_known() {
    let text = serde_json::json!({
        "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "record": "r-1",
        "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:00.000Z",
        "amount": {"minor": "1250", "currency": "EUR", "exponent": 2},
    });
    for (kind, alone) in
        [(Kind::Refund, "alone-8-visa-t-1-m-1"), (Kind::RefundReversal, "alone-8-visa-t-1-r-1")]
    {
        let message = Message::read(kind, text.to_string().as_bytes()).unwrap();
        let sent = command(kind, &message).unwrap().bodies().unwrap();
        let sent = sent.iter().map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap());
        let places: Vec<_> =
            sent.map(|body| (body["id"].clone(), body["payload"]["known_only"] == true)).collect();
        assert_eq!(places, [(alone.into(), true), ("visa-t-1".into(), true), (alone.into(), false)]);
    }
}

#[test]
fn a_purchase_is_no_refund() {
    for kind in [Kind::Refund, Kind::RefundReversal] {
        for typed in [
            serde_json::json!({"record": "m-1", "processing_code": "000000"}),
            serde_json::json!({"record": "m-1", "transaction_type": "cash", "processing_code": "200000"}),
        ] {
            let refused = sent(kind, &typed).unwrap_err();
            assert!(refused.contains("the route of the clearings"), "{refused}");
        }
        for typed in [
            serde_json::json!({"record": "m-1", "processing_code": "260000"}),
            serde_json::json!({"record": "m-1", "processing_code": "990000"}),
            serde_json::json!({"record": "m-1"}),
        ] {
            assert!(sent(kind, &typed).is_ok(), "{typed}");
        }
    }
}

#[test]
fn a_record_that_is_taken_back_is_named_as_it_was_sent() {
    let clearing = serde_json::json!({"record": "c-1", "message_id": "m-9", "stan": "004711"});
    let reversed = sent(Kind::ClearingReversal, &clearing).unwrap();
    let payload = &reversed["payload"];
    assert_eq!((&reversed["id"], &reversed["type"]), (&"visa-t-1".into(), &"ReverseClearing".into()));
    assert_eq!(
        [&payload["reversal_id"], &payload["clearing_id"], &payload["details"]["stan"]],
        ["m-9", "c-1", "004711"]
    );
    let refund = serde_json::json!({"record": "m-1", "message_id": "m-9", "processing_code": "200000"});
    let reversed = sent(Kind::RefundReversal, &refund).unwrap();
    assert_eq!(
        (&reversed["id"], &reversed["payload"]["refund_id"], &reversed["payload"]["reversal_id"]),
        (&"alone-8-visa-t-1-m-1".into(), &"visa-t-1/m-1".into(), &"visa-t-1/m-9".into())
    );
    assert!(sent(Kind::RefundReversal, &serde_json::json!({})).unwrap_err().contains("record"));
    assert!(sent(Kind::ClearingReversal, &refund).unwrap_err().contains("refunds"));
}

#[test]
fn a_question_for_a_credit_holds_nothing_and_has_an_id_of_its_own() {
    let credit = serde_json::json!({"processing_code": "200000", "partial_allowed": true});
    for kind in [Kind::Authorization, Kind::Advice] {
        let sent = sent(kind, &credit).unwrap();
        assert_eq!((&sent["id"], &sent["type"]), (&"refund-visa-t-1".into(), &"RequestAuthorization".into()));
        assert_eq!(sent["payload"]["amount"]["minor"], "0");
        let asked = &sent["payload"]["details"]["amounts"][0];
        assert_eq!((&asked["amount"]["minor"], &asked["is_credit"]), (&"1250".into(), &true.into()));
    }
    let reversed = sent(Kind::Reversal, &credit).unwrap();
    assert_eq!(
        (&reversed["id"], &reversed["payload"]["extent"]),
        (&"refund-visa-t-1".into(), &"full".into())
    );
    let refused = sent(Kind::Clearing, &credit).unwrap_err();
    assert!(refused.contains("the route of the refunds"), "{refused}");
    let purchase = sent(Kind::Authorization, &serde_json::json!({"processing_code": "000000"})).unwrap();
    assert_eq!(
        (&purchase["id"], &purchase["payload"]["amount"]["minor"]),
        (&"visa-t-1".into(), &"12500000000000000000".into())
    );
}

#[test]
fn a_financial_request_is_a_single_message() {
    let of = |kind, message_type: &str| {
        sent(kind, &serde_json::json!({"message_type": message_type, "processing_code": "010000"}))
    };
    for (kind, message_type, is_single) in [
        (Kind::Authorization, "0100", false),
        (Kind::Authorization, "1100", false),
        (Kind::Authorization, "0200", true),
        (Kind::Authorization, "1200", true),
        (Kind::Authorization, "0201", true),
        (Kind::Advice, "0120", false),
        (Kind::Advice, "0220", true),
        (Kind::Increment, "0100", false),
        (Kind::Reversal, "0420", false),
        (Kind::Clearing, "0220", false),
    ] {
        let sent = of(kind, message_type).unwrap();
        assert_eq!(sent["payload"]["single_message"] == true, is_single, "{kind:?} {message_type}");
    }
    for (kind, message_type, why) in [
        (Kind::Authorization, "0220", "the route of its kind"),
        (Kind::Authorization, "0400", "the route of its kind"),
        (Kind::Advice, "0200", "the route of its kind"),
        (Kind::Increment, "0200", "an authorization of its own"),
        (Kind::Authorization, "200", "four digits"),
    ] {
        let refused = of(kind, message_type).unwrap_err();
        assert!(refused.contains(why), "{kind:?} {message_type}: {refused}");
    }
    let credit = serde_json::json!({"message_type": "0200", "processing_code": "200000"});
    assert!(sent(Kind::Authorization, &credit).unwrap_err().contains("the route of the refunds"));
    assert!(sent(Kind::Authorization, &serde_json::json!({"mesage_type": "0200"})).is_err());
}

#[test]
fn what_a_message_states_besides_goes_with_its_command() {
    let stated = serde_json::json!({
        "acquirer": "40000001", "stan": "004711", "future": {"x": 1},
        "fees": [{"kind": "surcharge", "minor": "50", "currency": "EUR", "exponent": 2}],
        "additional_amounts": [{"kind": "40", "minor": "500", "currency": "EUR", "exponent": 2}],
        "original": {"message_type": "0100", "stan": "004710"},
    });
    for kind in
        [Kind::Authorization, Kind::Increment, Kind::Advice, Kind::Reversal, Kind::Clearing, Kind::Refund]
    {
        let details = &sent(kind, &stated).unwrap()["payload"]["details"];
        assert_eq!([&details["acquirer"], &details["additional"]["future.x"]], ["40000001", "1"], "{kind:?}");
        assert_eq!(details["fees"][0]["amount"]["minor"], "50");
        assert_eq!(details["amounts"][0]["kind"], "40");
        assert_eq!(details["original"]["stan"], "004710");
        let is_required = matches!(kind, Kind::Authorization | Kind::Advice);
        assert_eq!(details["card_id"].is_null(), is_required, "{kind:?}");
    }
    assert!(sent(Kind::Authorization, &serde_json::json!({})).unwrap()["payload"]["details"].is_null());
}

#[test]
fn the_networks_fees_go_with_their_record() {
    let fee = serde_json::json!(
        {"kind": "interchange", "code": "75", "minor": "123456", "currency": "EUR", "exponent": 6, "credit": true}
    );
    let mut scheme = serde_json::json!({"kind": "scheme", "minor": "21", "currency": "EUR", "exponent": 4});
    scheme["credit"] = false.into();
    let fees = serde_json::json!({
        "network": "visa",
        "fees": [
            {
                "kind": "interchange", "code": "75", "direction": "credit",
                "amount": {"minor": "123456", "asset": "EUR", "decimals": 6},
            },
            {"kind": "scheme", "direction": "debit", "amount": {"minor": "21", "asset": "EUR", "decimals": 4}},
        ],
    });
    for kind in [Kind::Clearing, Kind::Refund] {
        let sent_with = |fees: serde_json::Value| sent(kind, &serde_json::json!({"network_fees": fees}));
        let payload = &sent_with(serde_json::json!([fee, scheme])).unwrap()["payload"];
        assert_eq!(payload["network_fees"], fees);
        assert!(payload["details"].get("fees").is_none(), "they are no part of the amount");
        assert_eq!(sent_with(serde_json::json!([])).unwrap()["payload"].get("network_fees"), None);
        for (member, value, why) in [
            ("minor", Some(serde_json::json!("0")), "is zero"),
            ("exponent", Some(serde_json::json!(9)), "has 9 decimals"),
            ("currency", Some(serde_json::json!("euro")), "three capital letters"),
            ("kind", Some(serde_json::json!("assessment")), "assessment"),
            ("credti", Some(serde_json::json!(true)), "credti"),
            ("credit", None, "credit"),
        ] {
            let mut wrong = fee.clone();
            let members = wrong.as_object_mut().unwrap();
            match value {
                Some(value) => members.insert(member.to_owned(), value),
                None => members.remove(member),
            };
            let refused = sent_with(serde_json::json!([wrong])).unwrap_err();
            assert!(refused.contains(why), "{member}: {refused}");
        }
        let refused = sent_with(serde_json::json!(vec![fee.clone(); 33])).unwrap_err();
        assert!(refused.contains("33 network fees"), "{refused}");
    }
    let reversal = serde_json::json!({"record": "c-1", "network_fees": [fee]});
    let reversed = sent(Kind::ClearingReversal, &reversal).unwrap();
    assert_eq!(reversed["payload"].get("network_fees"), None, "the record has stated them");
}

#[test]
fn what_is_stated_of_card_and_holder_is_passed_on() {
    let read = |fields: serde_json::Value| {
        let mut message = serde_json::json!({
            "message_id": "m-1", "transaction_id": "t-1", "network": "visa", "card": "card-1",
            "account": "0x1111111111111111111111111111111111111111",
            "transmitted_at": "2026-11-22T10:00:00.000Z",
        });
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value::<Message>(message).map(|message| serde_json::json!(checks(&message)))
    };
    assert!(read(serde_json::json!({})).unwrap().is_null());
    let stated =
        read(serde_json::json!({"pos_entry": "chip", "checks": {"pin": "not_matched", "cvv": null}}));
    assert_eq!(stated.unwrap(), serde_json::json!({"entry": "chip", "pin": "not_matched"}));
    assert!(read(serde_json::json!({"checks": {"pin": "1234"}})).is_err());
}

#[test]
fn less_than_the_networks_smallest_unit_is_not_shown() {
    let cents = money(0, "EUR", 2);
    for (minor, shown) in
        [(0, 0), (9_999_999_999_999_999, 0), (10_000_000_000_000_000, 1), (19_999_999_999_999_999, 1)]
    {
        assert_eq!(network_money(Minor::new(minor), &cents).unwrap().minor, Minor::new(shown));
    }
}

#[test]
fn a_reversal_without_the_id_asks_and_goes_where_the_hold_is() {
    let message: Message = serde_json::from_value(serde_json::json!({
        "message_id": "m-2", "network": "visa", "cause": "timeout", "transaction_id": "000000000000000",
        "account": "0x1111111111111111111111111111111111111111", "transmitted_at": "2026-11-22T10:00:30.000Z",
        "acquirer": "40000001", "stan": "004711", "retrieval_reference": "632610004711",
        "original": {"transmitted_at": "2026-11-22T10:00:00.000Z"},
    }))
    .unwrap();
    let translated = command(Kind::Reversal, &message).unwrap();
    let read = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap();
    let question = read(&translated.question().unwrap().unwrap());
    assert_eq!([&question["aggregate"], &question["type"]], ["account", "FindHold"]);
    assert_eq!(question["id"], question["account"]);
    let asked =
        serde_json::json!({"asked_by": "visa-40000001-004711-632610004711-1795341600", "message_id": "m-2"});
    assert_eq!(question["payload"], asked);
    let at = |holds: &[&str]| {
        let holds: Vec<ExternalId> = holds.iter().map(|id| id.parse().unwrap()).collect();
        let bodies = translated.reversals_of(&holds).unwrap();
        bodies.iter().map(|body| read(body)).collect::<Vec<_>>()
    };
    let only = at(&["visa-t-1"]);
    assert_eq!((&only[0]["id"], only[0]["payload"].get("candidates")), (&"visa-t-1".into(), None));
    let several = at(&["visa-t-1", "visa-t-2"]);
    assert_eq!([&several[0]["id"], &several[1]["id"]], ["visa-t-1", "visa-t-2"]);
    assert!(several.iter().all(|body| body["payload"]["candidates"].as_array().unwrap().len() == 2));
    let named = Message { transaction_id: Some("t-1".to_owned()), ..message.clone() };
    assert_eq!(command(Kind::Reversal, &named).unwrap().question(), Ok(None));
}
