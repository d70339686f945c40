//! Runs over gRPC repeat to the byte, are not empty, and are judged.

use crate::event::{Event, Outcome, Over, Sent};
use crate::mood::{Fault, Faults};
use crate::run::{Limits, run};
use crate::tests::{Is, failed, missing_in, told};

fn limits() -> Limits {
    Limits { steps: 6, keep_all: true, ..Limits::of(Over::Grpc) }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_digest_and_another_seed_another() {
    for seed in 1..=6 {
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
        ("a lost connection, a status, or a reset", |event| failed(event, "disconnected")),
        ("a server that does not know us", |event| failed(event, "untrusted")),
        ("a server without the method", |event| failed(event, "unimplemented")),
        ("a foreign reply", |event| failed(event, "mismatch")),
        ("a reply that is none", |event| failed(event, "framing")),
        ("a reply with nothing in it", |event| failed(event, "empty_reply")),
        ("a call after the shutdown", |event| failed(event, "shutdown")),
        ("a caller that left", |event| matches!(event, Event::Left { .. })),
        ("a panic", |event| matches!(event, Event::Panicked { .. })),
        ("a failed connect", |event| matches!(event, Event::ConnectFailed)),
        ("a server that stops", |event| matches!(event, Event::GoneAway { .. })),
        ("a server that says that it is late", |event| matches!(event, Event::SaidLate { .. })),
        ("bytes that are no frame", |event| matches!(event, Event::Damaged { .. })),
        ("a shutdown", |event| matches!(event, Event::Stopping { .. })),
        ("two plugins", |event| matches!(event, Event::Handle(bounds) if bounds.plugins == 2)),
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

#[test]
fn without_faults_no_call_meets_more_than_a_deadline() {
    let limits = Limits { faults: Faults::NONE, callers: 1, ..limits() };
    let mut calls = 0;
    for seed in 1..=20 {
        let record = run(seed, &limits);
        assert_eq!((record.faults, record.broken), (0, None), "seed {seed}");
        let wrong = ["mismatch", "undecodable", "framing", "empty_reply", "disconnected"];
        let is_wrong = |event: &Event| wrong.iter().any(|wrong| failed(event, wrong));
        let found = record.trace.iter().find(|(_, event)| is_wrong(event));
        assert_eq!(found, None, "seed {seed}");
        calls += record.calls;
    }
    assert!(calls > 100, "only {calls} calls");
}

/// The judge's rule for each invariant is shown its breach in `judge::tests`; here servers that lie
/// do, to the real client, in a run.
#[test]
fn a_server_that_answers_one_call_with_anothers_answer_is_found_by_the_judge() {
    assert!(is_found(Fault::Lie, 1));
}

#[test]
fn a_server_that_runs_what_it_said_it_would_not_look_at_is_found_by_the_judge() {
    assert!(is_found(Fault::FalseWord, 5));
}

fn is_found(lie: Fault, invariant: u8) -> bool {
    let limits = Limits { faults: Faults::all(Over::Grpc).with(lie), ..limits() };
    let mut broken = (1..=40).filter_map(|seed| run(seed, &limits).broken);
    broken.any(|broken| broken.invariant == invariant)
}
