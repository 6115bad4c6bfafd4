//! `clearfold spec run`: runs specifications against a component.
//!
//! The domain's tests run the same files against Rust functions; here they run against the built component in the
//! host's sandbox, with fresh instances and limits. Needs no database and no chain.

mod subject;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use clearfold_spec::{Specification, Verdict};
use serde_json::{Value, json};

use self::subject::{SandboxedDecider, SandboxedProjector, SandboxedTranslator};
use super::load;
use clearfold_sandbox::{Decider, HandlerEngine, Limits, Projector, Translator, compile_in_a_hurry};

#[derive(Debug, Subcommand)]
pub(super) enum SpecCommand {
    /// Run specifications against a component, one line per case
    Run(RunArgs),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// File with the component: a decider, projector or translator, whichever the specifications are for
    component: PathBuf,
    /// Specifications, YAML files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

impl SpecCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Run(run) => run.run(),
        }
    }
}

impl RunArgs {
    fn run(self) -> anyhow::Result<()> {
        compile_in_a_hurry();
        let wasm = load::read_wasm(&self.component)?;
        let files =
            self.files.iter().map(|file| Ok((file, read(file)?))).collect::<anyhow::Result<Vec<_>>>()?;
        let engine = Arc::new(HandlerEngine::new(Limits::of)?);
        let mut out = std::io::stdout().lock();
        let (mut passed, mut failed) = (0_usize, 0_usize);
        for (file, specification) in files {
            let verdicts = verdicts(&engine, &self.component, &wasm, &specification)
                .with_context(|| format!("{} cannot be run", file.display()))?;
            if !self.json {
                writeln!(out, "{}", file.display())?;
            }
            for verdict in &verdicts {
                *(if verdict.passed() { &mut passed } else { &mut failed }) += 1;
                if self.json {
                    writeln!(out, "{}", line(file, verdict))?;
                } else {
                    writeln!(out, "  {verdict}")?;
                }
            }
        }
        if !self.json {
            writeln!(out, "{passed} passed, {failed} failed")?;
        }
        if failed > 0 {
            bail!(
                "{} fails {failed} of {} cases; correct the component or the specification",
                self.component.display(),
                passed + failed
            );
        }
        Ok(())
    }
}

fn read(file: &Path) -> anyhow::Result<Specification> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the specification {} cannot be read; correct the path", file.display()))?;
    Specification::read(&text).with_context(|| format!("{} is no specification", file.display()))
}

/// Runs a specification. A component of another kind than the file names is refused with what it lacks.
fn verdicts(
    engine: &Arc<HandlerEngine>,
    component: &Path,
    wasm: &[u8],
    specification: &Specification,
) -> anyhow::Result<Vec<Verdict>> {
    let name = component.display().to_string();
    match specification {
        Specification::Decider(file) => {
            let subject = SandboxedDecider(Decider::load(engine, &name, wasm)?);
            file.run(&subject).map_err(anyhow::Error::msg)
        }
        Specification::Projector(file) => {
            let subject = SandboxedProjector::new(Projector::load(engine, &name, wasm)?);
            file.run(&subject).map_err(anyhow::Error::msg)
        }
        Specification::Translator(file) => {
            let translator = Translator::load(engine, &name, wasm, file.contracts())?;
            translator.filters().context("its contract set cannot be used")?;
            Ok(file.run(&SandboxedTranslator(translator)))
        }
    }
}

fn line(file: &Path, verdict: &Verdict) -> Value {
    json!({
        "file": file.display().to_string(),
        "case": verdict.case,
        "row": verdict.row,
        "passed": verdict.passed(),
        "differences": verdict.differences,
    })
}
