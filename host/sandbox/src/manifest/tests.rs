//! Valid and invalid manifests as a person writes them.

use super::*;

const APPLICATION: &str = r#"
spin_manifest_version = 2
[application]
name = "clearfold"
version = "0.1.0"
"#;

const PAYMENTS: &str = r#"
[component.payments]
source = "payments.wasm"
"#;

fn parse(entries: &[&str], environment: &[(&str, &str)]) -> Result<Manifest, ManifestError> {
    let value = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
    let text = std::iter::once(&APPLICATION).chain(entries).copied().collect::<String>();
    resolve::manifest(Path::new("/app/spin.toml"), &text, value)
}

fn message(entries: &[&str]) -> String {
    parse(entries, &[]).err().expect("a fault").to_string()
}

/// Reads this repository's own manifest.
fn ours(environment: impl Fn(&str) -> Option<String>) -> Manifest {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spin.toml"));
    Manifest::read(path, environment).expect("spin.toml")
}

#[test]
fn our_own_manifest_has_the_edge_and_every_handler() {
    let manifest = ours(|_| None);
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("clearfold", "0.1.0"));
    let handlers: Vec<_> = manifest.handlers.iter().map(|h| (h.kind.as_str(), h.name.as_str())).collect();
    let expected = [
        ("translator", "gnosis-pay"),
        ("decider", "account"),
        ("decider", "authorization"),
        ("decider", "card"),
        ("saga", "authorization"),
        ("projector", "payments"),
        ("projector", "merchants"),
        ("projector", "disputes"),
        ("projector", "balances"),
        ("projector", "card_usage"),
        ("projector", "settlement"),
        ("projector", "sagas"),
        ("auditor", "payments"),
    ];
    assert_eq!(handlers, expected);
    let edge = &manifest.components[&manifest.http_trigger("/edge/payments/1").expect("the edge").component];
    assert!(edge.source.is_absolute() && edge.source.ends_with("target/components/edge-payments.wasm"));
    assert_eq!(edge.variables["host_url"], "http://127.0.0.1:9100");
    assert!(edge.allowed_outbound_hosts[0].allows("http", "127.0.0.1", Some(9100)));
    assert!(manifest.http_trigger("/v1/payments").is_none());
}

#[test]
fn the_environment_overrides_a_default_everywhere_it_is_used() {
    let manifest = ours(|name| (name == "SPIN_VARIABLE_HOST_URL").then(|| "http://host:8000".to_owned()));
    let edge = &manifest.components["edge-payments"];
    assert_eq!(edge.variables["host_url"], "http://host:8000");
    assert_eq!(edge.allowed_outbound_hosts, [OutboundHost::parse("http://host:8000").expect("a host")]);
}

#[test]
fn the_exact_route_answers_before_the_longest_wildcard() {
    let route = |path: &str| format!("[[trigger.http]]\nroute = {path:?}\ncomponent = \"payments\"\n");
    let routes = ["/...", "/a/...", "/a/b/...", "/a/b"].map(route).concat();
    let manifest = parse(&[&routes, PAYMENTS], &[]).expect("a manifest");
    for (path, expected) in [("/x", "/..."), ("/a", "/a/..."), ("/a/b", "/a/b"), ("/a/b/c", "/a/b/...")] {
        assert_eq!(manifest.http_trigger(path).expect(path).route.to_string(), expected);
    }
}

#[test]
fn a_required_variable_comes_from_the_environment() {
    let variable = "[variables]\ntoken = { required = true, secret = true }\n";
    let used = "[component.payments]\nsource = \"p.wasm\"\nvariables = { header = \"Bearer {{ token }}\" }\n";
    let manifest = parse(&[variable, used], &[("SPIN_VARIABLE_TOKEN", "abc")]).expect("a manifest");
    assert_eq!(manifest.components["payments"].variables["header"], "Bearer abc");
    let expected = "/app/spin.toml: variable \"token\": it is required and has no value; \
                    set SPIN_VARIABLE_TOKEN in the environment";
    assert_eq!(message(&[variable, used]), expected);
}

#[test]
fn each_fault_names_its_entry_and_its_remedy() {
    const DECIDER: &str = "[[trigger.clearfold]]\nkind = \"decider\"\ncomponent = \"payments\"\n";
    let decider = |more: &str| format!("{DECIDER}{more}\n");
    let http = |route: &str| format!("[[trigger.http]]\nroute = {route:?}\ncomponent = \"payments\"\n");
    let component = |more: &str| format!("{PAYMENTS}{more}\n");
    let own = |text: &str| text.to_owned();
    for (entries, expected) in [
        (decider("aggregate = \"card\""), "there is no [component.payments]; add it"),
        (component("[variables]\nurl = {}"), "variable \"url\": it has neither a default nor required"),
        (
            component("variables = { a = \"{{ b }}\" }"),
            "component.payments: the variable \"b\" is not declared",
        ),
        (component("variables = { a = \"{{ b\" }"), "has no end; close it with }}"),
        (
            component("allowed_outbound_hosts = [\"host\"]"),
            "\"host\" is not an outbound host (it has no scheme)",
        ),
        (PAYMENTS.to_owned() + &decider(""), "key \"aggregate\" with the decider's name is missing"),
        (
            PAYMENTS.to_owned() + &decider("aggregate = 1"),
            "key \"aggregate\" with the decider's name is missing",
        ),
        (
            PAYMENTS.to_owned() + &decider("aggregate = \"card\"\nname = \"x\""),
            "the key \"name\" is not known",
        ),
        (PAYMENTS.to_owned() + &decider("aggregate = \"card\"").repeat(2), "the same kind and name"),
        (PAYMENTS.to_owned() + &decider("").replace("decider", "sage"), "the kind \"sage\" is unknown"),
        (PAYMENTS.to_owned() + &http("/a/...").repeat(2), "another trigger has the same route"),
        (PAYMENTS.to_owned() + &http("a"), "trigger.http with the route \"a\": \"a\" is not a route"),
        (own("[[trigger.redis]]\nchannel = \"x\""), "trigger.redis: no such kind of trigger is served here"),
    ] {
        let message = message(&[&entries]);
        assert!(message.contains(expected) && message.starts_with("/app/spin.toml: "), "{message}");
    }
}

#[test]
fn a_saga_is_a_handler_with_a_name() {
    let saga = "[[trigger.clearfold]]\nkind = \"saga\"\nname = \"payout\"\ncomponent = \"payments\"\n";
    let manifest = parse(&[saga, PAYMENTS], &[]).expect("a manifest");
    let handler = &manifest.handlers[0];
    assert_eq!((handler.kind, handler.name.as_str()), (ComponentKind::Saga, "payout"));
}

#[test]
fn another_version_is_refused_before_its_shape_is_read() {
    let text = "spin_manifest_version = 1\nname = \"old\"";
    let error = resolve::manifest(Path::new("/app/spin.toml"), text, |_| None).err().expect("a fault");
    let expected = "/app/spin.toml: spin_manifest_version: the version is 1, and only version 2 is \
                    understood; write spin_manifest_version = 2";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_is_no_manifest_is_said_with_the_place() {
    let error = parse(&["[component.payments]\nfile = \"x\""], &[]).err().expect("a fault");
    let source = std::error::Error::source(&error).expect("the place").to_string();
    assert!(source.contains("missing field `source`") && source.contains("line 6"), "{source}");
    let missing = Manifest::read(Path::new("/nowhere/spin.toml"), |_| None).err().expect("a fault");
    assert!(missing.to_string().starts_with("/nowhere/spin.toml: the manifest cannot be read"));
}

const RISK: &str = r#"
[variables]
risk_url = { default = "" }
[application.trigger.clearfold.effects.risk]
url = "{{ risk_url }}"
stand_in = '{"decision":"approve"}'
timeout_ms = 300
"#;

#[test]
fn an_effect_is_offered_where_its_address_is_given() {
    assert!(parse(&[RISK], &[]).expect("a manifest").effects.is_empty());
    let manifest = parse(&[RISK], &[("SPIN_VARIABLE_RISK_URL", "https://risk.example/assess")]);
    let manifest = manifest.expect("a manifest");
    let risk = &manifest.effects["risk"];
    assert_eq!(risk.url.as_str(), "https://risk.example/assess");
    assert_eq!((risk.timeout.as_millis(), risk.deadline, risk.concurrency), (300, risk.timeout, 64));
    assert_eq!(risk.stand_in.as_deref(), Some(r#"{"decision":"approve"}"#));
}

#[test]
fn an_effect_that_cannot_be_carried_out_is_refused() {
    let effect = |name: &str, keys: &str| format!("[application.trigger.clearfold.effects.{name}]\n{keys}\n");
    let url = "url = \"http://risk\"\n";
    for (entry, said) in [
        (effect("Risk", url), "it is no name of an effect"),
        (effect("risk", "url = \"ftp://risk\""), "is no http:// or https:// address"),
        (effect("risk", &format!("{url}stand_in = \"approve\"")), "its stand_in is no JSON"),
        (effect("risk", &format!("{url}timeout_ms = 0")), "timeout_ms is 0; it is from 1 to"),
        (effect("risk", &format!("{url}concurrency = 9999")), "concurrency is 9999; it is from 1 to 1024"),
        (effect("risk", &format!("{url}deadline = 1")), "unknown field `deadline`"),
    ] {
        let error = parse(&[&entry], &[]).err().expect("a fault");
        let message = clearfold_base::telemetry::with_causes(&error);
        assert!(message.contains(said), "{said}: {message}");
    }
}
