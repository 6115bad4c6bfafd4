//! The manifests of a new component: its `Cargo.toml`, which is a workspace of its own, and the lines for the host's
//! `spin.toml`.
//!
//! Versions, lints and the profile are read out of this repository's `Cargo.toml`, so none is written down twice.

use super::name::Name;
use clearfold_sandbox::ComponentKind;

const REPOSITORY: &str = include_str!("../../../../../Cargo.toml");
/// Dependencies that the kernel and the guest crate inherit from the workspace.
const HANDLERS_USE: [&str; 10] = [
    "hex",
    "postcard",
    "proptest",
    "ruint",
    "schemars",
    "serde",
    "serde_json",
    "thiserror",
    "time",
    "wit-bindgen",
];
/// The vendored crates and their folders.
const VENDORED: [(&str, &str); 4] = [
    ("clearfold-arena", "arena"),
    ("clearfold-component-features", "features"),
    ("clearfold-guest", "guest"),
    ("clearfold-kernel", "kernel"),
];
const HTTP_USES: [&str; 2] = ["serde_json", "spin-sdk"];

/// Writes `Cargo.toml`.
pub(super) fn cargo(name: &Name) -> String {
    let (package, kind) = (name.package(), name.kind());
    let is_handler = kind.is_handler();
    let mut text = format!(
        "[package]\nname = \"{package}\"\nversion.workspace = true\nedition.workspace = true\n\
         rust-version.workspace = true\npublish.workspace = true\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n"
    );
    if is_handler {
        text += &format!(
            "[package.metadata.component]\npackage = \"clearfold:handlers\"\n\
             target = {{ path = \"wit\", world = \"{}\" }}\n\n\
             # The kernel's macro asks for this feature, behind which messages describe themselves as JSON Schema.\n\
             [lints.rust]\nunexpected_cfgs = {{ level = \"warn\", check-cfg = ['cfg(feature, values(\"schema\"))'] }}\n\n",
            kind.as_str()
        );
    }
    let used: &[&str] = match kind {
        ComponentKind::Http => &HTTP_USES,
        ComponentKind::Projector | ComponentKind::Auditor => {
            &["clearfold-guest", "clearfold-kernel", "wit-bindgen"]
        }
        ComponentKind::Decider => &["clearfold-guest", "clearfold-kernel", "serde", "wit-bindgen"],
        ComponentKind::Translator | ComponentKind::Saga => {
            &["clearfold-guest", "clearfold-kernel", "serde", "serde_json", "wit-bindgen"]
        }
    };
    text += "[dependencies]\n";
    text.extend(used.iter().map(|used| format!("{used}.workspace = true\n")));
    text += "\n[workspace]\nresolver = \"3\"\n";
    if is_handler {
        text += "members = [\"vendor/clearfold/*\"]\n";
    }
    text += &format!("\n[workspace.package]\n{}", section("workspace.package"));
    text += "\n[workspace.dependencies]\n";
    if is_handler {
        for (name, folder) in VENDORED {
            text += &format!("{name} = {{ path = \"vendor/clearfold/{folder}\" }}\n");
        }
    }
    let inherited: &[&str] = if is_handler { &HANDLERS_USE } else { &HTTP_USES };
    text.extend(inherited.iter().filter_map(|name| dependency(name)));
    let lints: &[&str] = if is_handler { &["workspace.lints.rust", "workspace.lints.clippy"] } else { &[] };
    for lints in lints {
        text += &format!("\n[{lints}]\n{}", section(lints));
    }
    let profile = section("profile.component");
    let profile: String =
        profile.lines().filter(|line| !line.starts_with("inherits")).fold(String::new(), line);
    text + "\n# Small and quick to instantiate.\n[profile.release]\n" + &profile
}

/// Writes the lines to add to the host's `spin.toml`.
pub(super) fn spin(name: &Name) -> String {
    let (package, kind) = (name.package(), name.kind());
    let trigger = match kind.facts().name_key {
        Some(key) => format!("[[trigger.clearfold]]\nkind = \"{kind}\"\n{key} = \"{}\"\n", name.handler()),
        None => format!("[[trigger.http]]\nroute = \"/{}/...\"\n", name.plain()),
    };
    format!(
        "# To be added to the host's manifest; the source is a path as seen from there.\n\n\
         {trigger}component = \"{package}\"\n\n[component.{package}]\nsource = \"{package}/target/{package}.wasm\"\n\
         [component.{package}.build]\ncommand = \"clearfold build {package}\"\n"
    )
}

/// Returns the lines of a section, without its heading and the comment on the next section.
fn section(name: &str) -> String {
    let head = format!("[{name}]");
    let lines = REPOSITORY.lines().skip_while(|line| *line != head).skip(1);
    lines.take_while(|line| !line.starts_with('[') && !line.is_empty()).fold(String::new(), line)
}

/// Returns the line of a dependency.
fn dependency(name: &str) -> Option<String> {
    let begin = format!("{name} = ");
    REPOSITORY.lines().find(|line| line.starts_with(&begin)).map(|found| format!("{found}\n"))
}

fn line(text: String, line: &str) -> String {
    text + line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_found() {
        for name in HANDLERS_USE.iter().chain(&HTTP_USES) {
            assert!(dependency(name).is_some(), "{name} is no dependency of the workspace any more");
        }
        for name in
            ["workspace.package", "workspace.lints.rust", "workspace.lints.clippy", "profile.component"]
        {
            assert!(!section(name).is_empty(), "[{name}] is not there any more");
        }
    }
}
