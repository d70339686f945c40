//! Sizes, numbers and times.

use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::*;
use crate::server::tests::error;

/// A call of just this size.
fn of_size(size: usize) -> Vec<u8> {
    let sized = |len: usize| request(json!({"name": "x".repeat(len)})).encode_to_vec();
    let overhead = sized(size).len() - size;
    let message = sized(size - overhead);
    assert_eq!(message.len(), size);
    message
}

#[tokio::test]
async fn a_request_of_four_mebibytes_is_taken_and_one_byte_more_is_not_run() {
    let gate = Gate::new();
    gate.open.add_permits(9);
    let server = gate.server().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    client.call(INVOKE, &of_size(4 * 1024 * 1024)).await.message();
    gate.begun(1).await;
    let answer = client.call(INVOKE, &of_size(4 * 1024 * 1024 + 1)).await;
    let expected = "Received message larger than max (4194305 vs. 4194304)";
    assert_eq!((answer.code, &*answer.reason), (8, expected));
    assert_eq!(gate.begun.available_permits(), 0);
    client.invoke().await.message();
}

#[tokio::test]
async fn a_reply_may_be_larger_than_a_request_up_to_the_limit_of_frames() {
    let sized = |len: usize| {
        Handlers::new().on_json("tool_pre_invoke", move |_, _| async move {
            Ok(PluginResult::modify(json!({"x": "x".repeat(len)})))
        })
    };
    let builder = PluginServer::builder().max_frame_len(8 * 1024 * 1024);
    let builder = builder.plugin("Echo", sized(7 * 1024 * 1024));
    let server = builder.bind_grpc(local()).await.unwrap();
    let answer = Client::to(&server).await.invoke().await;
    assert!(answer.message().len() > 7 * 1024 * 1024);

    let builder = PluginServer::builder().max_frame_len(1000).plugin("Echo", sized(2000));
    let server = builder.bind_grpc(local()).await.unwrap();
    let answer = Client::to(&server).await.invoke().await;
    assert_eq!(error(&hook_reply(answer.message())).code, "INTERNAL_ERROR");

    let builder = PluginServer::builder().max_frame_len(1).plugin("Echo", sized(2000));
    let server = builder.bind_grpc(local()).await.unwrap();
    assert_eq!(Client::to(&server).await.invoke().await.code, 13);
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_until_another_has_ended() {
    let server = echo().bind_grpc(local().max_connections(1)).await.unwrap();
    let first = Client::to(&server).await;
    first.invoke().await.message();
    let second = Client::to(&server).await;
    let waiting = tokio::spawn({
        let second = second.clone();
        async move { second.invoke().await }
    });
    first.invoke().await.message();
    assert_eq!(server.stats().connections, 1);
    drop(first);
    within(waiting).await.unwrap().message();
    assert_eq!(server.stats().connections, 2);
}

#[tokio::test]
async fn a_client_is_told_how_many_calls_it_may_have_at_once() {
    let gate = Gate::new();
    let config = local().max_concurrent_streams(2);
    let server = gate.server().bind_grpc(config).await.unwrap();
    let client = Client::to(&server).await;
    // The server's settings are there with its first answer.
    client.call("/cpex.Health/Check", b"").await.message();
    let calls: Vec<_> = (0..3).map(|_| waiting_call(&client)).collect();
    gate.begun(2).await;
    assert_eq!(gate.begun.available_permits(), 0);
    gate.open.add_permits(3);
    gate.begun(1).await;
    for call in calls {
        within(call).await.unwrap().unwrap().message();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_is_cancelled_and_told_so() {
    let gate = Gate::new();
    let (_server, near) = InMemory::start(gate.server(), Limits::default());
    let client = Client::over(near).await;
    let start = Instant::now();
    let headers = [("grpc-timeout", "1500m")];
    let answer = client.try_call(INVOKE, &headers, &invocation()).await.unwrap();
    assert_eq!(answer.code, 4);
    assert_eq!(start.elapsed().as_millis() / 10, 150);
    gate.gone().await;
    gate.begun(1).await;
    let odd = client.try_call(INVOKE, &[("grpc-timeout", "soon")], &invocation()).await.unwrap();
    assert_eq!(odd.code, 3);
    let late = client.try_call(INVOKE, &[("grpc-timeout", "0S")], &invocation()).await.unwrap();
    assert_eq!((late.code, gate.begun.available_permits()), (4, 0), "it did not begin");
}

#[tokio::test]
async fn a_call_that_its_client_resets_is_cancelled_and_the_connection_goes_on() {
    let gate = Gate::new();
    let server = gate.server().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let call = waiting_call(&client);
    gate.begun(1).await;
    call.abort();
    gate.gone().await;
    gate.open.add_permits(1);
    client.invoke().await.message();
}

#[tokio::test]
async fn the_calls_of_a_client_that_is_gone_are_cancelled() {
    let gate = Gate::new();
    let server = gate.server().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let calls = [waiting_call(&client), waiting_call(&client)];
    gate.begun(2).await;
    drop(client);
    for call in calls {
        call.abort();
        gate.gone().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_calls_is_closed_after_the_idle_timeout() {
    let builder = echo().idle_timeout(Duration::from_secs(50));
    let (server, near) = InMemory::start(builder, Limits::default());
    let client = Client::over(near).await;
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs(30)).await;
    client.try_call(INVOKE, &[], &invocation()).await.unwrap().message();
    client.ended.notified().await;
    assert_eq!(start.elapsed().as_secs(), 80);
    // Its last words may find nobody.
    let _ = server.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_runs_keeps_its_connection() {
    let gate = Gate::new();
    let builder = gate.server().idle_timeout(Duration::from_secs(5));
    let (_server, near) = InMemory::start(builder, Limits::default());
    let client = Client::over(near).await;
    let call = waiting_call(&client);
    tokio::time::sleep(Duration::from_secs(500)).await;
    gate.open.add_permits(1);
    call.await.unwrap().unwrap().message();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_closed() {
    let limits = Limits { handshake_timeout: Duration::from_secs(5), ..Limits::default() };
    let (server, mut near) = InMemory::start(echo(), limits);
    let start = Instant::now();
    let mut said = Vec::new();
    let _ = near.read_to_end(&mut said).await;
    assert_eq!(start.elapsed().as_secs(), 5);
    server.served.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn limits_may_be_so_long_that_they_are_none() {
    let config = local().handshake_timeout(Duration::MAX).transfer_timeout(Duration::MAX);
    let server = echo().idle_timeout(Duration::MAX).bind_grpc(config).await.unwrap();
    let client = Client::to(&server).await;
    client.invoke().await.message();
    drop(client);
    within(server.shutdown(Duration::MAX)).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_gives_its_place_to_another() {
    let config = local().handshake_timeout(Duration::from_millis(300)).max_connections(1);
    let server = echo().bind_grpc(config).await.unwrap();
    let _silent = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    Client::to(&server).await.invoke().await.message();
    assert_eq!(server.stats().connections, 2);
}

/// An endless request of nothing, on a connection that is otherwise well.
#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_come_is_waited_for_no_longer_than_it_may_take() {
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    let limits = Limits { transfer_timeout: Duration::from_secs(50), ..Limits::default() };
    let (_server, near) = InMemory::start(echo(), limits);
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    let nothing = futures::stream::pending::<Result<Frame<Bytes>, io::Error>>();
    let request = Request::post(format!("http://server{INVOKE}"))
        .header("content-type", "application/grpc")
        .body(StreamBody::new(Box::pin(nothing)))
        .unwrap();
    let start = Instant::now();
    let answer = Answer::of(sender.send_request(request).await.unwrap()).await.unwrap();
    assert_eq!((answer.code, start.elapsed().as_secs()), (4, 50));
}
