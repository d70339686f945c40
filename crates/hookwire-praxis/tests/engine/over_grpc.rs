//! The same over gRPC: `config.grpc` in the place of `config.unix_socket`.

use hookwire::server::PluginServer;
use hookwire::server::grpc::GrpcServerConfig;
use serde_json::json;

use crate::script::Script;
use crate::world::{TOOL_PRE, arguments, call, code, started};

#[tokio::test]
async fn an_entry_whose_server_is_reached_over_grpc_is_asked_there() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("grpc.sock");
    let script = Script::on(["tool_pre_invoke"]);
    let config = GrpcServerConfig::unix(&socket).plaintext(true);
    let _server =
        PluginServer::builder().plugin("Guard", script.clone()).bind_grpc(config).await.unwrap();
    let entry = json!({
        "name": "Guard", "kind": "external", "hooks": [TOOL_PRE],
        "config": {"grpc": {"uds": socket}},
    });
    let engine = started(json!([entry])).await;
    let result = call(&engine, json!({"n": 3})).await;
    assert_eq!(code(&result), None);
    assert_eq!(arguments(&result), json!({"n": 3}));
    let denied = call(&engine, json!({"answer": {"continue_processing": false}})).await;
    assert_eq!(code(&denied), Some("plugin_deny"));
    assert_eq!(script.seen().len(), 2);
}
