//! A run repeats to the byte, is not empty, and is judged.

use crate::event::{Event, Outcome, Over, Sent};
use crate::mood::{Fault, Faults};
use crate::run::{Limits, run};

/// Whether an event is of some kind.
pub(crate) type Is = fn(&Event) -> bool;

fn limits() -> Limits {
    Limits { steps: 6, keep_all: true, ..Limits::of(Over::Socket) }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_digest_and_another_seed_another() {
    for seed in 1..=4 {
        let (first, second) = (run(seed, &limits()), run(seed, &limits()));
        assert_eq!(first.broken, None, "seed {seed}");
        assert!(first.trace.len() > 100, "seed {seed}: {} events", first.trace.len());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
    assert_ne!(run(1, &limits()).digest, run(2, &limits()).digest);
}

#[test]
fn a_seed_gives_the_same_trace_on_another_thread_and_after_other_seeds() {
    let here = run(7, &limits()).trace;
    let there = std::thread::spawn(|| {
        let _ = run(8, &limits());
        run(7, &limits()).trace
    });
    assert_eq!(here, there.join().expect("a run does not panic"));
}

#[test]
fn a_run_of_fewer_steps_is_the_beginning_of_the_longer_one() {
    let whole = run(3, &limits()).trace;
    let mut part = run(3, &Limits { steps: 3, ..limits() }).trace;
    // Its handle ends where the other's goes on.
    part.truncate(part.iter().rposition(|line| matches!(line.1, Event::Sampled(_))).unwrap_or(0));
    assert!(part.len() > 50);
    assert_eq!(part, whole[..part.len()]);
}

#[test]
fn runs_come_to_everything_that_they_are_made_for() {
    let wanted: Vec<(&str, Is)> = vec![
        ("a reply", |event| matches!(event, Event::Answered { outcome: Outcome::Hook { .. }, .. })),
        ("an answer to a question", |event| {
            matches!(event, Event::Answered { outcome: Outcome::Config, .. })
        }),
        ("a call told unsent", |event| told(event, Sent::No)),
        ("a call told unstarted", |event| told(event, Sent::Unstarted)),
        ("a call that may have run", |event| told(event, Sent::Maybe)),
        ("a timeout", |event| failed(event, "timeout")),
        ("a refusal for want of room", |event| failed(event, "overloaded")),
        ("a refusal of the breaker", |event| failed(event, "unavailable")),
        ("a lost connection", |event| failed(event, "disconnected")),
        ("a foreign reply", |event| failed(event, "mismatch")),
        ("bytes that are no frame", |event| failed(event, "framing")),
        ("a call after the shutdown", |event| failed(event, "shutdown")),
        ("a caller that left", |event| matches!(event, Event::Left { .. })),
        ("a panic", |event| matches!(event, Event::Panicked { .. })),
        ("a failed connect", |event| matches!(event, Event::ConnectFailed)),
        ("a shutdown", |event| matches!(event, Event::Stopping { .. })),
        (
            "an open breaker",
            |event| matches!(event, Event::Sampled(sample) if !sample.breaker_closed),
        ),
        (
            "calls that wait for room",
            |event| matches!(event, Event::Sampled(sample) if sample.waiting > 0),
        ),
        ("a rest with nothing left", |event| matches!(event, Event::Rested(..))),
    ];
    assert_eq!(missing_in(200, &limits(), wanted), Vec::<&str>::new());
}

/// What does not happen in so many runs.
pub(crate) fn missing_in<'a>(
    runs: u64,
    limits: &Limits,
    mut wanted: Vec<(&'a str, Is)>,
) -> Vec<&'a str> {
    for seed in 1..runs {
        let record = run(seed, limits);
        assert_eq!(record.broken, None, "seed {seed}");
        wanted.retain(|(_, is)| !record.trace.iter().any(|(_, event)| is(event)));
        if wanted.is_empty() {
            break;
        }
    }
    wanted.into_iter().map(|(name, _)| name).collect()
}

pub(crate) fn failed(event: &Event, word: &str) -> bool {
    matches!(event, Event::Answered { outcome: Outcome::Failed { reason, .. }, .. } if *reason == word)
}

pub(crate) fn told(event: &Event, word: Sent) -> bool {
    matches!(event, Event::Answered { outcome: Outcome::Failed { sent, .. }, .. } if *sent == word)
}

#[test]
fn without_faults_no_reply_is_wrong_and_hardly_any_call_fails() {
    let limits = Limits { faults: Faults::NONE, callers: 1, ..limits() };
    let (mut calls, mut failures) = (0, 0);
    for seed in 1..=20 {
        let record = run(seed, &limits);
        assert_eq!((record.faults, record.broken), (0, None));
        for wrong in ["mismatch", "undecodable", "framing", "empty_reply", "closed_after_fault"] {
            let found = record.trace.iter().find(|(_, event)| failed(event, wrong));
            assert_eq!(found, None, "seed {seed}");
        }
        calls += record.calls;
        let fails =
            |event: &Event| [Sent::No, Sent::Unstarted, Sent::Maybe].map(|sent| told(event, sent));
        failures +=
            record.trace.iter().filter(|(_, event)| fails(event).contains(&true)).count() as u64;
    }
    // A deadline of a millisecond is no fault.
    assert!(calls > 100 && failures * 5 < calls, "{failures} of {calls} fail");
}

/// Invariant 4, its other half.
#[test]
fn a_payload_that_does_not_fit_its_callers_type_fails_that_call_and_no_other() {
    let limits = Limits { faults: Faults::NONE.with(Fault::Odd), ..limits() };
    let mut odd = 0;
    for seed in 1..=20 {
        let record = run(seed, &limits);
        assert_eq!(record.broken, None, "seed {seed}");
        odd += record.trace.iter().filter(|(_, event)| failed(event, "undecodable")).count();
        let lost = record.trace.iter().find(|(_, event)| failed(event, "closed_after_fault"));
        assert_eq!(lost, None, "seed {seed}");
    }
    assert!(odd > 100, "only {odd} odd payloads");
}

/// The judge's rule for each invariant is shown its breach in `judge::tests`; here it is
/// a server that lies, to the real client, in a run.
#[test]
fn a_server_that_answers_one_call_with_anothers_answer_is_found_by_the_judge() {
    let limits = Limits { faults: Faults::all(Over::Socket).with(Fault::Lie), ..limits() };
    let found = (1..=20).filter_map(|seed| run(seed, &limits).broken);
    let invariants: Vec<_> = found.map(|broken| broken.invariant).collect();
    assert!(invariants.contains(&1), "{invariants:?}");
}
