//! What is answered.

use super::*;
use crate::server::HandlerError;
use crate::server::tests::{error, result};
use crate::wire::proto::{GetPluginConfigRequest, InvokeHookRequest};
use crate::{PluginViolation, server::PluginInfo};

/// All verdicts, by the tool's name.
fn verdicts() -> PluginServerBuilder {
    let handlers = Handlers::new().on::<ToolPreInvoke>(|payload, _| async move {
        Ok(match &*payload.name {
            "deny" => PluginResult::deny(PluginViolation::new("NO").with_reason("no")),
            "raise" => return Err(HandlerError::new("it raised").with_code("RAISED")),
            "panic" => panic!("it panicked"),
            "modify" => PluginResult::modify(payload),
            _ => PluginResult::allow(),
        })
    });
    PluginServer::builder().plugin(PluginInfo::new("Echo").with_priority(7), handlers)
}

/// The Unix socket's answers have tests of their own.
#[tokio::test]
async fn every_answer_is_that_of_the_unix_socket() {
    let over_unix = verdicts().build().unwrap();
    let server = verdicts().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let mut requests: Vec<InvokeHookRequest> = ["allow", "deny", "raise", "panic", "modify"]
        .map(|name| request(json!({"name": name, "args": {"a": 1, "b": [true, null]}})))
        .into();
    requests.push(InvokeHookRequest { plugin_name: "Nope".into(), ..requests[0].clone() });
    requests.push(InvokeHookRequest { plugin_name: "echo".into(), ..requests[0].clone() });
    requests.push(InvokeHookRequest { hook_type: "unknown".into(), ..requests[0].clone() });
    requests.push(request(json!({"name": 7})));
    for request in requests {
        let message = request.encode_to_vec();
        let expected = &over_unix.answer(&message).await.unwrap()[4..];
        assert_eq!(client.call(INVOKE, &message).await.message(), expected, "{request:?}");
    }
    for name in ["Echo", "eCHO", "Nope"] {
        let message = GetPluginConfigRequest { name: name.into() }.encode_to_vec();
        let expected = &over_unix.answer(&message).await.unwrap()[4..];
        let answer = client.call("/cpex.PluginService/GetPluginConfig", &message).await;
        assert_eq!(answer.message(), expected, "{name}");
    }
    let expected = &over_unix.answer(b"").await.unwrap()[4..];
    let answer = client.call("/cpex.PluginService/GetPluginConfigs", b"").await;
    assert_eq!(answer.message(), expected);
    assert_eq!(server.stats().requests, 9 + 3 + 1);
}

#[tokio::test]
async fn a_payload_comes_back_as_it_went() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let payload = json!({"name": "tool", "args": {"text": "x".repeat(100_000)}});
    let message = request(payload.clone()).encode_to_vec();
    let reply = hook_reply(client.call(INVOKE, &message).await.message());
    assert!(result(&reply)["modified_payload"]["args"] == payload["args"]);
}

/// As the reference answers it; on the Unix socket it would be another kind of request.
#[tokio::test]
async fn a_call_without_names_is_a_hook_that_is_not_found() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let answer = Client::to(&server).await.call(INVOKE, b"").await;
    let reply = hook_reply(answer.message());
    assert!(error(&reply).message.starts_with("Unable to find"), "{reply:?}");
    assert_eq!(reply.plugin_name, "");
}

#[tokio::test]
async fn what_is_no_request_is_told_by_the_status_and_the_connection_goes_on() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let mut too_deep = json!({"name": "tool"});
    for _ in 0..60 {
        too_deep = json!({"name": "tool", "args": {"x": too_deep}});
    }
    let too_deep = request(too_deep).encode_to_vec();
    for (path, message) in [
        (INVOKE, &b"\x0a\x05x"[..]),
        (INVOKE, b"\x0a\x01\xff\x12\x01x"),
        (INVOKE, &too_deep),
        ("/cpex.PluginService/GetPluginConfig", b"\xff"),
        ("/cpex.Health/Check", b"\xff"),
        ("/grpc.health.v1.Health/Check", b"\xff"),
        ("/grpc.health.v1.Health/Watch", b"\xff"),
    ] {
        let answer = client.call(path, message).await;
        assert_eq!((answer.code, answer.messages.len()), (3, 0), "{path}: {}", answer.reason);
        assert!(answer.reason.contains("the request is no "), "{}", answer.reason);
    }
    client.invoke().await.message();
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    for path in [
        "/cpex.PluginService/Nope",
        "/cpex.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/",
    ] {
        let answer = client.call(path, b"").await;
        assert_eq!((answer.code, &*answer.reason), (12, "Method not found!"), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_grpc_is_told_in_http() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let get = Request::get(format!("http://server{INVOKE}")).body(Full::default()).unwrap();
    let answered = within(client.sender.clone().send_request(get)).await.unwrap();
    assert_eq!(answered.status(), StatusCode::METHOD_NOT_ALLOWED);
    let json = Request::post(format!("http://server{INVOKE}"))
        .header("content-type", "application/json")
        .body(Full::from("{}"))
        .unwrap();
    let answered = within(client.sender.clone().send_request(json)).await.unwrap();
    assert_eq!(answered.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn calls_of_one_connection_run_beside_each_other() {
    let gate = Gate::new();
    let server = gate.server().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let calls: Vec<_> = (0..20).map(|_| waiting_call(&client)).collect();
    gate.begun(20).await;
    gate.open.add_permits(20);
    for call in calls {
        within(call).await.unwrap().unwrap().message();
    }
}

#[tokio::test]
async fn a_unix_socket_serves_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let server = echo().bind_grpc(GrpcServerConfig::unix(&path)).await.unwrap();
    assert_eq!((server.socket_path(), server.local_addr()), (Some(&*path), None));
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    Client::over(stream).await.invoke().await.message();
    within(server.shutdown(LIMIT)).await;
    assert!(!path.exists());
}

// Promise: P4
#[tokio::test]
async fn a_user_that_may_not_call_is_closed_before_a_byte_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let builder = echo().peer_uids([u32::MAX - 1]);
    let _server = builder.bind_grpc(GrpcServerConfig::unix(&path)).await.unwrap();
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let read = within(tokio::io::AsyncReadExt::read_u8(&mut stream)).await;
    assert!(read.is_err());
}

/// Its locals are dropped where it waits: by its call's time, and by its client's reset.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_panics_when_it_is_cancelled_costs_its_own_call_only() {
    struct Panics(Arc<Semaphore>);

    impl Drop for Panics {
        fn drop(&mut self) {
            self.0.add_permits(1);
            panic!("it does not want to go");
        }
    }

    let gate = Gate::new();
    let shared = gate.clone();
    let handlers = Handlers::new().on::<ToolPreInvoke>(move |payload, _| {
        let gate = shared.clone();
        async move {
            if &*payload.name == "wait" {
                let _panics = Panics(gate.gone);
                gate.begun.add_permits(1);
                std::future::pending::<()>().await;
            }
            Ok(PluginResult::allow())
        }
    });
    let builder = PluginServer::builder().plugin("Echo", handlers);
    let (server, near) = InMemory::start(builder, Limits::default());
    let client = Client::over(near).await;
    let message = request(json!({"name": "wait"})).encode_to_vec();
    // Whatever it ends in.
    let _ = client.try_call(INVOKE, &[("grpc-timeout", "1S")], &message).await;
    gate.gone().await;
    client.invoke().await.message();

    gate.begun(1).await;
    let resets = client.clone();
    let call = tokio::spawn(async move { resets.try_call(INVOKE, &[], &message).await });
    gate.begun(1).await;
    call.abort();
    gate.gone().await;
    client.invoke().await.message();
    server.holds_nothing().await;
}
