//! What a component is made with, written into its folder: the contract and three crates of this repository, word for word.
//!
//! They are part of this program, so that it is all that an author needs beside Rust. Nothing here is changed on the way.

use super::Files;

/// Files of this repository with their texts.
macro_rules! repository {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../../", $file)))),*]
    };
}

const FILES: &[(&str, &str)] = repository![
    "wit/auditor.wit",
    "wit/decider.wit",
    "wit/projector.wit",
    "wit/translator.wit",
    "components/lib/arena/Cargo.toml",
    "components/lib/arena/src/lib.rs",
    "components/lib/guest/Cargo.toml",
    "components/lib/guest/src/auditor.rs",
    "components/lib/guest/src/decider.rs",
    "components/lib/guest/src/lib.rs",
    "components/lib/guest/src/projector.rs",
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
    "components/lib/kernel/src/schema.rs",
    "components/lib/kernel/src/stored.rs",
    "components/lib/kernel/src/timestamp.rs",
    "components/lib/kernel/src/translator.rs",
];

/// All as deep as they are here, since a crate finds `wit/` two folders above its own.
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
        let there: BTreeSet<String> =
            ["wit", "components/lib/arena/src", "components/lib/guest/src", "components/lib/kernel/src"]
                .iter()
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
