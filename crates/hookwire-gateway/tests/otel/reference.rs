//! A plugin in Python on the reference server.

use hookwire::PluginHandle;
use hookwire::hooks::ToolPreInvoke;
use hookwire_gateway::{Chain, RequestContext};
use serde_json::json;

use crate::collector::Collector;
use crate::common::reference::ReferenceServer;
use crate::common::reference::calls::{config, tool};

/// It tells what it saw in the result's metadata.
#[tokio::test]
async fn a_plugin_in_python_reads_the_trace_in_its_contexts_metadata() {
    let Some(server) = ReferenceServer::shared() else { return };
    let collector = Collector::start();
    let keeper = PluginHandle::connect(config(server, "ContextKeeper")).await.unwrap();
    let chain = Chain::builder().plugin(keeper).build().unwrap();
    let mut request = RequestContext::new("request-1");
    let passed = chain.run::<ToolPreInvoke>(tool(json!({})), &mut request).await.unwrap();
    let call = collector.span("ContextKeeper/tool_pre_invoke");
    let traceparent = format!("00-{}-{}-01", call.trace, call.id);
    let seen = &passed.report().metadata()["global_metadata"];
    assert_eq!(*seen, json!({"traceparent": traceparent}));
}
