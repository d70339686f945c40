//! A chain of all the plugins that other people have published and that our tests know, on the
//! reference server.
// Test code throughout; clippy's own exception covers `#[test]` functions only, not their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../../tests/common"]
#[allow(dead_code, unused_imports, unexpected_cfgs)]
#[allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
mod common {
    pub(crate) mod reference;
}

use common::reference::ReferenceServer;
use hookwire::hooks::{
    PromptPostFetch, PromptPostFetchPayload, PromptPreFetch, PromptPreFetchPayload,
    ResourcePostFetch, ResourcePostFetchPayload, ResourcePreFetch, ResourcePreFetchPayload,
    ToolPostInvoke, ToolPostInvokePayload, ToolPreInvoke, ToolPreInvokePayload,
};
use hookwire::{GlobalContext, PluginConfig, Plugins};
use hookwire_gateway::{Chain, Record, Report, RequestContext, Status};
use serde_json::{Value, json};

const MAIL: &str = "ada@example.org";

/// Guards come before those that rewrite, so that they judge what the client sent.
const PLUGINS: [(&str, &str); 9] = [
    ("Rate", "sequential"),
    ("Sql", "sequential"),
    ("Secrets", "sequential"),
    ("Exfil", "sequential"),
    ("Url", "sequential"),
    ("Telve", "sequential"),
    ("Pii", "sequential"),
    ("Length", "transform"),
    ("Retry", "transform"),
];

async fn chain(server: &ReferenceServer) -> Chain {
    let entries = PLUGINS.iter().enumerate().map(|(priority, (name, mode))| {
        let entry = json!({
            "name": name, "kind": "external", "mode": mode, "priority": priority,
            "unix_socket": {"path": server.socket()},
        });
        PluginConfig::from_value(entry).unwrap()
    });
    let (plugins, _) = Plugins::builder().plugins(entries).connect().await.unwrap();
    Chain::builder().plugins(plugins.handles()).build().unwrap()
}

fn request() -> RequestContext {
    GlobalContext::new("request-1").with_user("ada").into()
}

/// Those that gave a verdict, in their order; with a star those that changed the payload.
fn asked(report: &Report) -> Vec<String> {
    let asked = report.records().iter().filter(|record| record.status == Status::Completed);
    let told = |record: &Record| {
        let star = if record.modified { "*" } else { "" };
        format!("{}{star}", record.plugin)
    };
    asked.map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_passes_through_all_of_them_from_hook_to_hook() {
    let Some(server) = ReferenceServer::published() else { return };
    let chain = chain(&server).await;
    let mut request = request();

    let prompt = PromptPreFetchPayload::new("greet").with_arg("mail", MAIL);
    let passed = chain.run::<PromptPreFetch>(prompt, &mut request).await.unwrap();
    assert_eq!(asked(passed.report()), ["Rate", "Sql", "Secrets", "Exfil", "Telve*", "Pii"]);
    let prompt = json!(passed.into_value());
    assert_eq!(prompt["args"], json!({"mail": "[EMAIL_ADDRESS_1]"}));

    let call = ToolPreInvokePayload::new("crm").with_arg("sql", "SELECT 1 -- why");
    let passed = chain.run::<ToolPreInvoke>(call, &mut request).await.unwrap();
    assert_eq!(asked(passed.report()), ["Rate", "Sql*", "Secrets", "Telve", "Pii"]);
    // Of the second call of two that are allowed.
    assert_eq!(passed.report().http_headers()["X-RateLimit-Remaining"], "0");
    assert_eq!(passed.report().metadata()["sql_sanitized"], true);
    assert_eq!(json!(passed.value().args), json!({"sql": "SELECT 1 "}));

    let text = format!("{MAIL} {}", "and so on ".repeat(10));
    let result = json!({"content": [{"type": "text", "text": text}], "isError": true});
    let result = ToolPostInvokePayload::new("crm", result);
    let passed = chain.run::<ToolPostInvoke>(result, &mut request).await.unwrap();
    let order = ["Secrets", "Exfil", "Telve*", "Pii", "Length*", "Retry"];
    assert_eq!(asked(passed.report()), order);
    assert_eq!(passed.report().retry_delay().unwrap().as_millis(), 200);
    let text = passed.into_value().result["content"][0]["text"].as_str().unwrap().to_owned();
    // The name that the address had two hooks before; and no longer than allowed.
    assert!(text.starts_with("[EMAIL_ADDRESS_1] and so on"), "{text}");
    assert_eq!(text.chars().count(), 40);
    let vault = json!({"telveguard_vault": {"[EMAIL_ADDRESS_1]": MAIL}});
    assert_eq!(Value::Object(request.plugin_state("Telve").unwrap().clone()), vault);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_and_a_rendered_prompt_pass_through_those_that_look_at_them() {
    let Some(server) = ReferenceServer::published() else { return };
    let chain = chain(&server).await;
    let mut request = request();

    let fetch = ResourcePreFetchPayload::new("https://fine.example/a");
    let passed = chain.run::<ResourcePreFetch>(fetch, &mut request).await.unwrap();
    assert_eq!(asked(passed.report()), ["Url"]);

    let content = json!({"type": "resource", "uri": "https://fine.example/a", "text": "as it was"});
    let fetched = ResourcePostFetchPayload::new("https://fine.example/a", content.clone());
    let passed = chain.run::<ResourcePostFetch>(fetched, &mut request).await.unwrap();
    assert_eq!(asked(passed.report()), ["Secrets", "Exfil", "Retry"]);
    assert_eq!(passed.into_value().content, content);

    let message = json!({"role": "user", "content": {"type": "text", "text": MAIL}});
    let rendered = PromptPostFetchPayload::new("greet", json!({"messages": [message]}));
    let passed = chain.run::<PromptPostFetch>(rendered, &mut request).await.unwrap();
    assert_eq!(asked(passed.report()), ["Pii*"]);
    let text = &passed.into_value().result["messages"][0]["content"]["text"];
    assert_eq!(*text, "[REDACTED]");

    let fetch = ResourcePreFetchPayload::new("https://blocked.example/a");
    let halted = chain.run::<ResourcePreFetch>(fetch, &mut request).await.unwrap_err();
    assert_eq!((halted.plugin(), halted.public_code()), (Some("Url"), "URL_REPUTATION_BLOCK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_denies_ends_the_chain_and_tells_the_client_why() {
    let Some(server) = ReferenceServer::published() else { return };
    let chain = chain(&server).await;

    let call = ToolPreInvokePayload::new("db").with_arg("sql", "DELETE FROM users");
    let halted = chain.run::<ToolPreInvoke>(call, &mut request()).await.unwrap_err();
    assert_eq!((halted.plugin(), halted.public_code()), (Some("Sql"), "SQL_SANITIZER"));
    assert_eq!(asked(halted.report()), ["Rate", "Sql"]);

    let call = || ToolPreInvokePayload::new("crm");
    assert!(chain.run::<ToolPreInvoke>(call(), &mut request()).await.is_ok());
    let halted = chain.run::<ToolPreInvoke>(call(), &mut request()).await.unwrap_err();
    assert_eq!((halted.plugin(), halted.http_status()), (Some("Rate"), 429));
    assert!(halted.http_headers().contains_key("Retry-After"));
}
