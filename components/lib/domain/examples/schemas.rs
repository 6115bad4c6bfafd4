//! Prints the files of `docs/events` as one JSON object, from file name to text. `cargo xtask schemas` writes them.

use std::collections::BTreeMap;

use clearfold_domain::schema;
use clearfold_kernel::schema::{MessageSchema, Role};

const README: &str = "\
# Messages

Every command and every event, by type and version: a JSON Schema (2020-12) with an example each. Commands are \
accepted, and events read, in every version that is listed here; the newest is the one that is written. How a \
message gets a new version: [EVOLUTION.md](EVOLUTION.md).

Made by `cargo xtask schemas` from the types in `components/lib/domain`; do not edit.
";

fn main() -> serde_json::Result<()> {
    let mut files = BTreeMap::new();
    let mut readme = README.to_owned();
    for (aggregate, messages) in schema::all() {
        readme += &format!("\n## {aggregate}\n\n| type | version | kind | |\n|---|---|---|---|\n");
        for message in messages {
            let file = format!("{aggregate}/{}.v{}.json", message.name, message.version);
            readme += &line(&file, &message);
            files.insert(file, serde_json::to_string_pretty(&message.document)? + "\n");
        }
    }
    files.insert("README.md".into(), readme);
    println!("{}", serde_json::to_string(&files)?);
    Ok(())
}

fn line(file: &str, message: &MessageSchema) -> String {
    let MessageSchema { name, version, .. } = message;
    let kind = match message.role {
        Role::Command => "command",
        Role::Event => "event",
    };
    let age = if message.is_newest { "" } else { ", superseded" };
    let description = message.document["description"].as_str().unwrap_or_default();
    let summary = description.lines().next().unwrap_or_default();
    format!("| [{name}]({file}) | {version} | {kind}{age} | {summary} |\n")
}
