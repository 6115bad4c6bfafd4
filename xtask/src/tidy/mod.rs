//! `cargo xtask tidy`: the rules of the house that a compiler does not know, one line per violation.
//!
//! It reads what git tracks or would track, and nothing else.

mod crates;
mod report;
mod rules;

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cargo, place};

/// One line of one file that breaks a rule.
#[derive(Debug, PartialEq)]
pub struct Violation {
    file: String,
    line: usize,
    rule: &'static str,
    /// Reason for the rule, and remedy.
    remedy: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}: {}", self.file, self.line, self.rule, self.remedy)
    }
}

#[derive(Args, Default)]
pub struct Options {
    /// Check nothing; list long files, long functions and doc summaries to reword, for a reader to judge.
    #[arg(long)]
    report: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let files = files()?;
    if options.report {
        report::print(&files);
        return Ok(());
    }
    let mut violations = crates::check(&cargo::members()?);
    for file in &files {
        violations.extend(rules::of_name(file));
        let path = place::root().join(file);
        // A file may be deleted but still in git's list; a file that is no text can break no other rule.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        violations.extend(rules::of_text(file, &text));
    }
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("tidy found {} violations; they are listed above", violations.len());
    }
    eprintln!("tidy: {} files in order.", files.len());
    Ok(())
}

fn files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(place::root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("cannot start git, which knows the files of the repository")?;
    if !output.status.success() {
        bail!("git cannot list the files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout).context("a file's name is not UTF-8; rename it")?;
    let mut files: Vec<String> =
        text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}
