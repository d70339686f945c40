//! What a gateway's logs get to see: every call and every change of state, and
//! nothing of what the calls carry.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "common/log.rs"]
mod log;

use std::time::Duration;

use fault_server::{FaultServer, Reply};
use hookwire::hooks::{
    IdentityResolve, IdentityResolvePayload, ToolPreInvoke, ToolPreInvokePayload,
};
use hookwire::server::{HandlerError, Handlers, PluginServer};
use hookwire::{
    BigIntegers, BreakerState, CallOptions, CallPolicy, PluginConfig, PluginContext, PluginHandle,
    PluginResult, PluginViolation, Stopped, UnixSocketConfig,
};
use log::Log;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

const SECRET: &str = "hunter2";

/// Everything that is traced while `work` runs, on one thread.
fn traced(work: impl Future<Output = ()>) -> Vec<String> {
    let (log, logging) = Log::start_with(LevelFilter::TRACE, FmtSpan::CLOSE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work);
    drop((runtime, logging));
    log.lines()
}

fn plugin() -> Handlers {
    Handlers::new()
        .on::<ToolPreInvoke>(|payload, mut context| async move {
            context.state.insert("kept".to_owned(), SECRET.into());
            match payload.name.as_str() {
                "deny" => Ok((
                    PluginResult::deny(
                        PluginViolation::new("NO").with_reason(SECRET).with_description(SECRET),
                    ),
                    context,
                )),
                "fail" => Err(HandlerError::new(format!("cannot take {SECRET}"))),
                _ => Ok((PluginResult::modify(payload), context)),
            }
        })
        .on::<IdentityResolve>(|_payload, _context| async move { Ok(PluginResult::allow()) })
}

/// A hook whose result is never good enough.
enum Picky {}

impl hookwire::Hook for Picky {
    const NAME: &'static str = "tool_pre_invoke";
    type Payload = ToolPreInvokePayload;
    type Modified = Refused;
}

#[derive(Debug)]
struct Refused;

impl<'de> serde::Deserialize<'de> for Refused {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format_args!("cannot take {value}")))
    }
}

async fn connected(socket: &std::path::Path) -> (PluginServer, PluginHandle) {
    let server = PluginServer::builder().plugin("Guard", plugin()).bind(socket).await.unwrap();
    let config = PluginConfig::builder("Guard").socket(socket).build().unwrap();
    (server, PluginHandle::connect(config).await.unwrap())
}

#[test]
fn a_call_is_a_span_that_says_where_it_went_and_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let lines = traced(async {
        let (_server, guard) = connected(&socket).await;
        let mut context = PluginContext::new("request-7");
        for name in ["allow", "deny", "fail"] {
            let payload = ToolPreInvokePayload::new(name);
            let _ = guard.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
        }
    });
    let closed: Vec<_> = lines.iter().filter(|line| line.contains("close")).collect();
    assert_eq!(closed.len(), 3, "{lines:#?}");
    for (line, outcome) in closed.iter().zip(["allowed", "denied", "plugin_error"]) {
        let path = format!("socket={}", socket.display());
        let parts = ["plugin=Guard", &path, "hook=\"tool_pre_invoke\"", "request_id=request-7"];
        for part in parts.into_iter().chain(["attempt=1", "duration_us="]) {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
        assert!(line.contains(&format!("outcome=\"{outcome}\"")), "{line}");
    }
}

#[test]
fn h34_a_denial_beside_an_error_is_traced_as_a_denial() {
    let lines = traced(async {
        let server = FaultServer::start(|mut connection| async move {
            let call = connection.hook().await?;
            let mut denial = Reply::denial(&call);
            denial.0.error = Reply::error(&call, SECRET).0.error;
            connection.reply(denial).await?;
            connection.serve().await
        });
        let config = PluginConfig::builder("Guard").socket(server.path()).build().unwrap();
        let guard = PluginHandle::connect_lazy(config);
        let mut context = PluginContext::new("request-7");
        let payload = ToolPreInvokePayload::new("tool");
        let denied = guard.enforce::<ToolPreInvoke>(payload, &mut context).await;
        assert!(matches!(denied, Err(Stopped::Denied(_))), "{denied:?}");
    });
    let closed: Vec<_> = lines.iter().filter(|line| line.contains("close")).collect();
    assert_eq!(closed.len(), 1, "{lines:#?}");
    assert!(closed[0].contains("outcome=\"denied\""), "{closed:?}");
    assert!(!lines.iter().any(|line| line.contains(SECRET)), "{lines:#?}");
}

#[test]
fn what_came_over_as_something_else_is_traced() {
    let lines = traced(async {
        let server = FaultServer::honest();
        let policy = CallPolicy::builder().big_integers(BigIntegers::Round);
        let config = PluginConfig::builder("Guard").socket(server.path()).policy(policy);
        let guard = PluginHandle::connect_lazy(config.build().unwrap());
        for integer in [7, u64::MAX] {
            let payload = ToolPreInvokePayload::new("tool").with_arg("id", integer);
            let mut context = PluginContext::new("request-7");
            let call = guard.enforce::<ToolPreInvoke>(payload, &mut context).await;
            assert!(call.is_ok(), "{call:?}");
        }
    });
    let closed: Vec<_> = lines.iter().filter(|line| line.contains("close")).collect();
    assert_eq!(closed.len(), 2, "{lines:#?}");
    for (line, is_exact) in closed.iter().zip([true, false]) {
        assert_eq!(!line.contains("inexact=true"), is_exact, "{line}");
    }
    let told = lines.iter().filter(|line| line.contains("sent inexactly"));
    assert_eq!(told.count(), 1, "{lines:#?}");
}

#[test]
fn no_payload_no_context_and_no_secret_is_ever_traced() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let mut debug = String::new();
    let lines = traced(async {
        let (server, guard) = connected(&socket).await;
        let mut context = PluginContext::new("request-1");
        context.metadata.insert("token".to_owned(), SECRET.into());
        for name in ["allow", "deny", "fail"] {
            let payload = ToolPreInvokePayload::new(name).with_arg("password", SECRET);
            let outcome = guard.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
            debug += &format!("{payload:?} {outcome:?} {context:?}\n");
        }
        let identity = IdentityResolvePayload::new(SECRET);
        let outcome = guard.invoke_hook::<IdentityResolve>(&identity, &mut context).await;
        debug += &format!("{identity:?} {outcome:?} {guard:?}\n");
        // A reply that cannot be read as the type that was asked for.
        struct Wrong;
        impl hookwire::Hook for Wrong {
            const NAME: &'static str = "tool_pre_invoke";
            type Payload = ToolPreInvokePayload;
            type Modified = Vec<u8>;
        }
        let payload = ToolPreInvokePayload::new(SECRET);
        let error = guard.invoke_hook::<Wrong>(&payload, &mut context).await.unwrap_err();
        assert_eq!(error.reason(), "undecodable");
        debug += &format!("{error:?} {error}\n");
        // One whose own words quote what it refuses.
        let error = guard.invoke_hook::<Picky>(&payload, &mut context).await.unwrap_err();
        assert_eq!(error.reason(), "wrong_type");
        assert!(error.to_string().contains(SECRET), "its words are its own: {error}");
        debug += &format!("{error:?}\n");
        server.kill().await;
        let payload = ToolPreInvokePayload::new("allow").with_arg("password", SECRET);
        let error = guard.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap_err();
        debug += &format!("{error:?} {error}\n");
        guard.shutdown(Duration::from_secs(1)).await;
    });
    assert!(lines.len() > 10, "the log is there: {lines:#?}");
    for line in lines.iter().map(String::as_str).chain(debug.lines()) {
        assert!(!line.contains(SECRET), "{line}");
    }
}

// Promise: P4
#[test]
fn refused_clients_are_one_line_in_a_second_that_counts_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let uid = rustix::process::geteuid().as_raw();
    let lines = traced(async {
        let builder = PluginServer::builder().plugin("Guard", plugin()).peer_uids([uid + 1]);
        let server = builder.bind(&socket).await.unwrap();
        // Only moved by hand: nothing here waits for a time.
        tokio::time::pause();
        for (clients, then) in [(50, 999), (50, 1), (50, 1000), (1, 0)] {
            for _ in 0..clients {
                let mut client = UnixStream::connect(&socket).await.unwrap();
                assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
            }
            tokio::time::advance(Duration::from_millis(then)).await;
        }
        drop(server);
    });
    let told: Vec<_> = lines.iter().filter(|line| line.contains("a client was refused")).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    for (line, untold) in told.iter().zip(["untold=0", "untold=99", "untold=49"]) {
        assert!(line.contains(" WARN ") && line.contains(untold), "{untold}: {line}");
    }
}

// Promise: P4
#[test]
fn a_refused_peer_is_told_to_the_log_with_what_was_found_and_expected() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let uid = rustix::process::geteuid().as_raw();
    let lines = traced(async {
        let builder = PluginServer::builder().plugin("Guard", plugin()).peer_uids([uid + 1]);
        let server = builder.bind(&socket).await.unwrap();
        for trusted in [uid, uid + 2] {
            let socket = UnixSocketConfig::builder(&socket).peer_uids([trusted]);
            let config = PluginConfig::builder("Guard").unix_socket(socket).build().unwrap();
            let mut context = PluginContext::new("request-1");
            let payload = ToolPreInvokePayload::new(SECRET);
            let guard = PluginHandle::connect_lazy(config);
            guard.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap_err();
        }
        server.shutdown(Duration::from_secs(1)).await;
    });
    let told = |what: &str, of: u32| {
        let refusal = format!("the other side is user {uid}, expected {of} (`peer_uids`)");
        lines.iter().any(|line| line.contains(what) && line.contains(&refusal))
    };
    assert!(told("WARN hookwire::server::listener: a client was refused", uid + 1), "{lines:#?}");
    assert!(told("plugin is down", uid + 2), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains(SECRET)), "{lines:#?}");
}

/// Where the one line is that has this text.
fn only_line_with(lines: &[String], text: &str) -> usize {
    let found: Vec<_> = (0..lines.len()).filter(|&i| lines[i].contains(text)).collect();
    assert_eq!(found.len(), 1, "{text}: {lines:#?}");
    found[0]
}

#[test]
fn a_plugin_that_goes_down_and_comes_back_is_a_few_lines_at_info_and_none_at_warn() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugin.sock");
    let lines = traced(async {
        let (server, guard) = connected(&socket).await;
        let payload = ToolPreInvokePayload::new("allow");
        let mut context = PluginContext::new("request-1");
        assert!(
            guard.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.unwrap().is_allowed()
        );
        server.kill().await;
        for _ in 0..50 {
            let _ = guard.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
        }
        let server = PluginServer::builder().plugin("Guard", plugin()).bind(&socket).await.unwrap();
        while guard.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await.is_err() {
            tokio::task::yield_now().await;
        }
        server.shutdown(Duration::from_secs(1)).await;
    });
    let level = |level: &str| lines.iter().filter(|line| line.contains(level)).count();
    assert_eq!((level(" WARN "), level("ERROR ")), (0, 0), "{lines:#?}");
    let info: Vec<_> = lines.iter().filter(|line| line.contains(" INFO ")).collect();
    let only = |text: &str| only_line_with(&lines, text);
    let opened = only(" INFO hookwire::breaker::gate: breaker opened, plugin is down");
    let closed = only(" INFO hookwire::breaker::gate: breaker closed, plugin is back");
    assert!(opened < closed, "{info:#?}");
    for part in ["plugin=Guard", "reason=", "Connection refused"] {
        assert!(lines[opened].contains(part), "{part} is missing in {}", lines[opened]);
    }
    assert!(info.iter().any(|line| line.contains("to=\"ready\"")), "{info:#?}");
    assert!(info.len() <= 8, "one line for each change: {info:#?}");
}

#[test]
fn a_plugin_that_falls_silent_is_told_with_the_reason_its_trials_and_its_return() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.sock");
    let lines = traced(async {
        let silent = Handlers::new().on::<ToolPreInvoke>(|payload, _| async move {
            if payload.name == "ignored" {
                std::future::pending::<()>().await;
            }
            Ok(PluginResult::allow())
        });
        let server = PluginServer::builder().plugin("Guard", silent).bind(&path).await.unwrap();
        let socket = UnixSocketConfig::builder(&path)
            .stall_limit(Duration::from_millis(40))
            .reconnect_attempts(1_000_000);
        let policy = CallPolicy::builder()
            .timeout(Duration::from_millis(100))
            .breaker_threshold(2)
            .breaker_max_open(Duration::from_millis(40));
        let config = PluginConfig::builder("Guard").unix_socket(socket).policy(policy);
        let config = config.build().unwrap();
        let guard = PluginHandle::connect(config).await.unwrap();
        let call = async |name, timeout| {
            let payload = ToolPreInvokePayload::new(name);
            let mut context = PluginContext::new("request-1");
            let options = CallOptions::new().timeout(Duration::from_millis(timeout));
            guard.with(options).invoke_hook::<ToolPreInvoke>(&payload, &mut context).await
        };
        while guard.breaker() == BreakerState::Closed {
            call("ignored", 100).await.unwrap_err();
        }
        while call("answered", 20_000).await.is_err() {
            tokio::task::yield_now().await;
        }
        server.shutdown(Duration::ZERO).await;
    });
    let of = |text: &str| format!("hookwire::breaker::gate: breaker{text}");
    let opened = only_line_with(&lines, &of(" opened, plugin is down"));
    let closed = only_line_with(&lines, &of(" closed, plugin is back"));
    let reason = "reason=the plugin does not answer";
    assert!(lines[opened].contains(reason), "{}", lines[opened]);
    // The trial that brought it back is the last change before that.
    let change = of(" ");
    let trial = lines[opened..closed].iter().rfind(|line| line.contains(&change)).unwrap();
    for part in [" DEBUG ", "plugin=Guard", "from=\"open\"", "to=\"half_open\""] {
        assert!(trial.contains(part), "{part} is missing in {trial}");
    }
}
