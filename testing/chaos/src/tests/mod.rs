//! Judges that cannot fail prove nothing: each is shown what it must find.

mod double;
mod grpc;
mod late_calls;

use std::fs::File;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser as _, ValueEnum as _};
use hookwire::{PluginConfig, PluginHandle};
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep};

use crate::caller::{Bench, Goal, call_on, call_once};
use crate::coverage::{Ways, missing};
use crate::dice::Dice;
use crate::fault::{Fault, Faults, Transport};
use crate::lateness::{Lateness, PATIENCE};
use crate::ledger::{Ledger, WINDOW};
use crate::options::Options;
use crate::plan::Plan;
use crate::process::{Holdings, leaks_since};
use crate::quiet::accounts;
use crate::recovery::Recovery;
use crate::report::Report;
use crate::run::{Outcome, Setup};
use crate::site::Contexts;
use crate::soak::Samples;
use crate::tally::Tally;
use crate::work::{Marker, Verdict};
use double::{Double, Lie, marker_with};

fn bench() -> Bench {
    Bench { ledger: Arc::new(Ledger::new(1)), lateness: Arc::new(Lateness::new()) }
}

/// One call to a liar.
async fn lied_to(lie: Lie, marker: Marker) -> (Tally, Bench) {
    let bench = bench();
    let double = Double::new(lie, &bench.ledger);
    let tally = asked(&double, &Plan::plain(), marker, &bench).await;
    (tally, bench)
}

async fn asked(double: &Double, plan: &Plan, marker: Marker, bench: &Bench) -> Tally {
    let _canaries = bench.lateness.watch();
    let mut tally = Tally::default();
    call_once(double, plan, marker, bench, &mut tally).await;
    sleep(PATIENCE).await;
    tally
}

const ALLOW: Verdict = Verdict::Allow { echo: false };

#[tokio::test(start_paused = true)]
async fn the_truth_passes() {
    for verdict in [ALLOW, Verdict::Allow { echo: true }, Verdict::Deny] {
        let (tally, bench) = lied_to(Lie::Nothing, marker_with(0, verdict)).await;
        assert_eq!((tally.mismatched, tally.never_ran), (0, 0), "{:?}", tally.wrongs);
        assert_eq!(bench.ledger.executions().twice, 0);
        assert_eq!(bench.lateness.settle().hung, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn another_calls_answer_is_a_mismatch_even_if_the_verdict_is_the_same() {
    for verdict in [ALLOW, Verdict::Deny] {
        let (tally, _) = lied_to(Lie::AnotherAnswer, marker_with(0, verdict)).await;
        assert_eq!(tally.mismatched, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_payload_is_a_mismatch() {
    let (tally, _) = lied_to(Lie::AnotherPayload, marker_with(0, ALLOW)).await;
    assert_eq!(tally.mismatched, 1);
}

#[tokio::test(start_paused = true)]
async fn a_deny_that_became_an_allow_is_a_mismatch() {
    let (tally, _) = lied_to(Lie::AllowsAll, marker_with(0, Verdict::Deny)).await;
    assert_eq!(tally.mismatched, 1);
}

#[tokio::test(start_paused = true)]
async fn a_context_that_is_not_the_calls_own_is_a_mismatch() {
    for lie in [Lie::LosesTheState, Lie::ChangesTheState] {
        let (tally, _) = lied_to(lie, marker_with(0, ALLOW)).await;
        assert_eq!(tally.mismatched, 1, "{lie:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_run_of_the_hook_is_caught() {
    let (tally, _) = lied_to(Lie::DoesNotRun, marker_with(0, ALLOW)).await;
    assert_eq!(tally.never_ran, 1);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_runs_twice_is_caught_and_one_that_may_is_told_apart() {
    let marker = marker_with(0, ALLOW);
    let (_, bench) = lied_to(Lie::RunsTwice, marker).await;
    assert_eq!((bench.ledger.executions().twice, bench.ledger.executions().repeated), (1, 0));
    let (_, bench) = lied_to(Lie::RunsTwice, Marker { may_repeat: true, ..marker }).await;
    assert_eq!((bench.ledger.executions().twice, bench.ledger.executions().repeated), (0, 1));
}

#[test]
fn a_hook_that_runs_although_its_call_was_not_sent_is_caught_whatever_came_first() {
    let ledger = Ledger::new(1);
    let (first, second) = (marker_with(0, ALLOW), marker_with(100, ALLOW));
    ledger.ran(first);
    ledger.unsent(first);
    ledger.unsent(second);
    ledger.ran(second);
    assert_eq!(ledger.executions().false_unsent, 2);
}

#[test]
fn a_hook_that_runs_too_late_to_be_judged_is_counted() {
    let ledger = Ledger::new(1);
    let call = |number| Marker { caller: 0, number, may_repeat: false };
    ledger.ran(call(10 * WINDOW as u32));
    ledger.ran(call(0));
    assert_eq!(ledger.executions().too_late, 1);
    assert!(!ledger.has_run(call(0)));
}

#[test]
fn all_faults_are_drawn_except_the_one_that_another_turns_into() {
    let kinds = Options::parse_from(["chaos"]).setup().kinds;
    let over_grpc = Options::parse_from(["chaos", "--grpc"]).setup().kinds;
    for fault in Fault::value_variants() {
        let drawn = kinds.contains(fault) || over_grpc.contains(fault);
        assert_eq!(drawn, *fault != Fault::ForbiddenDoesNotBind, "{fault:?}");
    }
    assert_eq!((kinds.len(), over_grpc.len()), (32, 41));
    assert!(kinds.contains(&Fault::SocketIsForbidden));
    assert!(!kinds.contains(&Fault::ForbiddenDoesNotBind));
}

#[test]
fn a_fault_that_is_not_possible_over_the_transport_is_refused() {
    for (arguments, refused) in [
        (["chaos", "--only", "dropped", "--seed=1"], false),
        (["chaos", "--only", "dropped", "--grpc"], true),
        (["chaos", "--only", "half_open", "--seed=1"], true),
        (["chaos", "--only", "half_open", "--grpc"], false),
    ] {
        assert_eq!(Options::parse_from(arguments).check().is_err(), refused, "{arguments:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_given_up_on_and_counted() {
    let (tally, _) = lied_to(Lie::NeverEnds, marker_with(0, ALLOW)).await;
    assert_eq!((tally.never_ended, tally.of("never_ended")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_never_ends_is_given_up_on_and_counted() {
    let bench = bench();
    let double = Double::new(Lie::NeverEnds, &bench.ledger);
    let plan = Plan { asks_for_config: true, ..Plan::plain() };
    let tally = asked(&double, &plan, marker_with(0, ALLOW), &bench).await;
    assert_eq!((tally.never_ended, tally.of("config_never_ended")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_before_its_deadline_is_caught() {
    let (tally, _) = lied_to(Lie::TimesOutEarly, marker_with(0, ALLOW)).await;
    assert_eq!((tally.too_soon, tally.of("timeout")), (1, 1), "{:?}", tally.wrongs);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_server_that_was_replaced_long_before_is_caught_whatever_its_verdict() {
    for verdict in [ALLOW, Verdict::Deny] {
        for (lie, caught) in [(Lie::Stale(900), 0), (Lie::Stale(1_100), 1)] {
            let (tally, _) = lied_to(lie, marker_with(0, verdict)).await;
            assert_eq!((tally.outdated, tally.mismatched), (caught, 0), "{:?}", tally.wrongs);
            assert!(tally.stalest >= Duration::from_millis(900));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_does_next_does_not_depend_on_how_its_calls_ended() {
    let mut plans = Vec::new();
    for lie in [Lie::Nothing, Lie::IsAway] {
        let bench = bench();
        let goal = Goal { calls_each: 100, faults: 0, until: None, happened: Arc::default() };
        let doubles: Arc<[_]> = Arc::from(vec![Double::new(lie, &bench.ledger)]);
        let dice = Dice::new(1, [0, 0]);
        let tallies = call_on(Arc::clone(&doubles), bench, 0, dice, goal).await;
        let away = tallies[0].of("unavailable");
        assert_eq!(away > 10, lie == Lie::IsAway, "{away}");
        plans.push(doubles[0].plans.lock().unwrap().clone());
    }
    assert!(plans[0].len() > 50 && plans[0] == plans[1]);
}

#[tokio::test(start_paused = true)]
async fn leaked_tasks_files_and_bytes_are_found() {
    let before = Holdings::now(&Handle::current());
    let task = tokio::spawn(pending::<()>());
    // Many, as other tests open and close some meanwhile.
    let files: Vec<_> = (0..200).map(|_| File::open("/dev/null").unwrap()).collect();
    let bytes = vec![1_u8; 64 << 20];
    let leaks = leaks_since(before).await;
    assert_eq!(leaks.tasks, 1);
    assert!(leaks.fds >= 100, "{leaks:?}");
    assert!(leaks.bytes >= 32 << 20, "{leaks:?}");
    drop((files, bytes));
    task.abort();
}

#[tokio::test]
async fn a_plugin_that_counts_other_calls_than_its_callers_is_in_a_wrong_state() {
    let config = PluginConfig::builder("P").socket("/nowhere/p.sock").build().unwrap();
    let stats = PluginHandle::connect_lazy(config).stats();
    assert_eq!(accounts(&stats, &Tally::default()), Vec::<String>::new());
    let mut tally = Tally::default();
    tally.calls = 1;
    tally.count("timeout");
    assert_eq!(accounts(&stats, &tally).len(), 3);
}

#[test]
fn a_tally_takes_no_more_memory_the_longer_it_counts() {
    let ends: Vec<&'static str> = (0..24).map(|i| &"abcdefghijklmnopqrstuvwxyz"[i..]).collect();
    let mut tally = Tally::default();
    let room = tally.room();
    ends.iter().chain(&ends).for_each(|end| tally.count(end));
    assert_eq!(tally.room(), room);
    assert!(ends.iter().all(|end| tally.of(end) == 2));
}

#[test]
fn who_finds_a_server_after_more_than_a_second_does_not_count_as_found() {
    let mut recovery = Recovery::default();
    for took in [Some(900), Some(1_100), None, Some(10)] {
        recovery.seeker(took.map(Duration::from_millis));
    }
    let found = recovery.found();
    assert_eq!((found.within_1s, found.never), (0.5, 1));
    assert!(found.max_ms >= 1_100.0, "{found:?}");
}

#[test]
fn what_a_long_run_never_came_to_is_missing() {
    let drawn: Vec<_> = Fault::drawn(Transport::Socket).collect();
    let all = |count| {
        let happened = Faults::default();
        for fault in drawn.iter().filter(|fault| !matches!(fault, Fault::Stall | Fault::Refuse)) {
            (0..count).for_each(|_| happened.add(*fault));
        }
        happened
    };
    let ways = Ways { breaker_opened: 1, sent_again: 1, budget_spent: 1, probes: 0 };
    assert!(missing(&drawn, 16, &all(1), &ways).is_empty());
    assert_eq!(missing(&drawn, 16, &all(50), &ways), ["stall"]);
    assert_eq!(missing(&drawn, 16, &all(500), &ways), ["stall", "refuse", "probe"]);
    // With one plugin an outage may be missing by chance, and with one kind of fault in
    // the run nothing else is looked at.
    assert_eq!(missing(&drawn, 1, &all(500), &ways), ["stall"]);
    assert_eq!(missing(&[Fault::Stall], 16, &all(500), &ways), ["stall"]);
}

#[test]
fn every_promise_that_can_be_broken_is_told() {
    let breaks: [fn(&mut Outcome, &mut Holdings); 17] = [
        |outcome, _| outcome.tally.mismatched = 1,
        |outcome, _| outcome.tally.never_ran = 1,
        |outcome, _| outcome.tally.void = 1,
        |outcome, _| outcome.tally.too_soon = 1,
        |outcome, _| outcome.tally.outdated = 1,
        |outcome, _| outcome.missing.push("stall".into()),
        |outcome, _| outcome.tally.never_ended = 1,
        |outcome, _| outcome.executions.twice = 1,
        |outcome, _| outcome.executions.false_unsent = 1,
        |outcome, _| outcome.executions.too_late = 1,
        |outcome, _| outcome.late.hung = 1,
        |outcome, _| outcome.wrong_state.push("not idle".into()),
        |outcome, _| outcome.gone.outages = 1,
        |outcome, _| outcome.frozen.never = 1,
        |_, leaked| leaked.tasks = 1,
        |_, leaked| leaked.fds = 1,
        |_, leaked| leaked.bytes = 1 << 20,
    ];
    let kept = Report::new(&Outcome::default(), Holdings::default(), &[]);
    assert_eq!(kept.broken, Vec::<String>::new());
    for (index, break_it) in breaks.into_iter().enumerate() {
        let (mut outcome, mut leaked) = (Outcome::default(), Holdings::default());
        break_it(&mut outcome, &mut leaked);
        assert_eq!(Report::new(&outcome, leaked, &[]).broken.len(), 1, "number {index}");
    }
}

#[test]
fn the_real_client_is_caught_where_a_server_swaps_replies_that_nothing_tells_apart() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let setup = Setup {
        transport: Transport::Socket,
        seed: 1,
        calls: 500,
        faults: 20,
        callers: 50,
        plugins: 1,
        kinds: vec![Fault::Swapped],
        contexts: vec![Contexts::None],
        misled: true,
        lasts: None,
    };
    let (outcome, _) = setup.run(&runtime, &mut Samples::default());
    assert!(outcome.tally.mismatched > 0, "{:?}", outcome.faults);
    for contexts in [Contexts::Returned, Contexts::Stamped] {
        let shown = Setup { contexts: vec![contexts], ..setup.clone() };
        let (outcome, _) = shown.run(&runtime, &mut Samples::default());
        assert_eq!(outcome.tally.mismatched, 0, "{contexts:?}: {:?}", outcome.tally.wrongs);
    }
}
