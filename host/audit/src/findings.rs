//! Collects the findings of a check. Every violation is counted; the first ones of each invariant are listed.

use std::sync::Arc;

use clearfold_kernel::Timestamp;

use super::Scope;
use super::accounts::Audited;
use super::invariants::{About, OWN};
use super::report::{InvariantReport, LogExtent, NotAudited, PartitionHead, Report, ViolationReport};
use clearfold_sandbox::Auditor;

/// Largest number of violations listed of each invariant, and of things listed that could not be audited.
pub(super) const LISTED: usize = 100;
/// Largest number of streams listed of each violation.
const LISTED_STREAMS: usize = 20;

/// Findings so far.
pub(super) struct Findings {
    invariants: Vec<InvariantReport>,
    not_audited_count: u64,
    not_audited: Vec<NotAudited>,
}

impl Findings {
    /// Makes empty findings for the invariants that can be checked in this scope.
    pub fn new(scope: &Scope, auditors: &[Arc<Auditor>]) -> Self {
        let in_scope = |about| *scope == Scope::Everything || about == About::Accounts;
        let own = OWN.iter().filter(|own| in_scope(own.about)).map(|own| (own.code, own.statement));
        let described = auditors.iter().flat_map(|auditor| &auditor.descriptor().invariants);
        let described = described.map(|invariant| (invariant.code.as_str(), invariant.statement.as_str()));
        let holds = |(code, statement): (&str, &str)| InvariantReport {
            code: code.to_owned(),
            statement: statement.to_owned(),
            holds: true,
            violation_count: 0,
            violations: Vec::new(),
        };
        Self {
            invariants: own.chain(described).map(holds).collect(),
            not_audited_count: 0,
            not_audited: Vec::new(),
        }
    }

    /// Notes that an invariant does not hold.
    pub fn violation(&mut self, code: &str, detail: String, mut streams: Vec<String>) {
        self.counted(code, 1);
        streams.truncate(LISTED_STREAMS);
        let invariant = self.invariants.iter_mut().find(|invariant| invariant.code == code);
        if let Some(invariant) = invariant.filter(|invariant| invariant.violations.len() < LISTED) {
            invariant.violations.push(ViolationReport { detail, streams });
        }
    }

    /// Counts further violations of an invariant, which are not listed.
    pub fn counted(&mut self, code: &str, count: u64) {
        if let Some(invariant) = self.invariants.iter_mut().find(|invariant| invariant.code == code) {
            invariant.holds &= count == 0;
            // Saturates: rows of one database are fewer than 2^64, and a damaged count still is a violation.
            invariant.violation_count = invariant.violation_count.saturating_add(count);
        }
    }

    /// Notes something that could not be audited.
    pub fn not_audited(&mut self, subject: String, why: String) {
        // Counted one by one, so it stays far below 2^64.
        self.not_audited_count += 1;
        if self.not_audited.len() < LISTED {
            self.not_audited.push(NotAudited { subject, why });
        }
    }

    /// Makes the report.
    pub fn into_report(
        self,
        checked_at: Timestamp,
        scope: &Scope,
        heads: &[u64],
        audited: &Audited,
    ) -> Report {
        let partitions = (0..).zip(heads);
        let partitions =
            partitions.map(|(partition, position)| PartitionHead { partition, position: *position });
        Report {
            checked_at: checked_at.to_string(),
            account: match scope {
                Scope::Everything => None,
                Scope::Account(account) => Some(account.clone()),
            },
            holds: self.not_audited_count == 0 && self.invariants.iter().all(|invariant| invariant.holds),
            log: LogExtent { partitions: partitions.collect() },
            accounts: audited.accounts,
            events: audited.events,
            invariants: self.invariants,
            not_audited_count: self.not_audited_count,
            not_audited: self.not_audited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::invariants::{POSITIONS_GAPLESS, READ_STORE_FOLLOWS_LOG, VERSIONS_GAPLESS};
    use super::*;

    fn report(scope: &Scope, fill: impl FnOnce(&mut Findings)) -> Report {
        let mut findings = Findings::new(scope, &[]);
        fill(&mut findings);
        let audited = Audited { accounts: 2, events: 5 };
        findings.into_report(Timestamp::from_s(1).unwrap(), scope, &[3, 2], &audited)
    }

    #[test]
    fn it_holds_only_if_nothing_is_broken_and_nothing_left_out() {
        assert!(report(&Scope::Everything, |_| {}).holds);
        let broken = |findings: &mut Findings| findings.violation(VERSIONS_GAPLESS, "x".into(), Vec::new());
        assert!(!report(&Scope::Everything, broken).holds);
        let left_out = |findings: &mut Findings| findings.not_audited("account a".into(), "too large".into());
        assert!(!report(&Scope::Everything, left_out).holds);
    }

    #[test]
    fn all_violations_are_counted_and_the_first_are_listed() {
        let report = report(&Scope::Everything, |findings| {
            for number in 0..250 {
                let streams = (0..50).map(|stream| format!("s-{stream}")).collect();
                findings.violation(POSITIONS_GAPLESS, format!("{number}"), streams);
            }
        });
        let invariant = &report.invariants[0];
        assert_eq!((invariant.holds, invariant.violation_count), (false, 250));
        assert_eq!((invariant.violations.len(), invariant.violations[99].detail.as_str()), (LISTED, "99"));
        assert_eq!(invariant.violations[0].streams.len(), LISTED_STREAMS);
    }

    #[test]
    fn all_that_is_left_out_is_counted_and_the_first_is_listed() {
        let report = report(&Scope::Everything, |findings| {
            (0..150).for_each(|account| findings.not_audited(format!("account {account}"), "large".into()));
        });
        assert_eq!((report.not_audited_count, report.not_audited.len()), (150, LISTED));
    }

    #[test]
    fn of_one_account_nothing_is_said_about_the_whole() {
        let report = report(&Scope::Account("0xaa".into()), |_| {});
        let codes: Vec<&str> = report.invariants.iter().map(|invariant| invariant.code.as_str()).collect();
        assert!(codes.contains(&VERSIONS_GAPLESS));
        assert!(!codes.contains(&POSITIONS_GAPLESS) && !codes.contains(&READ_STORE_FOLLOWS_LOG));
        assert_eq!(report.account.as_deref(), Some("0xaa"));
    }
}
