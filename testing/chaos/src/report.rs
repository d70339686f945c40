//! What a run came to, for people and for programs, and which promises it broke.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::coverage::Ways;
use crate::process::Holdings;
use crate::recovery::Found;
use crate::run::Outcome;
use crate::soak::{Drift, FLAT};

/// What the allocator may have lent out more than before without it being a leak:
/// runtimes keep a queue here and a buffer there.
const BYTES_ALLOWED: usize = 256 * 1024;

/// The share of seekers that must have an answer within a second.
const FOUND: f64 = 0.99;

/// As the last line of `--json` has it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) mismatched: u64,
    pub(crate) executed_twice: u64,
    pub(crate) hung: u64,
    pub(crate) leaked_tasks: usize,
    pub(crate) leaked_fds: usize,
    pub(crate) recovered_within_1s: f64,
    pub(crate) seconds: f64,

    pub(crate) leaked_bytes: usize,
    pub(crate) wrong_state: usize,
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    pub(crate) worst_hung_ms: f64,
    pub(crate) hooks_run: u64,
    /// Calls that allowed it.
    pub(crate) repeated: u64,
    pub(crate) answered_without_run: u64,
    /// Answers that their servers took back, or never gave.
    pub(crate) answered_void: u64,
    pub(crate) timed_out_too_soon: u64,
    /// By servers that others had replaced long before.
    pub(crate) answered_outdated: u64,
    pub(crate) stalest_ms: f64,
    pub(crate) run_though_unsent: u64,
    pub(crate) too_late_to_judge: u64,
    /// Beyond deadline + 50 ms, by no more than the machine.
    pub(crate) late_as_the_machine: u64,
    pub(crate) worst_late_ms: f64,
    pub(crate) worst_machine_ms: f64,
    /// What callers' threads waited for a processor while a call was late.
    pub(crate) worst_starved_ms: f64,
    /// Servers that were gone, and came back.
    pub(crate) gone: Found,
    /// Of those, the ones that left their plugin no other server.
    pub(crate) alone: Found,
    /// Servers that were there, did not answer, and went on.
    pub(crate) frozen: Found,
    pub(crate) ways: Ways,
    /// Faults and ways of the client that a run of this length should have come to, and
    /// did not.
    pub(crate) missing: Vec<String>,
    /// A second run, without stamps, of what only stamps can show.
    pub(crate) misled_without_stamps: Option<Misled>,
    /// The promises that were broken, in words.
    pub(crate) broken: Vec<String>,
}

/// What came of replies that went to other requests, where nothing showed it.
#[derive(Debug, Serialize)]
pub(crate) struct Misled {
    pub(crate) calls: u64,
    pub(crate) faults: u64,
    pub(crate) delivered_wrong: u64,
}

impl Report {
    pub(crate) fn new(outcome: &Outcome, leaked: Holdings, drifts: &[Drift]) -> Self {
        let Outcome { tally, executions, faults, late, gone, alone, frozen, .. } = outcome;
        let Outcome { wrong_state, ways, missing, took, .. } = outcome;
        let mut report = Self {
            calls: tally.calls,
            faults: faults.clone(),
            mismatched: tally.mismatched,
            executed_twice: executions.twice,
            hung: late.hung + tally.never_ended,
            leaked_tasks: leaked.tasks,
            leaked_fds: leaked.fds,
            recovered_within_1s: gone.within_1s,
            seconds: took.as_secs_f64(),
            leaked_bytes: leaked.bytes,
            wrong_state: wrong_state.len(),
            outcomes: tally.outcomes(),
            worst_hung_ms: millis(late.worst_hung),
            hooks_run: executions.all,
            repeated: executions.repeated,
            answered_without_run: tally.never_ran,
            answered_void: tally.void,
            timed_out_too_soon: tally.too_soon,
            answered_outdated: tally.outdated,
            stalest_ms: millis(tally.stalest),
            run_though_unsent: executions.false_unsent,
            too_late_to_judge: executions.too_late,
            late_as_the_machine: late.explained,
            worst_late_ms: millis(late.worst_explained),
            worst_machine_ms: millis(late.worst_machine),
            worst_starved_ms: millis(late.worst_starved),
            gone: *gone,
            alone: *alone,
            frozen: *frozen,
            ways: *ways,
            missing: missing.clone(),
            misled_without_stamps: None,
            broken: Vec::new(),
        };
        report.broken = report.broken_promises();
        let unsteady = drifts.iter().filter(|drift| drift.worst > FLAT);
        report.broken.extend(unsteady.map(|drift| format!("{} not flat", drift.what)));
        report
    }

    /// Adds a run that was [misled](crate::run::Setup::misled). Wrong deliveries are
    /// what it is there to show; all else must hold.
    pub(crate) fn add_misled(&mut self, mut outcome: Outcome, leaked: Holdings) {
        let tally = &mut outcome.tally;
        self.misled_without_stamps = Some(Misled {
            calls: tally.calls,
            faults: outcome.faults.values().sum(),
            delivered_wrong: std::mem::take(&mut tally.mismatched),
        });
        tally.never_ran = 0;
        let broken = Self::new(&outcome, leaked, &[]).broken;
        self.broken.extend(broken.into_iter().map(|broken| format!("without stamps: {broken}")));
    }

    fn broken_promises(&self) -> Vec<String> {
        let counts = [
            ("replies mismatched", self.mismatched),
            ("answers without a run of the hook", self.answered_without_run),
            ("answers that their server took back", self.answered_void),
            ("hooks run twice", self.executed_twice),
            ("hooks run though the call was not sent", self.run_though_unsent),
            ("hooks run too late to be judged", self.too_late_to_judge),
            ("calls timed out before their deadline", self.timed_out_too_soon),
            ("calls answered by a server replaced long before", self.answered_outdated),
            ("calls hung", self.hung),
            ("wrong states", self.wrong_state as u64),
            ("callers never found a server again", self.gone.never + self.frozen.never),
            ("tasks leaked", self.leaked_tasks as u64),
            ("files leaked", self.leaked_fds as u64),
        ];
        let broken = counts.into_iter().filter(|(_, count)| *count > 0);
        let mut broken: Vec<_> = broken.map(|(what, count)| format!("{count} {what}")).collect();
        if self.leaked_bytes > BYTES_ALLOWED {
            broken.push(format!("{} bytes leaked", self.leaked_bytes));
        }
        if self.gone.outages > 0 && self.recovered_within_1s < FOUND {
            let found = self.recovered_within_1s * 100.0;
            broken.push(format!("only {found:.2} % answered within 1 s of a return"));
        }
        let never = self.missing.iter().map(|what| format!("no {what} in the whole run"));
        broken.extend(never);
        broken
    }

    pub(crate) fn print(&self) {
        let Self { seconds, calls, hooks_run, .. } = self;
        let rate = *calls as f64 / seconds;
        println!(
            "calls                {calls} in {seconds:.1} s ({rate:.0}/s), {hooks_run} hooks run"
        );
        list("how they ended", &self.outcomes);
        let faults: u64 = self.faults.values().sum();
        println!("faults               {faults}");
        list("by kind", &self.faults);
        let Ways { breaker_opened, sent_again, budget_spent, probes } = self.ways;
        println!(
            "breakers             opened {breaker_opened} times; sent again {sent_again}, not for want of budget {budget_spent}; probes {probes}"
        );
        println!("mismatched           {}", self.mismatched);
        println!(
            "executed twice       {} (of calls that allow it: {})",
            self.executed_twice, self.repeated
        );
        println!("answered, not run    {}", self.answered_without_run);
        println!("answered, taken back {}", self.answered_void);
        println!("run, though unsent   {}", self.run_though_unsent);
        println!("run too late to tell {}", self.too_late_to_judge);
        println!(
            "hung                 {} past deadline + 50 ms, at most {:.0} ms",
            self.hung, self.worst_hung_ms
        );
        println!(
            "                     {} more were late, at most {:.0} ms, and so was the machine (at most {:.0} ms, and {:.0} ms without a processor)",
            self.late_as_the_machine,
            self.worst_late_ms,
            self.worst_machine_ms,
            self.worst_starved_ms
        );
        println!("timed out too soon   {}", self.timed_out_too_soon);
        println!(
            "outdated             {} made more than 1 s after their server was replaced, none later than {:.0} ms",
            self.answered_outdated, self.stalest_ms
        );
        println!("wrong state          {}", self.wrong_state);
        println!(
            "leaked               {} tasks, {} fds, {} bytes (up to {BYTES_ALLOWED} is what runtimes keep)",
            self.leaked_tasks, self.leaked_fds, self.leaked_bytes
        );
        found("recovery            ", "servers were gone", &self.gone);
        if self.alone.outages < self.gone.outages {
            found("                    ", "of them left no other server", &self.alone);
        }
        found("                    ", "were there and frozen", &self.frozen);
        if let Some(Misled { calls, faults, delivered_wrong }) = &self.misled_without_stamps {
            println!(
                "undetectable without stamps: {delivered_wrong} delivered wrong, of {calls} calls and {faults} faults"
            );
        }
    }
}

fn list<K: AsRef<str>>(title: &str, counts: &BTreeMap<K, u64>) {
    let counts: Vec<_> =
        counts.iter().map(|(name, count)| format!("{} {count}", name.as_ref())).collect();
    println!("  {title}: {}", counts.join(", "));
}

fn found(title: &str, what: &str, found: &Found) {
    let Found { outages, within_1s, p50_ms, p99_ms, max_ms, never } = found;
    let within = within_1s * 100.0;
    println!(
        "{title} {outages} {what}; answers after p50 {p50_ms} ms, p99 {p99_ms} ms, at most {max_ms} ms; \
         {within:.2} % within 1 s, {never} never"
    );
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}
