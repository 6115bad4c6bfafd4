//! `clearfold check`: recomputes the invariants from the log and the read store, and prints one line for each.
//!
//! It uses the components in force, writes nothing, and can run beside a host. Violations follow below the
//! invariant's line, with the streams concerned.

use std::io::Write;

use anyhow::bail;
use clap::Args;
use clearfold_kernel::Address;

use super::{load, progress};
use crate::config::Databases;
use clearfold_audit::{Audit, CheckProgress, InvariantReport, Report, Scope};
use clearfold_base::clock::Clock;
use clearfold_base::database::{self, Store};
use clearfold_base::signature::Signers;
use clearfold_engine::registry::{Registry, Shelf};
use clearfold_store::EventStore;
use clearfold_views::query::{QueryError, ReadStore, SagaCounts};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Account to check, by its address. Without it, the whole log and the read store
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// Print the report as one JSON object, as the API returns it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    databases: Databases,
}

impl CheckArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let write = database::connect(Store::Write, &self.databases.database_url, 1).await?;
        database::check_schema(Store::Write, &write).await?;
        let read = database::connect(Store::Read, &self.databases.read_database_url, 1).await?;
        database::check_schema(Store::Read, &read).await?;
        let registry = Registry::new(write.clone());
        let mut shelf = Shelf::new(registry.clone(), load::engine()?, Signers::default(), Vec::new());
        let (projectors, auditors) = load::check_handlers(&registry, &mut shelf).await?;
        let store = EventStore::open(write).await?;
        let sagas = match ReadStore::new(read.clone()).saga_counts().await {
            Ok(counts) => Some(counts),
            // A host may run without that projection.
            Err(QueryError::NoProjection(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let audit = Audit::new(store, read, projectors, auditors, Clock::system())?;

        let scope = self.account.map_or(Scope::Everything, |account| Scope::Account(account.to_string()));
        let line = progress::line("{msg}")?;
        let checked = audit
            .check(&scope, &|progress: &CheckProgress<'_>| {
                line.set_message(format!("{} of {} {}", progress.done, progress.total, progress.at));
            })
            .await;
        line.finish_and_clear();
        let report = checked?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            write!(out, "{}{}", text(&report), sagas.map(sagas_text).unwrap_or_default())?;
        }
        verdict(&report)
    }
}

/// Returns an error unless everything was audited and holds.
fn verdict(report: &Report) -> anyhow::Result<()> {
    let violated = report.invariants.iter().filter(|invariant| !invariant.holds).count();
    if violated > 0 {
        let all = report.invariants.len();
        bail!("{violated} of {all} invariants do not hold; the violations are listed above");
    }
    if !report.holds {
        let left_out = report.not_audited_count;
        bail!("what was audited holds, but {left_out} could not be; the reasons are above");
    }
    Ok(())
}

/// Says how many sagas are open, and what to do about those that wait for an operator.
fn sagas_text(counts: SagaCounts) -> String {
    let SagaCounts { open, parked } = counts;
    let remedy =
        if parked > 0 { "; `clearfold saga list --state parked` shows what waits for you" } else { "" };
    format!("sagas        {open} open, {parked} parked{remedy}\n")
}

fn text(report: &Report) -> String {
    let partitions = report.log.partitions.len();
    let (accounts, events) = (report.accounts, report.events);
    let mut text = match &report.account {
        None => format!(
            "{partitions} partitions, {accounts} accounts, {events} events at {}\n",
            report.checked_at
        ),
        Some(account) => format!(
            "account {account}, {events} events at {}; the whole log and the read store were not checked\n",
            report.checked_at
        ),
    };
    // Without invariants there is no line to align.
    let width = report.invariants.iter().map(|invariant| invariant.code.len()).max().unwrap_or(0);
    for invariant in &report.invariants {
        text.push_str(&invariant_text(invariant, width));
    }
    for left_out in &report.not_audited {
        text.push_str(&format!("not audited  {}: {}\n", left_out.subject, left_out.why));
    }
    if let Some(more) = beyond(report.not_audited_count, report.not_audited.len()) {
        text.push_str(&format!("not audited  and {more} more\n"));
    }
    text
}

fn invariant_text(invariant: &InvariantReport, width: usize) -> String {
    let verdict =
        if invariant.holds { "ok".to_owned() } else { format!("VIOLATED {}", invariant.violation_count) };
    let mut text = format!("{verdict:<12} {:<width$}  {}\n", invariant.code, invariant.statement);
    for violation in &invariant.violations {
        text.push_str(&format!("    {}\n", violation.detail));
        if !violation.streams.is_empty() {
            text.push_str(&format!("        streams: {}\n", violation.streams.join(", ")));
        }
    }
    if let Some(more) = beyond(invariant.violation_count, invariant.violations.len()) {
        text.push_str(&format!("    and {more} more\n"));
    }
    if !invariant.holds {
        text.push_str(&format!("    remedy: {}\n", remedy(&invariant.code)));
    }
    text
}

/// Number of those beyond the ones listed; none if all are.
fn beyond(count: u64, listed: usize) -> Option<u64> {
    count.checked_sub(listed as u64).filter(|more| *more > 0)
}

/// Remedy for a violation. The invariants of auditors belong to the domain, so their remedy is general.
fn remedy(code: &str) -> &'static str {
    if code == clearfold_audit::READ_STORE_FOLLOWS_LOG {
        return "the log is the truth: have the projection built again, see docs/operating/runbooks.md";
    }
    "`clearfold stream show STREAM` shows the events; if they were changed, restore the log from a backup, and if they \
     were not, a component decided wrongly: its digest is with each event. See docs/operating/runbooks.md"
}

#[cfg(test)]
mod tests {
    use super::*;
    use clearfold_audit::{LogExtent, NotAudited, ViolationReport};

    fn report(violation_count: u64, not_audited: Vec<NotAudited>) -> Report {
        let violation =
            ViolationReport { detail: "5 of 4".into(), streams: vec!["a-1".into(), "a-2".into()] };
        let holds = violation_count == 0;
        let invariant = InvariantReport {
            code: "hold_covers".into(),
            statement: "A hold covers.".into(),
            holds,
            violation_count,
            violations: if holds { Vec::new() } else { vec![violation] },
        };
        Report {
            checked_at: "2026-11-22T10:00:00.000Z".into(),
            account: None,
            holds: holds && not_audited.is_empty(),
            log: LogExtent { partitions: Vec::new() },
            accounts: 1,
            events: 2,
            invariants: vec![invariant],
            not_audited_count: not_audited.len() as u64,
            not_audited,
        }
    }

    #[test]
    fn what_holds_is_one_line() {
        let report = report(0, Vec::new());
        assert_eq!(
            text(&report),
            "0 partitions, 1 accounts, 2 events at 2026-11-22T10:00:00.000Z\n\
             ok           hold_covers  A hold covers.\n"
        );
        assert!(verdict(&report).is_ok());
    }

    #[test]
    fn what_is_violated_is_named_with_streams_and_remedy() {
        let report = report(3, Vec::new());
        let text = text(&report);
        for said in ["VIOLATED 3", "    5 of 4\n        streams: a-1, a-2\n    and 2 more\n    remedy: "] {
            assert!(text.contains(said), "{text}");
        }
        assert!(verdict(&report).unwrap_err().to_string().starts_with("1 of 1 invariants do not hold"));
    }

    #[test]
    fn parked_sagas_are_counted_with_the_command_that_shows_them() {
        assert_eq!(sagas_text(SagaCounts { open: 3, parked: 0 }), "sagas        3 open, 0 parked\n");
        assert!(sagas_text(SagaCounts { open: 3, parked: 1 }).contains("clearfold saga list --state parked"));
    }

    #[test]
    fn what_was_left_out_is_no_success() {
        let report = report(0, vec![NotAudited { subject: "account 0xaa".into(), why: "too large".into() }]);
        assert!(text(&report).ends_with("not audited  account 0xaa: too large\n"));
        assert!(verdict(&report).unwrap_err().to_string().contains("1 could not be"));
    }
}
