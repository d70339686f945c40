//! What is the same, and what is not, for a plugin that is reached over gRPC: nothing here needs
//! a server.

use std::io;

use serde_json::json;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::{PluginHandle, PluginHandleBuilder};
use crate::config::{GrpcConfig, PluginConfig};
use crate::error::{ErrorKind, Sent};
use crate::model::PluginContext;
use crate::test_log::Log;

fn config() -> PluginConfig {
    let grpc = GrpcConfig::builder().targets(["127.0.0.1:1", "[::1]:2"]).max_message_len(2048);
    PluginConfig::builder("Guard").hook("tool_pre_invoke").grpc(grpc).build().unwrap()
}

fn with_connector() -> PluginHandleBuilder {
    PluginHandle::builder(config())
        .connector(|| async { Err::<tokio::io::DuplexStream, _>(io::ErrorKind::Other.into()) })
}

/// More than the limit.
fn large() -> serde_json::Value {
    json!({"name": "x".repeat(4096)})
}

#[tokio::test]
async fn a_connector_is_refused_by_name_wherever_the_handle_is_used() {
    let told = "plugin `Guard` at 127.0.0.1:1, [::1]:2: the handle has a `connector`, which opens sockets, and the plugin is reached over gRPC; make it without one, or give the plugin a `unix_socket`";
    let error = with_connector().connect().await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Config, "connector_over_grpc"));
    assert_eq!(error.to_string(), told);

    let handle = with_connector().connect_lazy();
    let mut context = PluginContext::new("r");
    let called = handle.invoke_hook_json("tool_pre_invoke", &json!({}), &mut context).await;
    let called = called.unwrap_err();
    assert_eq!(called.to_string(), format!("{told} [not sent: the hook did not run]"));
    assert_eq!(handle.verify().await.unwrap_err().reason(), "connector_over_grpc");
    assert_eq!(handle.plugin_config().await.unwrap_err().reason(), "connector_over_grpc");
    assert!(!called.is_retryable() && handle.is_refused());
}

#[tokio::test]
async fn a_connectors_generation_alone_is_refused_too() {
    let builder = PluginHandle::builder(config()).connector_generation(|| 7);
    assert_eq!(builder.connect().await.unwrap_err().reason(), "connector_over_grpc");
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_not_sent_and_names_the_limit_of_this_transport() {
    let handle = PluginHandle::builder(config()).connect_lazy();
    let mut context = PluginContext::new("r");
    let called = handle.invoke_hook_json("tool_pre_invoke", &large(), &mut context).await;
    let error = called.unwrap_err();
    assert_eq!((error.reason(), error.sent()), ("request_too_large", Sent::No));
    assert!(error.to_string().contains("the limit is 2048; send less, or raise `max_message_len`"));
    assert_eq!(error.endpoint().to_string(), "127.0.0.1:1, [::1]:2");
    assert_eq!(error.endpoint().path(), None);
    assert_eq!(handle.stats().refused, 1);
}

#[tokio::test]
async fn spans_name_the_targets_in_the_documented_field() {
    let (log, _logging) = Log::start_with(LevelFilter::DEBUG, FmtSpan::CLOSE);
    let handle = PluginHandle::builder(config()).connect_lazy();
    let mut context = PluginContext::new("r");
    handle.invoke_hook_json("tool_pre_invoke", &large(), &mut context).await.unwrap_err();
    let spans = log.lines_with("invoke_hook{plugin=Guard socket=127.0.0.1:1, [::1]:2 hook=");
    assert!(!spans.is_empty(), "{}", log.text());
}

#[tokio::test]
async fn debug_output_of_a_handle_names_the_targets() {
    let handle = PluginHandle::builder(config()).connect_lazy();
    assert!(format!("{handle:?}").contains("127.0.0.1:1"), "{handle:?}");
}

#[tokio::test]
async fn a_handle_that_is_shut_down_ends_and_takes_no_calls() {
    let handle = PluginHandle::builder(config()).connect_lazy();
    let weak = handle.downgrade();
    handle.shutdown(std::time::Duration::ZERO).await;
    let mut context = PluginContext::new("r");
    let called = handle.invoke_hook_json("tool_pre_invoke", &json!({}), &mut context).await;
    assert_eq!(called.unwrap_err().kind(), ErrorKind::Closed);
    drop(handle);
    assert!(weak.is_final());
}
