//! `cargo xtask features`: checks that every third-party crate has one feature set, whatever is built together.
//!
//! Cargo unifies features over the packages of one call. If two calls arrive at different features of a crate, it and all
//! that depend on it are compiled twice. The manifest of `features` states the union; this compares cargo's plans,
//! without compiling anything (docs/adr/0017-one-feature-set.md).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::Member;
use crate::{cargo, schemas, wasm};

/// Package that every partial selection names too, so that it gets the features of the whole.
pub const PACKAGE: [&str; 2] = ["--package", "clearfold-features"];

/// Crate that this machine compiles only for clippy and for the edge components' own tests, with other features. To state
/// their union would make every build of the workspace compile the generator behind it.
const CHECKED_ONLY: &str = "wit-bindgen@";

/// Name and arguments of a cargo call that some job makes.
type Call = (String, Vec<String>);
/// Names of the calls by the features that they give a crate.
type Plans = BTreeMap<BTreeSet<String>, BTreeSet<String>>;

pub fn run() -> Result<()> {
    let members = cargo::members()?;
    let mut found = differences(&native_calls(&members), cargo::cargo)?;
    found.retain(|(package, _)| !package.starts_with(CHECKED_ONLY));
    for group in cargo::component_groups(&members) {
        found.extend(differences(&component_calls(&group), || {
            wasm::cargo_build(wasm::PROFILE).unwrap_or_else(|_| cargo::cargo())
        })?);
    }
    if found.is_empty() {
        eprintln!("Every third-party crate has one feature set.");
        return Ok(());
    }
    for (package, plans) in &found {
        println!("{package}");
        for (features, calls) in plans {
            let list = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            println!("    [{}] in {}", list(features), list(calls));
        }
    }
    bail!(
        "{} crates would be compiled with more than one feature set; state the union of each, listed above, in \
         xtask/features/Cargo.toml (for a component: components/lib/features/Cargo.toml), under [dependencies] and, if a \
         macro or build script uses the crate, under [build-dependencies]",
        found.len()
    )
}

/// The calls for this machine's own programs and tests.
fn native_calls(members: &[Member]) -> Vec<Call> {
    let native = cargo::native(members);
    let call = |name: &str, selection: &[String], rest: &[&str]| {
        let rest = rest.iter().map(|argument| (*argument).to_owned());
        (name.to_owned(), selection.iter().cloned().chain(rest).collect())
    };
    let partial = |packages: &[String]| [&PACKAGE.map(str::to_owned)[..], packages].concat();
    let domain = ["--package".to_owned(), "clearfold-domain".to_owned()];
    let bench = ["--package".to_owned(), "clearfold-bench".to_owned()];
    vec![
        call("xtask", &[], &["--bin", "xtask"]),
        call("up", &native, &["--bin", "clearfold", "--bin", "devchain"]),
        call("sqlx", &native, &["--lib", "--bins"]),
        call("test", &native, &["--lib", "--bins", "--tests"]),
        call("schemas", &native, &["--features", schemas::FEATURE, "--tests"]),
        call("components' own tests", &partial(&cargo::tested_components(members)), &["--tests"]),
        call("sim", &partial(&domain), &["--tests"]),
        call("bench", &partial(&bench), &["--bins"]),
        call("clippy", &["--workspace".to_owned()], &["--all-targets", "--features", schemas::FEATURE]),
    ]
}

/// The call for all components of a group, and one for each alone.
fn component_calls(group: &[String]) -> Vec<Call> {
    let select = |name: &String| ["--package".to_owned(), name.clone()];
    let together = ("all together".to_owned(), group.iter().flat_map(select).collect());
    let alone = group.iter().map(|name| (name.clone(), select(name).to_vec()));
    std::iter::once(together).chain(alone).collect()
}

/// Third-party crates to which the calls give different features.
fn differences(calls: &[Call], build: impl Fn() -> std::process::Command) -> Result<Vec<(String, Plans)>> {
    let mut plans = BTreeMap::<String, Plans>::new();
    for (name, arguments) in calls {
        let mut command = build();
        if command.get_args().next().is_none() {
            command.arg("build");
        }
        for unit in cargo::plan(command.args(arguments))? {
            let Some((package, features)) = third_party(&unit)? else { continue };
            plans.entry(package).or_default().entry(features).or_default().insert(name.clone());
        }
    }
    Ok(plans.into_iter().filter(|(_, plans)| plans.len() > 1).collect())
}

/// Name with version and platform of a third-party crate, and its features; None: a crate of this workspace or of the
/// standard library, or a build script, which is compiled for this machine with the features of each platform.
fn third_party(unit: &Value) -> Result<Option<(String, BTreeSet<String>)>> {
    let id = unit["pkg_id"].as_str().context("a unit names its package")?;
    let Some((_, package)) = id.split_once('#').filter(|(source, _)| source.starts_with("registry+")) else {
        return Ok(None);
    };
    if unit["target"]["kind"][0] == "custom-build" {
        return Ok(None);
    }
    let features = unit["features"].as_array().context("a unit lists its features")?;
    let features = features.iter().filter_map(|feature| feature.as_str().map(str::to_owned)).collect();
    let platform = unit["platform"].as_str().map(|platform| format!(" for {platform}")).unwrap_or_default();
    Ok(Some((format!("{package}{platform}"), features)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_with_its_platform_and_our_own_are_left_out() {
        let unit = |id: &str, platform: Value| {
            let (target, features) = (serde_json::json!({"kind": ["lib"]}), ["std"]);
            let unit = serde_json::json!({"pkg_id": id, "platform": platform, "target": target, "features": features});
            third_party(&unit).unwrap()
        };
        let features = BTreeSet::from(["std".to_owned()]);
        assert_eq!(
            unit("registry+index#url@2.5.8", Value::Null),
            Some(("url@2.5.8".into(), features.clone()))
        );
        let for_wasm = unit("registry+index#url@2.5.8", "wasm32".into());
        assert_eq!(for_wasm, Some(("url@2.5.8 for wasm32".into(), features)));
        assert_eq!(unit("path+file:///x/host/base#0.1.0", Value::Null), None);
    }

    #[test]
    fn a_call_that_changes_features_is_found() {
        let whole = ("whole".to_owned(), cargo::native(&cargo::members().unwrap()));
        let part = ("part".to_owned(), vec!["--package".to_owned(), "clearfold-kernel".to_owned()]);
        let found = differences(&[whole.clone(), part], cargo::cargo).unwrap();
        assert!(found.iter().any(|(package, _)| package.starts_with("serde_json@")), "{found:?}");
        assert!(differences(&[whole.clone(), whole], cargo::cargo).unwrap().is_empty());
    }
}
