//! `hookwire bench`: many calls of one hook, from many tasks over one handle.

mod arrivals;
mod histogram;
mod load;
mod report;
mod stamp;

use std::process::ExitCode;

use clap::Args;
use hookwire::{ErrorKind, PluginHandle};

use crate::failure::{self, Failure, note};
use crate::place::Place;
use crate::tally::Tally;
use crate::target::Target;
use crate::{advice, input, payload, text};
use arrivals::Arrivals;
use load::{Load, Round};
use report::{Comparison, Report};

/// Rounds for each server of a comparison.
const ROUNDS: u64 = 10;

/// The library's own bound of calls that wait for a place.
const MAX_WAITING: usize = 1_048_576;

/// Measure one hook: calls per second, latencies, failures by kind.
///
/// N tasks share one handle and make M calls in total. `ok` counts the calls that
/// returned a result, violations included; `failed` the others. Calls per second
/// and latencies are those of `ok` calls. A histogram of the latencies is drawn on
/// stderr.
///
/// Without --rate the load is a closed loop: each task calls again when its call has
/// returned, so a plugin that is slow for a moment gets fewer calls in that moment, and
/// the latencies look better than what users would see. With --rate R it is an open loop:
/// R calls become due in each second, whatever became of those before, and a call's
/// latency counts from when it was due, not from when a task was free to make it.
///
/// Exit code 1 if any reply was mismatched, or if no call returned a result.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    target: Target,
    /// Tasks that call at the same time. With --rate the most calls under way at once: one
    /// that is due while all tasks are busy waits, and its latency grows. No more than calls.
    #[arg(long, value_name = "N", value_parser = input::whole::<usize>(1..=1_000_000), allow_negative_numbers = true)]
    callers: usize,
    /// Calls in total.
    #[arg(long, value_name = "M", value_parser = input::whole::<u64>(1..=u64::MAX), allow_negative_numbers = true)]
    calls: u64,
    /// Calls that become due in each second, evenly spaced unless --poisson is given: an open
    /// loop. Without it, tasks call as fast as they can. The lateness of the benchmark's
    /// own clock, some tens of microseconds, is a part of the latencies.
    #[arg(long, value_name = "R", value_parser = input::rate, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Calls become due at random, as from many users who know nothing of each other: a
    /// Poisson process of the given --rate.
    #[arg(long, requires = "rate")]
    poisson: bool,
    /// The most connections. Over a socket a server works on one call of a connection at a
    /// time; over gRPC each server has one connection, with many calls on it.
    #[arg(long, value_name = "K", default_value = "8", conflicts_with = "targets", value_parser = input::whole::<usize>(1..=1024), allow_negative_numbers = true)]
    connections: usize,
    /// Put a unique request id and a unique marker (`args.marker`) into each call, and
    /// count results with another call's as `mismatched`. Wrong replies that the library
    /// itself refuses are failed calls, counted in the errors as `mismatch`.
    #[arg(long)]
    verify: bool,
    /// Calls before the measurement; the first failure ends them. Default: a tenth of
    /// --calls, at most 1000; none with --verify, so that every call is checked and counted.
    #[arg(long, value_name = "CALLS", value_parser = input::whole::<u64>(0..=u64::MAX), allow_negative_numbers = true)]
    warmup: Option<u64>,
    /// A second server: an absolute path of a socket, or the target of one over gRPC, which the
    /// flags for TLS hold for too. Both get M calls each, in rounds A B A B ..., and are shown
    /// beside each other; the ratio is A to B.
    #[arg(long, value_name = "SOCKET2|TARGET2")]
    compare: Option<String>,
    /// Threads of the runtime. Default: one per core.
    #[arg(long, value_name = "T", value_parser = input::whole::<usize>(1..=1024), allow_negative_numbers = true)]
    threads: Option<usize>,
}

impl Bench {
    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads
    }

    pub(crate) async fn run(self, json: bool) -> Result<ExitCode, Failure> {
        let (payload, hook) = (self.target.payload()?, &self.target.hook);
        if let Some(misfit) = payload::misfit(hook, &payload) {
            failure::warn(json, &misfit);
        }
        let arrivals = self.rate.map(|rate| Arrivals { rate, poisson: self.poisson });
        let load = Load::new(hook, payload, self.verify, self.callers(), arrivals)?;
        let place_a = &self.target.place;
        let place_b = self.compare.as_deref().map(|place| place_a.other(place));
        let a = self.handle(place_a)?;
        let b = place_b.as_ref().map(|place| self.handle(place)).transpose()?;

        let warmup =
            self.warmup.unwrap_or(if self.verify { 0 } else { (self.calls / 10).min(1000) });
        for handle in [Some(&a), b.as_ref()].into_iter().flatten() {
            load.warm_up(handle, warmup).await?;
        }
        let servers = if b.is_some() { " for each server" } else { "" };
        let rate = self.rate.map(|rate| format!(" at {rate} calls/s")).unwrap_or_default();
        note(format_args!(
            "bench: {} calls of {hook}{servers}{rate}, {}, {}, after {warmup} of warm-up",
            text::count(self.calls),
            text::counted(self.callers(), "caller"),
            self.connections(),
        ));
        match b.zip(place_b) {
            None => {
                let round = load.run(&a, self.calls).await?;
                show(None, place_a, &round.tally);
                self.explain(&a, &round.tally).await;
                let report = Report::new(&round);
                print(json, &report, self.verify)?;
                Ok(exit_code(&[report]))
            }
            Some((b, place_b)) => {
                let (a, b, ratios) = self.interleave(&load, &a, &b).await?;
                show(Some("A"), place_a, &a.tally);
                show(Some("B"), &place_b, &b.tally);
                let comparison = Comparison::new(&a, &b, &ratios);
                print(json, &comparison, self.verify)?;
                Ok(exit_code(&[comparison.a, comparison.b]))
            }
        }
    }

    fn handle(&self, place: &Place) -> Result<PluginHandle, Failure> {
        let policy = self.target.policy().queue_capacity(self.callers().min(MAX_WAITING));
        self.target.handle(place, self.connections, policy)
    }

    /// Those of the (first) server, in words.
    fn connections(&self) -> String {
        match self.target.place.is_grpc() {
            true => "one connection to each server".to_owned(),
            false => format!("up to {}", text::counted(self.connections, "connection")),
        }
    }

    /// More would have nothing to do.
    fn callers(&self) -> usize {
        self.callers.min(usize::try_from(self.calls).unwrap_or(usize::MAX))
    }

    /// Tells what may be wrong where every call had an error of the plugin's own.
    async fn explain(&self, handle: &PluginHandle, tally: &Tally) {
        let failed_all = tally.ok() == 0;
        let of_the_plugin =
            ErrorKind::Plugin.reasons().iter().any(|reason| tally.errors.contains_key(reason));
        if failed_all
            && of_the_plugin
            && let Some(advice) = advice::ask(handle, &self.target.hook).await
        {
            note(format_args!("bench: {advice}"));
        }
    }

    /// A and B in turn, so that whatever else the machine does meets both; and the
    /// ratio of each pair of rounds.
    async fn interleave(
        &self,
        load: &Load,
        a: &PluginHandle,
        b: &PluginHandle,
    ) -> Result<(Round, Round, Vec<f64>), Failure> {
        let rounds = ROUNDS.min(self.calls);
        let (mut all_a, mut all_b) = (Round::empty()?, Round::empty()?);
        let mut ratios = Vec::new();
        for round in 0..rounds {
            let calls = self.calls / rounds + u64::from(round < self.calls % rounds);
            let (a, b) = (load.run(a, calls).await?, load.run(b, calls).await?);
            ratios.push(a.per_second() / b.per_second());
            all_a.add(&a);
            all_b.add(&b);
        }
        Ok((all_a, all_b, ratios))
    }
}

/// The picture, and what the failures said, for whoever looks on.
fn show(server: Option<&str>, place: &Place, tally: &Tally) {
    if let Some(server) = server {
        note(format_args!("\nserver {server}"));
    }
    note(histogram::draw(&tally.latencies));
    for (kind, (count, words)) in &tally.errors {
        let words = text::one_line(&place.told(words));
        note(format_args!("{} x {kind}, the first: {words}", text::count(*count)));
    }
}

fn print(
    json: bool,
    result: &(impl serde::Serialize + report::Table),
    verify: bool,
) -> Result<(), Failure> {
    if json { failure::print_json(result, false) } else { failure::print(result.table(verify)) }
}

fn exit_code(reports: &[Report]) -> ExitCode {
    let fine = reports.iter().all(|report| report.mismatched == 0 && report.ok > 0);
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
