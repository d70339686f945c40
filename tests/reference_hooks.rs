//! Every built-in hook, typed and by name, served by the reference server's `Transform`,
//! which gives back in capitals what the hook is about.
// Helpers fail as tests do; clippy's own exception covers `#[test]` functions only.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::reference::ReferenceServer;
use common::reference::calls::{connect, context, object};
use hookwire::hooks::*;
use hookwire::model::Headers;
use hookwire::{Hook, HookRegistry, PluginHandle, PluginViolation, Stopped};
use serde_json::{Value, json};

/// What the plugin gives back for this payload; anything but that is a failure.
async fn modified<H: Hook>(plugin: &PluginHandle, payload: &H::Payload) -> H::Modified {
    let mut context = context();
    let result = match plugin.invoke_hook::<H>(payload, &mut context).await {
        Ok(result) => result,
        Err(error) => panic!("{}: {error}", H::NAME),
    };
    assert!(result.is_allowed() && result.violation().is_none(), "{}: {result:?}", H::NAME);
    common::modified(result).unwrap_or_else(|| panic!("{} gave nothing back", H::NAME))
}

/// The plugin allows, but what it answers is a refusal: that denies.
async fn denied<H: Hook>(plugin: &PluginHandle, payload: H::Payload) -> PluginViolation {
    let before = plugin.stats();
    let Err(Stopped::Denied(denial)) = plugin.decide::<H>(payload, &mut context()).await else {
        panic!("{} is not denied", H::NAME)
    };
    let after = plugin.stats();
    assert_eq!((after.violations - before.violations, after.ok - before.ok), (1, 0));
    assert_eq!((denial.plugin(), denial.hook()), (plugin.name(), H::NAME));
    denial.violation().cloned().unwrap()
}

fn headers(name: &str, value: &str) -> Headers {
    [(name.to_owned(), value.to_owned())].into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_of_tools_prompts_and_resources_come_back_modified() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;

    let payload = ToolPreInvokePayload::new("search")
        .with_arg("query", "rust")
        .with_arg("page", 2)
        .with_headers(headers("X-Trace", "abc"));
    let expected = payload.clone().with_arg("query", "RUST");
    assert_eq!(modified::<ToolPreInvoke>(&plugin, &payload).await, expected);

    let payload =
        ToolPostInvokePayload::new("search", json!({"hits": ["a", {"title": "b"}], "n": 2}));
    let result = json!({"hits": ["A", {"title": "B"}], "n": 2});
    let expected = ToolPostInvokePayload::new("search", result);
    assert_eq!(modified::<ToolPostInvoke>(&plugin, &payload).await, expected);

    let payload = PromptPreFetchPayload::new("greeting").with_arg("name", "ada");
    let expected = PromptPreFetchPayload::new("greeting").with_arg("name", "ADA");
    assert_eq!(modified::<PromptPreFetch>(&plugin, &payload).await, expected);

    let payload = PromptPostFetchPayload::new("greeting", json!({"messages": [{"text": "hi"}]}));
    let expected = PromptPostFetchPayload::new("greeting", json!({"messages": [{"text": "HI"}]}));
    assert_eq!(modified::<PromptPostFetch>(&plugin, &payload).await, expected);

    let metadata = |value: &str| object(json!({"encoding": value, "size": 3}));
    let payload = ResourcePreFetchPayload::new("file:///motd").with_metadata(metadata("utf-8"));
    let expected = ResourcePreFetchPayload::new("file:///motd").with_metadata(metadata("UTF-8"));
    assert_eq!(modified::<ResourcePreFetch>(&plugin, &payload).await, expected);

    let payload = ResourcePostFetchPayload::new("file:///motd", "welcome");
    let expected = ResourcePostFetchPayload::new("file:///motd", "WELCOME");
    assert_eq!(modified::<ResourcePostFetch>(&plugin, &payload).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_of_agents_come_back_modified() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;

    let pre = |text: &str| {
        AgentPreInvokePayload::new("travel", vec![json!({"content": text}), json!(text), json!(7)])
            .with_tools(vec!["search".into()])
            .with_headers(headers("X-Trace", "abc"))
            .with_model("small")
            .with_system_prompt("be brief")
            .with_parameters(object(json!({"temperature": 0.5, "top_k": 3})))
    };
    assert_eq!(modified::<AgentPreInvoke>(&plugin, &pre("fly")).await, pre("FLY"));

    let calls = vec![object(json!({"name": "book", "arguments": {"seat": "4a"}}))];
    let post = |text: &str| {
        AgentPostInvokePayload::new("travel", vec![json!(text)]).with_tool_calls(calls.clone())
    };
    assert_eq!(modified::<AgentPostInvoke>(&plugin, &post("done")).await, post("DONE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_of_http_requests_answer_with_headers_users_and_decisions() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;

    let payload = HttpPreRequestPayload::new("/mcp", "POST")
        .with_client_host("10.0.0.7")
        .with_client_port(40_000)
        .with_headers(headers("Accept", "text/plain"));
    let answer = modified::<HttpPreRequest>(&plugin, &payload).await;
    assert_eq!(answer, headers("Accept", "TEXT/PLAIN"));

    let payload = HttpPostRequestPayload::new("/mcp", "POST")
        .with_headers(headers("Accept", "text/plain"))
        .with_response_headers(headers("Server", "gateway"))
        .with_status_code(200);
    let answer = modified::<HttpPostRequest>(&plugin, &payload).await;
    assert_eq!(answer, headers("Server", "GATEWAY"));

    let payload = HttpAuthResolveUserPayload::new()
        .with_credentials(object(json!({"scheme": "bearer", "credentials": "abc"})))
        .with_headers(headers("Authorization", "Bearer abc"))
        .with_client_host("10.0.0.7")
        .with_client_port(40_000);
    let user = modified::<HttpAuthResolveUser>(&plugin, &payload).await;
    let credentials = json!({"scheme": "BEARER", "credentials": "ABC"});
    let expected = json!({"email": "user@example.com", "credentials": credentials});
    assert_eq!(Value::Object(user), expected);

    let ask = |permission: &str| {
        HttpAuthCheckPermissionPayload::new("ada@example.org", permission)
            .with_resource_type("tool")
            .with_team_id("blue")
            .with_is_admin(true)
            .with_auth_method("jwt")
            .with_client_host("10.0.0.7")
            .with_user_agent("curl")
    };
    let decision = modified::<HttpAuthCheckPermission>(&plugin, &ask("tools.execute")).await;
    assert_eq!(decision, PermissionDecision::new(true).with_reason("TOOLS.EXECUTE"));
    let refused = denied::<HttpAuthCheckPermission>(&plugin, ask("users.delete")).await;
    assert_eq!((refused.reason.as_str(), refused.http_status_code), ("USERS.DELETE", Some(403)));
}

/// Fault H10 of the reference: its client cannot send these two at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_reach_the_plugins_that_resolve_and_delegate_them() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;

    let payload = IdentityResolvePayload::new("secret-token")
        .with_source("api_key")
        .with_headers(headers("X-Key", "abc"))
        .with_client_host("10.0.0.7")
        .with_client_port(40_000);
    let identity = modified::<IdentityResolve>(&plugin, &payload).await;
    let claims = json!({"token": "SECRET-TOKEN", "source": "API_KEY"});
    assert_eq!(Value::Object(identity.raw_claims), claims);
    assert!(!identity.rejected);

    let refused = denied::<IdentityResolve>(&plugin, IdentityResolvePayload::new("bad")).await;
    assert_eq!((refused.reason.as_str(), refused.http_status_code), ("bad token", Some(403)));

    let payload = TokenDelegatePayload::new("payroll")
        .with_target_type("agent")
        .with_target_audience("https://payroll.example")
        .with_required_permissions(vec!["payroll.read".into()])
        .with_trust_domain("example")
        .with_auth_enforced_by("both")
        .with_route_attenuation(
            RouteAttenuation::new()
                .with_capabilities(vec!["read".into()])
                .with_resource_template("/staff/{id}")
                .with_actions(vec!["get".into()])
                .with_ttl(std::time::Duration::from_secs(60)),
        )
        .with_bearer_token("caller-token");
    let delegated = modified::<TokenDelegate>(&plugin, &payload).await;
    let token = delegated.delegated_token.as_ref().map(|token| token.expose());
    assert_eq!(token, Some("CALLER-TOKEN"));
    assert_eq!(delegated.forwarded_headers, headers("X-Target", "PAYROLL"));
    assert_eq!((delegated.cache_key.as_deref(), delegated.cache_ttl), (Some("payroll"), Some(60)));
    assert_eq!(delegated.delegation_update["delegated"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_come_back_modified_wherever_they_are_met() {
    async fn check<H: Hook<Payload = MessagePayload, Modified = MessagePayload>>(
        plugin: &PluginHandle,
    ) {
        let message = |text: &str| {
            let parts = vec![ContentPart::Text(text.into()), ContentPart::Thinking(text.into())];
            Message::new("user").with_content(parts).with_channel("final")
        };
        let payload = MessagePayload::for_hook::<H>(message("hello"));
        let expected = MessagePayload::for_hook::<H>(message("HELLO"));
        assert_eq!(modified::<H>(plugin, &payload).await, expected, "{}", H::NAME);
    }

    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;
    check::<Evaluate>(&plugin).await;
    check::<CmfToolPreInvoke>(&plugin).await;
    check::<CmfToolPostInvoke>(&plugin).await;
    check::<CmfLlmInput>(&plugin).await;
    check::<CmfLlmOutput>(&plugin).await;
    check::<CmfResourcePreFetch>(&plugin).await;
    check::<CmfResourcePostFetch>(&plugin).await;
    check::<CmfPromptPreFetch>(&plugin).await;
    check::<CmfPromptPostFetch>(&plugin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_content_part_survives_the_way_there_and_back() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;
    let image = json!({"type": "url", "data": "https://a/b.png", "media_type": "image/png"});
    let bodies = [
        ContentPart::ToolCall(object(
            json!({"tool_call_id": "1", "name": "t", "arguments": {"a": 1}}),
        )),
        ContentPart::ToolResult(object(
            json!({"tool_call_id": "1", "tool_name": "t", "content": [1, "x"]}),
        )),
        ContentPart::Resource(object(
            json!({"resource_request_id": "2", "uri": "file:///a", "resource_type": "file"}),
        )),
        ContentPart::ResourceRef(object(
            json!({"resource_request_id": "2", "uri": "file:///a", "resource_type": "file"}),
        )),
        ContentPart::PromptRequest(object(json!({"prompt_request_id": "3", "name": "p"}))),
        ContentPart::PromptResult(object(json!({"prompt_request_id": "3", "prompt_name": "p"}))),
        ContentPart::Image(object(image.clone())),
        ContentPart::Video(object(image.clone())),
        ContentPart::Audio(object(image.clone())),
        ContentPart::Document(object(image)),
    ];
    for part in bodies {
        let sent = serde_json::to_value(&part).unwrap();
        let payload = MessagePayload::new(Message::new("assistant").with_part(part));
        let answer = modified::<Evaluate>(&plugin, &payload).await;
        let came = serde_json::to_value(&answer.message.content[0]).unwrap();
        assert_eq!(came["content_type"], sent["content_type"]);
        // The server adds the optional keys of the part, as null or their default.
        for (key, value) in sent["content"].as_object().unwrap() {
            assert_eq!(&came["content"][key], value, "{key} of {}", sent["content_type"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_built_in_hook_is_served_by_name_too() {
    let Some(server) = ReferenceServer::shared() else { return };
    let plugin = connect(server, "Transform").await;
    let payload = |hook: &str| match hook {
        "tool_pre_invoke" => json!({"name": "t", "args": {"k": "abc"}}),
        "tool_post_invoke" => json!({"name": "t", "result": "abc"}),
        "prompt_pre_fetch" => json!({"prompt_id": "p", "args": {"k": "abc"}}),
        "prompt_post_fetch" => json!({"prompt_id": "p", "result": "abc"}),
        "resource_pre_fetch" => json!({"uri": "u", "metadata": {"k": "abc"}}),
        "resource_post_fetch" => json!({"uri": "u", "content": "abc"}),
        "agent_pre_invoke" | "agent_post_invoke" => json!({"agent_id": "a", "messages": ["abc"]}),
        "http_pre_request" => json!({"path": "/", "method": "GET", "headers": {"k": "abc"}}),
        "http_post_request" => {
            json!({"path": "/", "method": "GET", "headers": {}, "response_headers": {"k": "abc"}})
        }
        "http_auth_resolve_user" => json!({"credentials": {"k": "abc"}, "headers": {}}),
        "http_auth_check_permission" => json!({"user_email": "a@b", "permission": "tools.abc"}),
        "identity_resolve" => json!({"raw_token": "abc"}),
        "token_delegate" => json!({"target_name": "abc"}),
        message => json!({
            "message": {"role": "user", "content": [{"content_type": "text", "text": "abc"}]},
            "hook": message.trim_start_matches("cmf."),
        }),
    };
    let registry = HookRegistry::builtin();
    let hooks: BTreeSet<_> = registry.names().collect();
    let served = plugin.hooks();
    let served: BTreeSet<_> = served.known().unwrap().iter().map(String::as_str).collect();
    assert_eq!(hooks, served, "the fixture is to serve the built-in hooks, all 23");
    assert_eq!(hooks.len(), 23);

    for hook in hooks {
        let result = plugin.invoke_hook_json(hook, &payload(hook), &mut context()).await;
        let result = result.unwrap_or_else(|error| panic!("{hook}: {error}"));
        let text = common::modified(result)
            .unwrap_or_else(|| panic!("{hook} gave nothing back"))
            .to_string();
        assert!(text.contains("ABC"), "{hook}: {text}");
    }
}
