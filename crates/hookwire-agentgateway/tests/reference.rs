//! The bridge, over the reference server and its plugins in Python.
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

#[path = "../../../tests/common"]
#[allow(dead_code, unused_imports, unexpected_cfgs)]
mod common {
    pub(crate) mod reference;
}

use std::time::Duration;

use common::reference::ReferenceServer;
use hookwire::PluginConfig;
use hookwire_agentgateway::Bridge;
use hookwire_agentgateway::proto::authorization_error::Code;
use hookwire_agentgateway::proto::ext_mcp_server::ExtMcp;
use hookwire_agentgateway::proto::mcp_request_result::Result as Checked;
use hookwire_agentgateway::proto::mcp_response_result::Result as CheckedResult;
use hookwire_agentgateway::proto::{McpRequest, McpRequestResult, McpResponse};
use hookwire_gateway::Gateway;
use serde_json::{Value, json};
use tonic::Request;

/// A bridge to this plugin of the server's.
async fn bridge(server: &ReferenceServer, plugin: &str) -> Bridge {
    let entry = json!({"name": plugin, "unix_socket": {"path": server.socket()}});
    let entry: PluginConfig = serde_json::from_value(entry).unwrap();
    let (gateway, _) = Gateway::builder().start([entry]).await.unwrap();
    Bridge::new(gateway, Duration::from_secs(60))
}

async fn ask(bridge: &Bridge, method: &str, params: &str) -> McpRequestResult {
    let request = McpRequest {
        service_names: vec!["files".to_owned()],
        method: method.to_owned(),
        mcp_request: Some(params.to_owned().into()),
        ..Default::default()
    };
    bridge.check_request(Request::new(request)).await.unwrap().into_inner()
}

/// What becomes of the result of an answered request; `None` if it passes.
async fn result(
    bridge: &Bridge,
    method: &str,
    answered: McpRequestResult,
    result: &str,
) -> Option<Value> {
    let response = McpResponse {
        service_names: vec!["files".to_owned()],
        method: method.to_owned(),
        metadata_context: answered.metadata,
        mcp_response: result.to_owned().into(),
    };
    let answer = bridge.check_response(Request::new(response)).await.unwrap().into_inner();
    match answer.result.unwrap() {
        CheckedResult::Pass(_) => None,
        CheckedResult::Mutated(json) => Some(serde_json::from_slice(&json).unwrap()),
        CheckedResult::Error(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn every_method_comes_back_with_what_a_plugin_in_python_changed() {
    let Some(server) = ReferenceServer::shared() else { return };
    let bridge = bridge(server, "Transform").await;
    for (method, params, changed, text, expected) in [
        (
            "tools/call",
            r#"{"_meta":{"t":1.0},"name":"search","arguments":{"n":3,"f":2.50,"q":"hi"}}"#,
            Some(r#"{"_meta":{"t":1.0},"name":"search","arguments":{"n":3,"f":2.50,"q":"HI"}}"#),
            r#"{"content":[{"type":"text","text":"hi"}],"isError":false}"#,
            json!({"content": [{"type": "TEXT", "text": "HI"}], "isError": false}),
        ),
        (
            "prompts/get",
            r#"{"name":"greet","arguments":{"who":"ada"}}"#,
            Some(r#"{"name":"greet","arguments":{"who":"ADA"}}"#),
            r#"{"messages":[{"role":"user","content":{"text":"hi"}}],"description":"d"}"#,
            json!({"messages": [{"role": "USER", "content": {"text": "HI"}}], "description": "D"}),
        ),
        (
            "resources/read",
            r#"{"uri":"file:///a"}"#,
            None,
            r#"{"contents":[{"uri":"file:///a","text":"hi"},{"uri":"b","text":"ho"}],"x":1}"#,
            json!({"contents": [{"uri": "FILE:///A", "text": "HI"}, {"uri": "B", "text": "HO"}], "x": 1}),
        ),
    ] {
        let mut answered = ask(&bridge, method, params).await;
        match (answered.result.take().unwrap(), changed) {
            (Checked::Pass(_), None) => {}
            (Checked::Mutated(json), Some(changed)) => assert_eq!(json, changed, "{method}"),
            (other, _) => panic!("{method}: {other:?}"),
        }
        assert_eq!(result(&bridge, method, answered, text).await, Some(expected), "{method}");
    }
}

#[tokio::test]
async fn a_denial_in_python_has_its_code_and_the_words_for_the_client() {
    let Some(server) = ReferenceServer::shared() else { return };
    let bridge = bridge(server, "Deny").await;
    let answered = ask(&bridge, "tools/call", r#"{"name":"search"}"#).await;
    let Some(Checked::Error(error)) = answered.result else { panic!("{answered:?}") };
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(error.reason, "the fixture refuses every call");
    let told: Value = serde_json::from_slice(&error.mcp_error.unwrap()).unwrap();
    assert_eq!(
        told,
        json!({
            "code": -32001, "message": "the fixture refuses every call",
            "data": {"code": "FIXTURE_DENIED", "http_status": 429, "http_headers": {"Retry-After": "7"}},
        })
    );
    assert!(answered.metadata.is_none());
}
