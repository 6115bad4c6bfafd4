//! The trigger program: `spin up` starts it for `[[trigger.clearfold]]`.
//!
//! It is `clearfold up` with another manifest: the application that Spin has resolved, in place of `spin.toml`. HTTP
//! triggers are never served here; Spin serves them, and its components call this host's API.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{anyhow, bail};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use serde_json::{Value, json};

use super::super::up;
use crate::config::HostConfig;
use clearfold_sandbox::manifest::{LOCKED_URL, Locked, ManifestError};

/// Name under which Spin starts this trigger program.
pub(super) const NAME: &str = "trigger-clearfold";

/// Argument with which Spin asks for our options, to know which ones to pass on.
const METADATA: &str = "--launch-metadata-only";
/// Argument with which `spin up --help` asks for the help of the options alone.
const HELP: &str = "--help-args-only";

/// Options that belong to Spin under Spin: `--listen` is the address at which Spin serves HTTP, and Spin has the
/// manifest.
const NOT_OURS: [&str; 2] = ["listen", "manifest"];

/// This program, started by Spin as a trigger program.
pub struct SpinTrigger {
    arguments: Vec<OsString>,
}

/// Options of `clearfold up`, and those of Spin that concern a trigger.
#[derive(Parser)]
#[command(name = NAME, version, about = "The trigger `clearfold` of an application that Spin runs")]
struct TriggerArgs {
    #[command(flatten)]
    host: HostConfig,
    #[command(flatten)]
    variables: VariableArgs,
}

#[derive(Args)]
struct VariableArgs {
    /// Value of one of the application's variables
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variable)]
    given: Vec<(String, String)>,
}

impl SpinTrigger {
    /// Returns the trigger if Spin started the program, as the first argument (the program's name) or the environment
    /// says. A copy under another name is a trigger if it has an application and no command.
    pub fn asked_for(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let program = arguments.next().unwrap_or_default();
        let arguments: Vec<OsString> = arguments.collect();
        let is_named = Path::new(&program).file_name() == Some(OsStr::new(NAME));
        let is_told = arguments.first().is_some_and(|first| !first.as_encoded_bytes().starts_with(b"-"));
        let has_application = std::env::var_os(LOCKED_URL).is_some() && !is_told;
        let is_asked = arguments.first().is_some_and(|first| first == METADATA);
        (is_named || has_application || is_asked).then_some(Self { arguments })
    }

    /// Does what Spin asked: lists the options, or runs the host until it is told to stop.
    pub async fn run(self) -> anyhow::Result<()> {
        let asked = |option: &str| self.arguments.iter().any(|argument| argument == option);
        if asked(METADATA) {
            // On standard error, where Spin reads it.
            eprintln!("{}", metadata(&TriggerArgs::command()));
            return Ok(());
        }
        if asked(HELP) {
            let help = TriggerArgs::command().disable_help_flag(true).disable_version_flag(true);
            print!("{}", hidden(help).help_template("{all-args}").render_long_help());
            return Ok(());
        }
        match self.options() {
            Ok((config, manifest)) => up::run_with(config, |_| Ok(manifest)).await,
            Err(Stopped::Shown(text)) => {
                print!("{text}");
                Ok(())
            }
            Err(Stopped::Wrong(error)) => Err(error),
        }
    }

    /// Reads the configuration, and the application as a manifest.
    fn options(&self) -> Result<(HostConfig, clearfold_sandbox::manifest::Manifest), Stopped> {
        let name = OsString::from(NAME);
        let command = hidden(TriggerArgs::command());
        let matches = command.try_get_matches_from(std::iter::once(&name).chain(&self.arguments));
        let matches = matches.map_err(|error| stopped(&error))?;
        let mut options = TriggerArgs::from_arg_matches(&matches).map_err(|error| stopped(&error))?;
        let given = options.variables.given;
        let environment = |name: &str| {
            let is_named = |key: &str| name == format!("SPIN_VARIABLE_{}", key.to_ascii_uppercase());
            let given = given.iter().rfind(|(key, _)| is_named(key)).map(|(_, value)| value.clone());
            given.or_else(|| std::env::var(name).ok())
        };
        let locked = Locked::read(environment).map_err(|error| Stopped::Wrong(error.into()))?;
        let nobody_said = matches.value_source("listen") == Some(ValueSource::DefaultValue);
        if let Some(admin) = locked.admin.filter(|_| nobody_said) {
            options.host.listen = admin;
        }
        Ok((options.host, locked.manifest))
    }
}

/// Reason why the host does not run.
enum Stopped {
    /// Only the help or the version was asked for.
    Shown(String),
    Wrong(anyhow::Error),
}

/// Translates an error of clap's. Under Spin the operator writes no options, so a missing one is named by its
/// variable.
fn stopped(error: &clap::Error) -> Stopped {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stopped::Shown(error.to_string());
    }
    if std::env::var_os(LOCKED_URL).is_none() {
        return Stopped::Wrong(ManifestError::NotLocked.into());
    }
    if error.kind() != ErrorKind::MissingRequiredArgument {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        return Stopped::Wrong(anyhow!("{}", first.trim_start_matches("error: ")));
    }
    let options = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(options)) => options.as_slice(),
        _ => &[],
    };
    let command = TriggerArgs::command();
    let missing = command.get_arguments().filter_map(|argument| {
        let long = format!("--{} ", argument.get_long()?);
        let is_missing = options.iter().any(|option| option.starts_with(&long));
        is_missing.then(|| argument.get_env()).flatten()?.to_str()
    });
    let missing: Vec<&str> = missing.collect();
    Stopped::Wrong(anyhow!(
        "{} must be set in the environment of `spin up`; `clearfold up --help` says what each is",
        missing.join(", ")
    ))
}

/// Reads `NAME=VALUE`.
fn variable(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("write it as NAME=VALUE, or set SPIN_VARIABLE_NAME in the environment"),
    }
}

/// Hides the options that belong to Spin.
fn hidden(command: clap::Command) -> clap::Command {
    NOT_OURS.into_iter().fold(command, |command, id| command.mut_arg(id, |argument| argument.hide(true)))
}

/// Lists the options for Spin to pass on, in its format.
fn metadata(command: &clap::Command) -> Value {
    let ours = command.get_arguments().filter(|argument| !NOT_OURS.contains(&argument.get_id().as_str()));
    let flags = ours.filter_map(clap::Arg::get_long).map(|long| json!({"long": format!("--{long}")}));
    json!({"all_flags": flags.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_for(arguments: &[&str]) -> bool {
        SpinTrigger::asked_for(arguments.iter().map(OsString::from)).is_some()
    }

    #[test]
    fn spins_way_of_starting_a_program_is_known() {
        assert!(asked_for(&["/data/plugins/trigger-clearfold/trigger-clearfold"]));
        assert!(asked_for(&["trigger-clearfold", "--log-format", "json"]));
        assert!(asked_for(&["/usr/bin/clearfold", METADATA]));
        assert!(!asked_for(&["/data/plugins/clearfold/clearfold", "deploy"]));
        assert!(!asked_for(&["clearfold", "--help"]) && !asked_for(&["clearfold"]) && !asked_for(&[]));
    }

    #[test]
    fn spin_is_told_of_our_options_and_of_none_that_is_its_own() {
        let metadata = metadata(&TriggerArgs::command());
        let flags: Vec<_> =
            metadata["all_flags"].as_array().into_iter().flatten().map(|flag| &flag["long"]).collect();
        for ours in ["--database-url", "--chain-rpc-urls", "--variable"] {
            assert!(flags.iter().any(|flag| **flag == ours), "{ours}");
        }
        assert!(!flags.iter().any(|flag| **flag == "--listen" || **flag == "--manifest"));
    }

    #[test]
    fn a_variable_has_a_name_and_a_value() {
        assert_eq!(variable("a=b=c").ok(), Some(("a".to_owned(), "b=c".to_owned())));
        assert!(variable("@file.toml").is_err() && variable("=x").is_err());
    }
}
