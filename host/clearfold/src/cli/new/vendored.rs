//! The vendored files of a new component: the contract and four crates of this repository, unchanged.
//!
//! They are compiled into this program, so an author needs nothing else besides Rust.

use super::Files;

/// Makes a list of files of this repository, each with its text.
macro_rules! repository {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../../", $file)))),*]
    };
}

const FILES: &[(&str, &str)] = repository![
    "wit/auditor.wit",
    "wit/decider.wit",
    "wit/projector.wit",
    "wit/saga.wit",
    "wit/translator.wit",
    "components/lib/arena/Cargo.toml",
    "components/lib/arena/src/lib.rs",
    "components/lib/features/Cargo.toml",
    "components/lib/features/src/lib.rs",
    "components/lib/guest/Cargo.toml",
    "components/lib/guest/src/auditor.rs",
    "components/lib/guest/src/decider.rs",
    "components/lib/guest/src/lib.rs",
    "components/lib/guest/src/projector.rs",
    "components/lib/guest/src/saga.rs",
    "components/lib/guest/src/translator.rs",
    "components/lib/kernel/Cargo.toml",
    "components/lib/kernel/src/auditor.rs",
    "components/lib/kernel/src/chain.rs",
    "components/lib/kernel/src/decider.rs",
    "components/lib/kernel/src/entries.rs",
    "components/lib/kernel/src/fx.rs",
    "components/lib/kernel/src/id.rs",
    "components/lib/kernel/src/json.rs",
    "components/lib/kernel/src/lib.rs",
    "components/lib/kernel/src/message.rs",
    "components/lib/kernel/src/money.rs",
    "components/lib/kernel/src/projector.rs",
    "components/lib/kernel/src/saga.rs",
    "components/lib/kernel/src/schema.rs",
    "components/lib/kernel/src/state.rs",
    "components/lib/kernel/src/stored.rs",
    "components/lib/kernel/src/timestamp.rs",
    "components/lib/kernel/src/translator.rs",
];

/// Returns the files with their paths in the new folder. The crates are as deep there as here, because a crate finds
/// the contract at `../../../wit`.
pub(super) fn files() -> Files {
    let place = |file: &str| file.replacen("components/lib/", "vendor/clearfold/", 1);
    FILES.iter().map(|(file, text)| (place(file), (*text).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::FILES;

    #[test]
    fn no_file_of_these_folders_is_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let crates =
            ["arena", "features", "guest", "kernel"].map(|name| format!("components/lib/{name}/src"));
        let there: BTreeSet<String> = crates
            .iter()
            .map(String::as_str)
            .chain(["wit"])
            .flat_map(|folder| {
                std::fs::read_dir(root.join(folder)).unwrap().map(move |entry| (folder, entry))
            })
            .map(|(folder, entry)| format!("{folder}/{}", entry.unwrap().file_name().display()))
            .collect();
        let named = FILES.iter().map(|(file, _)| (*file).to_owned());
        let named: BTreeSet<String> = named.filter(|file| !file.ends_with("Cargo.toml")).collect();
        assert_eq!(named, there);
    }
}
