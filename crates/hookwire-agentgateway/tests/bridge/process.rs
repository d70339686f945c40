//! The program itself.

use std::path::Path;
use std::process::Stdio;

use hookwire::PluginResult;
use hookwire::server::{Handlers, PluginServer};
use hookwire_agentgateway::MAX_MESSAGE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::client::{Answer, Client, in_time, request};

struct Program {
    child: Child,
    address: String,
}

fn program(dir: &Path, listen: &str) -> Command {
    let plugins = dir.join("plugins.yaml");
    let entry = "plugins:\n  - name: Guard\n    kind: external\n    unix_socket: {path: \
                 \"{{ env.GUARD }}\"}\n";
    std::fs::write(&plugins, entry).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookwire-agentgateway"));
    command.arg("--config").arg(plugins).args(["--listen", listen]);
    command.env("GUARD", dir.join("guard.sock"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn start(dir: &Path, listen: &str) -> Program {
    let mut child = program(dir, listen).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = in_time(lines.next_line()).await.unwrap().unwrap_or_default();
    let address = line.strip_prefix("listening on ").expect("it does not listen").to_owned();
    Program { child, address }
}

#[tokio::test]
async fn told_to_end_it_answers_what_it_has_and_leaves_no_socket_behind() {
    let dir = tempfile::tempdir().unwrap();
    // A call that lasts until the test says so.
    let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, goes_on) = (Arc::clone(&began), Arc::clone(&go_on));
    let guard = Handlers::new().on_json("tool_pre_invoke", move |_, _| {
        let (begins, goes_on) = (Arc::clone(&begins), Arc::clone(&goes_on));
        async move {
            begins.notify_one();
            goes_on.notified().await;
            Ok(PluginResult::<Value>::allow())
        }
    });
    let server = PluginServer::builder().plugin("Guard", guard);
    let _server = server.bind(dir.path().join("guard.sock")).await.unwrap();

    let socket = dir.path().join("bridge.sock");
    let mut program = start(dir.path(), &format!("unix:{}", socket.display())).await;
    let client = Client::connect(socket.clone()).await;
    let call = tokio::spawn(async move {
        client.try_request(request("tools/call", r#"{"name":"search"}"#)).await
    });
    in_time(began.notified()).await;
    let pid = i32::try_from(program.child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    // It listens no more, and still has the call. A file that is gone tells that it was told.
    in_time(async {
        while socket.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    go_on.notify_one();
    assert_eq!(in_time(call).await.unwrap().unwrap().answer, Answer::Pass);
    assert!(in_time(program.child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_message_that_is_too_large_to_be_read_gets_a_status_and_the_next_one_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    let guard = Handlers::new()
        .on_json("tool_pre_invoke", |_, _| async { Ok(PluginResult::<Value>::allow()) });
    let server = PluginServer::builder().plugin("Guard", guard);
    let _server = server.bind(dir.path().join("guard.sock")).await.unwrap();
    // Over a port, which it tells where it may choose.
    let program = start(dir.path(), "127.0.0.1:0").await;
    let client = Client::to_port(&program.address).await;
    let large = request("tools/call", &" ".repeat(MAX_MESSAGE));
    let status = client.try_request(large).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status}");
    let answered = client.request("tools/call", r#"{"name":"search"}"#).await;
    assert_eq!(answered.answer, Answer::Pass);
}

#[tokio::test]
async fn it_listens_nowhere_that_others_could_reach() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = program(dir.path(), "0.0.0.0:9001").spawn().unwrap();
    let mut said = String::new();
    in_time(child.stderr.take().unwrap().read_to_string(&mut said)).await.unwrap();
    assert!(!in_time(child.wait()).await.unwrap().success());
    assert!(said.contains("not a loopback address"), "{said}");
}
