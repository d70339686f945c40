//! What only the run over gRPC judges, and its servers.

use hookwire::testing::error;
use hookwire::{ErrorKind, PluginContext, Sent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::*;
use crate::grpc::wire::{Flow, Valve, Wire};
use crate::judge::{Asked, judge};

#[tokio::test(start_paused = true)]
async fn an_answer_that_its_server_took_back_is_caught_unless_another_one_may_have_given_it() {
    for verdict in [ALLOW, Verdict::Deny] {
        let marker = marker_with(0, verdict);
        let (tally, _) = lied_to(Lie::TakesWhatIsVoid, marker).await;
        assert_eq!((tally.void, tally.mismatched), (1, 0), "{:?}", tally.wrongs);
        let (tally, _) = lied_to(Lie::TakesWhatIsVoid, Marker { may_repeat: true, ..marker }).await;
        assert_eq!(tally.void, 0, "{:?}", tally.wrongs);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_server_says_that_its_time_is_over_may_time_out_before_that() {
    let (bench, marker) = (bench(), marker_with(0, ALLOW));
    bench.ledger.overdue(marker);
    let double = Double::new(Lie::TimesOutEarly, &bench.ledger);
    let tally = asked(&double, &Plan::plain(), marker, &bench).await;
    assert_eq!((tally.too_soon, tally.of("timeout")), (0, 1), "{:?}", tally.wrongs);
}

#[test]
fn a_hook_that_runs_although_a_server_that_keeps_its_word_had_not_begun_it_is_caught() {
    let marker = marker_with(0, ALLOW);
    for (proves_unstarted, sent, caught) in [
        (true, Sent::Unstarted, 1),
        (false, Sent::Unstarted, 0),
        (true, Sent::Maybe, 0),
        (false, Sent::No, 1),
    ] {
        let ledger = Ledger::new(1);
        ledger.ran(marker);
        let contexts = Contexts::None;
        let asked = Asked { marker, filler: "", contexts, proves_unstarted };
        let told = Err(error("P", ErrorKind::Disconnected).sent(sent).build());
        let context = PluginContext::new("1").with_state(crate::judge::first_state(marker));
        judge(&asked, &told, &context, &ledger);
        assert_eq!(ledger.executions().false_unsent, caught, "{proves_unstarted} {sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_over_grpc_may_be_four_times_as_late_as_the_machine_and_no_more() {
    let lateness = Lateness::over_grpc();
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    for (from, late) in [(1_000, 240), (5_000, 260)] {
        lateness.woken(at(from), at(from + 50));
        lateness.call(at(from), at(from + late));
    }
    sleep(Duration::from_secs(8)).await;
    let late = lateness.settle();
    assert_eq!((late.explained, late.hung), (1, 1), "{late:?}");
}

fn run(kind: Fault, contexts: Contexts) -> Outcome {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let setup = Setup {
        transport: Transport::Grpc,
        seed: 1,
        calls: 500,
        faults: 20,
        callers: 50,
        plugins: 1,
        kinds: vec![kind],
        contexts: vec![contexts],
        misled: true,
        lasts: None,
    };
    setup.run(&runtime, &mut Samples::default()).0
}

#[test]
fn the_real_client_is_caught_where_a_server_over_grpc_swaps_replies_that_nothing_tells_apart() {
    let outcome = run(Fault::Swapped, Contexts::None);
    assert!(outcome.tally.mismatched > 0, "{:?}", outcome.faults);
    for contexts in [Contexts::Returned, Contexts::Stamped] {
        let outcome = run(Fault::Swapped, contexts);
        assert_eq!(outcome.tally.mismatched, 0, "{contexts:?}: {:?}", outcome.tally.wrongs);
    }
}

#[test]
fn the_real_client_does_not_believe_a_server_that_refuses_streams_whose_hook_has_run() {
    let outcome = run(Fault::RefusedStream, Contexts::Returned);
    assert!(outcome.tally.of("disconnected") > 0, "{:?}", outcome.faults);
    assert_eq!(outcome.executions.false_unsent, 0, "{:?}", outcome.executions);
}

#[test]
fn what_the_usual_run_over_grpc_never_came_to_is_missing() {
    let drawn: Vec<_> = Fault::drawn(Transport::Grpc).collect();
    let ways = Ways { breaker_opened: 1, sent_again: 0, budget_spent: 0, probes: 1 };
    let after = |count| {
        let happened = Faults::default();
        drawn.iter().for_each(|fault| (0..count).for_each(|_| happened.add(*fault)));
        missing(&drawn, 16, &happened, &ways)
    };
    let enough = 2_000_u64.div_ceil(drawn.len() as u64);
    assert!(after(enough / 2).is_empty());
    assert_eq!(after(enough), ["call sent again"]);
}

/// A connection behind a valve, and the client's side of it.
async fn wire() -> (Wire, Arc<Valve>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let valve = Valve::new(Flow::Free);
    (Wire::new(server, Arc::clone(&valve)), valve, client)
}

/// Above what any step takes.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_wire_is_cut_after_as_many_bytes_as_it_was_told() {
    let (mut server, valve, mut client) = wire().await;
    client.write_all(b"0123456789").await.unwrap();
    valve.cut_when_read(4);
    let mut read = Vec::new();
    let end = timeout(LIMIT, server.read_to_end(&mut read)).await.unwrap();
    assert_eq!((end.is_err(), &read[..]), (true, &b"0123"[..]));
    let (mut server, valve, mut client) = wire().await;
    valve.cut_when_written(3);
    assert!(timeout(LIMIT, server.write_all(b"0123456789")).await.unwrap().is_err());
    drop(server);
    let mut read = Vec::new();
    timeout(LIMIT, client.read_to_end(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, b"012");
}

#[tokio::test]
async fn what_is_sent_over_a_wire_that_loses_it_arrives_nowhere() {
    let (mut server, valve, mut client) = wire().await;
    valve.set(Flow::Lost);
    server.write_all(b"lost").await.unwrap();
    client.write_all(b"lost").await.unwrap();
    client.shutdown().await.unwrap();
    let mut read = Vec::new();
    timeout(LIMIT, server.read_to_end(&mut read)).await.unwrap().unwrap();
    drop(server);
    timeout(LIMIT, client.read_to_end(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, b"");
}

#[tokio::test]
async fn what_is_sent_over_a_wire_that_is_still_arrives_once_it_is_free() {
    let (mut server, valve, mut client) = wire().await;
    valve.set(Flow::Still);
    client.write_all(b"1").await.unwrap();
    let mut byte = [0; 1];
    {
        let mut reading = std::pin::pin!(server.read(&mut byte));
        for _ in 0..100 {
            let now = std::future::poll_fn(|cx| std::task::Poll::Ready(reading.as_mut().poll(cx)));
            assert!(now.await.is_pending());
            yield_now().await;
        }
        valve.set(Flow::Free);
        assert_eq!(timeout(LIMIT, reading).await.unwrap().unwrap(), 1);
    }
    assert_eq!(byte, *b"1");
    valve.set(Flow::Unread);
    server.write_all(b"2").await.unwrap();
    assert_eq!(timeout(LIMIT, client.read(&mut byte)).await.unwrap().unwrap(), 1);
    assert_eq!(byte, *b"2");
}
