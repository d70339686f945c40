//! How a server starts and stops.

use std::io::Write as _;

use super::raw::{DATA, begun, call, next};
use super::*;

#[tokio::test]
async fn an_address_that_is_taken_is_refused_and_named() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let address = server.local_addr().unwrap();
    let error = echo().bind_grpc(GrpcServerConfig::tcp(address)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

// Promise: H28
#[tokio::test]
async fn calls_that_run_are_finished_and_nothing_new_is_begun() {
    let gate = Gate::new();
    let server = gate.server().bind_grpc(local()).await.unwrap();
    let address = server.local_addr().unwrap();
    let client = Client::to(&server).await;
    let calls = [waiting_call(&client), waiting_call(&client)];
    gate.begun(2).await;

    let stopped = tokio::spawn(server.shutdown(LIMIT));
    // Nobody listens any more, while the calls still run.
    within(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open.add_permits(2);
    for call in calls {
        within(call).await.unwrap().unwrap().message();
    }
    client.ended().await;
    within(stopped).await.unwrap();
    let late = client.try_call(INVOKE, &[], &invocation()).await.unwrap_err();
    assert!(late.is_canceled() || late.is_closed(), "it never left: {late:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_in_time_is_cancelled() {
    let gate = Gate::new();
    let (server, near) = InMemory::start(gate.server(), Limits::default());
    let client = Client::over(near).await;
    let call = waiting_call(&client);
    gate.begun(1).await;
    server.run.send_replace(Run::Drain);
    tokio::time::sleep(Duration::from_secs(500)).await;
    assert!(!server.served.is_finished() && !call.is_finished());
    server.run.send_replace(Run::Stop);
    server.run.closed().await;
    assert!(call.await.unwrap().is_err());
    assert_eq!(gate.gone.available_permits(), 1, "before the stop is over");
}

#[tokio::test]
async fn a_server_that_is_killed_or_dropped_is_gone_with_its_calls() {
    for kill in [true, false] {
        let gate = Gate::new();
        let server = gate.server().bind_grpc(local()).await.unwrap();
        let address = server.local_addr().unwrap();
        let client = Client::to(&server).await;
        let call = waiting_call(&client);
        gate.begun(1).await;
        if kill {
            within(server.kill()).await;
            assert!(TcpStream::connect(address).await.is_err());
        } else {
            drop(server);
        }
        assert!(within(call).await.unwrap().is_err());
        gate.gone().await;
    }
}

#[tokio::test]
async fn a_shutdown_that_is_dropped_stops_the_server_at_once() {
    for begun in [true, false] {
        let gate = Gate::new();
        let server = gate.server().bind_grpc(local()).await.unwrap();
        let client = Client::to(&server).await;
        let call = waiting_call(&client);
        gate.begun(1).await;
        let mut shutdown = Box::pin(server.shutdown(LIMIT));
        if begun {
            let polled = futures::FutureExt::now_or_never(&mut shutdown);
            assert_eq!(polled, None);
        }
        drop(shutdown);
        assert!(within(call).await.unwrap().is_err());
        gate.gone().await;
    }
}

#[test]
fn a_server_whose_runtime_has_ended_is_stopped_already() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let first = runtime();
    let gate = Gate::new();
    let (server, other) = first.block_on(async {
        let server = gate.server().bind_grpc(local()).await.unwrap();
        let client = Client::to(&server).await;
        let _call = waiting_call(&client);
        gate.begun(1).await;
        (server, echo().bind_grpc(GrpcServerConfig::unix(&path)).await.unwrap())
    });
    drop(first);
    assert_eq!((gate.gone.available_permits(), server.stats().open_connections), (1, 0));
    runtime().block_on(within(server.shutdown(LIMIT)));
    drop(other);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_successor_can_take_the_address_at_once() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let address = server.local_addr().unwrap();
    let client = Client::to(&server).await;
    client.invoke().await.message();
    within(server.shutdown(LIMIT)).await;
    let server = echo().bind_grpc(GrpcServerConfig::tcp(address)).await.unwrap();
    Client::to(&server).await.invoke().await.message();
}

// Promise: H32
#[tokio::test]
async fn an_idle_client_does_not_hold_a_server_that_stops() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    client.invoke().await.message();
    // One that has said nothing yet, and one that does not even answer.
    let _silent = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    within(server.shutdown(Duration::from_secs(3600))).await;
    client.ended().await;
}

/// The call is written while neither runtime nor server has a turn.
// Promise: H28
#[tokio::test]
async fn a_shutdown_answers_what_was_sent_on_a_connection_that_nobody_has_looked_at_yet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let bytes = [begun(), call(1)].concat();

    let server = echo().bind_grpc(local()).await.unwrap();
    let mut client = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
    client.write_all(&bytes).unwrap();
    let client = async move {
        client.set_nonblocking(true).unwrap();
        let mut client = TcpStream::from_std(client).unwrap();
        while next(&mut client).await.kind != DATA {}
    };
    within(async { tokio::join!(server.shutdown(LIMIT), client) }).await;

    let server = echo().bind_grpc(GrpcServerConfig::unix(&path)).await.unwrap();
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.write_all(&bytes).unwrap();
    let client = async move {
        client.set_nonblocking(true).unwrap();
        let mut client = tokio::net::UnixStream::from_std(client).unwrap();
        while next(&mut client).await.kind != DATA {}
    };
    within(async { tokio::join!(server.shutdown(LIMIT), client) }).await;
}
