//! Texts that the commands about components print for people.

use std::collections::BTreeMap;

use serde_json::Value;

use clearfold_engine::registry::{ActivationView, Deployed, FollowerReport, Overview, Verified};

/// Number of characters of a digest that are shown in lists.
const SHORT: usize = 12;

pub(super) fn overview(overview: &Overview) -> String {
    let mut text = String::new();
    if overview.handlers.is_empty() {
        text.push_str(
            "nothing is in force yet; a host that starts puts its manifest's components in force\n",
        );
    }
    for handler in &overview.handlers {
        let name = format!("{} {}", handler.kind, handler.name);
        text.push_str(&format!(
            "{name:<28} {}  since {}, activation {} ({} by {})\n",
            short(&handler.digest),
            handler.since,
            handler.activation,
            handler.cause.as_str(),
            handler.by
        ));
        if handler.begun_in == Some(0) {
            text.push_str("    not begun yet: its host does not run, is still loading it, or failed to; see the host's log or admin API\n");
        }
        if handler.is_paused {
            text.push_str(
                "    paused: its instances begin no step; `clearfold saga resume` has them go on\n",
            );
        }
        if let Some(canary) = &handler.canary {
            text.push_str(&format!(
                "{:<28} {}  on {} of the accounts since {}, activation {}\n",
                "    canary",
                short(&canary.digest),
                percent(canary.share_permille),
                canary.since,
                canary.activation
            ));
        }
    }
    let is_idle = |digest: &str| {
        let in_force = overview.handlers.iter().flat_map(|handler| {
            let canary = handler.canary.as_ref().map(|canary| canary.digest.as_str());
            [Some(handler.digest.as_str()), canary]
        });
        !in_force.flatten().any(|other| other == digest)
    };
    let idle: Vec<_> = overview.components.iter().filter(|component| is_idle(&component.digest)).collect();
    if !idle.is_empty() {
        text.push_str("\ndeployed and not in force\n");
    }
    for component in idle {
        let name = format!("{} {}", component.kind, component.handler.as_deref().unwrap_or("?"));
        let revision = component.source_revision.as_deref().map(|revision| format!(", revision {revision}"));
        text.push_str(&format!(
            "{name:<28} {}  deployed {} by {}{}\n",
            short(&component.digest),
            component.deployed_at,
            component.deployed_by,
            revision.unwrap_or_default()
        ));
    }
    text
}

pub(super) fn deployed(deployed: &Deployed) -> String {
    let mut text = format!("{} is deployed for the {}\n", deployed.digest, deployed.handler);
    match deployed.in_force {
        None => {
            text.push_str("no manifest has named this handler yet: add it to spin.toml and start the host\n");
        }
        Some(in_force) if in_force == deployed.digest => text.push_str("it is in force already\n"),
        Some(in_force) => text.push_str(&format!("in force is {in_force}\n")),
    }
    for import in &deployed.newly_imports {
        text.push_str(&format!("newly imports {import}\n"));
    }
    text
}

pub(super) fn verified(verified: &Verified) -> String {
    let (digest, against) = (verified.record.digest.to_string(), verified.now.digest.to_string());
    let Some(shadow) = &verified.shadow else {
        let kind = verified.record.kind;
        return format!("{}: a {kind} decides no commands, so there is no shadow run\n", short(&digest));
    };
    // A command that differs is one of those counted.
    let same = shadow.commands - shadow.different;
    let mut text = format!(
        "{} beside {}: {same} of {} commands come to the same\n",
        short(&digest),
        short(&against),
        shadow.commands
    );
    for divergence in &shadow.divergences {
        text.push_str(&format!(
            "DIFFERENT  {} {}, command {} of partition {}\n    command:   {}\n    in force:  {}\n    component: {}\n",
            divergence.stream,
            divergence.kind,
            divergence.sequence,
            divergence.partition,
            divergence.command,
            divergence.in_force,
            divergence.candidate
        ));
    }
    // Each one listed is counted.
    let more = shadow.different - shadow.divergences.len() as u64;
    if more > 0 {
        text.push_str(&format!("DIFFERENT  and {more} more\n"));
    }
    for follower in &verified.followers {
        text.push_str(&followed(follower));
    }
    match &shadow.other_state {
        Some(stream) => text.push_str(&format!(
            "its states differ (first that of {stream}): each stream is folded from its events once, when it is needed\n"
        )),
        None if shadow.states > 0 => {
            text.push_str(&format!(
                "the states of {} streams are the same, so stored states stay in use\n",
                shadow.states
            ));
        }
        None => text.push_str("states were not compared: each stream is folded from its events once, when it is needed\n"),
    }
    text
}

/// Formats how a version of a saga takes in what is decided otherwise.
fn followed(follower: &FollowerReport) -> String {
    let mut text = format!(
        "the saga {} on {}, with {} open instances: {} events decided otherwise were observed, {} were not\n",
        follower.saga,
        short(&follower.version),
        follower.open,
        // An event that failed is one of those counted.
        follower.events - follower.failed,
        follower.failed
    );
    if let Some(why) = &follower.not_loaded {
        text.push_str(&format!("NOT ASKED  it cannot be loaded: {why}\n"));
    }
    if let Some(first) = &follower.first_failed {
        text.push_str(&format!("FAILED     {first}\n"));
    }
    if !follower.unseen.is_empty() {
        text.push_str(&format!("UNSEEN     {}\n", follower.unseen.join(", ")));
    }
    text
}

pub(super) fn history(history: &[ActivationView]) -> String {
    let mut text = String::new();
    for activation in history {
        text.push_str(&format!(
            "{:>4}  {}  {} {}  {}  {} by {}{}\n",
            activation.activation,
            activation.at,
            activation.kind,
            activation.name,
            short(&activation.digest),
            activation.cause.as_str(),
            activation.by,
            activation
                .share_permille
                .map(|share| format!(", {} of the accounts", percent(share)))
                .unwrap_or_default()
        ));
        if let Some(from) = &activation.moved_from {
            text.push_str(&format!("      moves the instances on {}\n", short(from)));
        }
        if let Some(why) = &activation.why {
            text.push_str(&format!("      why: {why}\n"));
        }
        let begun: Vec<String> = activation
            .begun
            .iter()
            .map(|point| format!("{} behind command {}", point.partition, point.after_sequence))
            .collect();
        if !begun.is_empty() {
            text.push_str(&format!("      in force in partitions {}\n", begun.join(", ")));
        }
    }
    text
}

/// Formats the fields of a JSON object, one a line.
pub(super) fn fields(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(name, value)| format!("{name:<16} {}\n", plain(value))).collect()
}

pub(super) fn diff(differs: &BTreeMap<String, [Value; 2]>) -> String {
    if differs.is_empty() {
        return "both are the same component\n".to_owned();
    }
    let line = |(name, [one, other]): (&String, &[Value; 2])| {
        format!("{name:<16} - {}\n{:<16} + {}\n", plain(one), "", plain(other))
    };
    differs.iter().map(line).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..SHORT).unwrap_or(digest)
}

fn percent(permille: u16) -> String {
    let (percent, tenth) = (permille / 10, permille % 10);
    if tenth == 0 { format!("{percent}%") } else { format!("{percent}.{tenth}%") }
}
