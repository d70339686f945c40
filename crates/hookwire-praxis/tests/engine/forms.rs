//! In which form a server gets the engine's messages.

use praxis_policy::prelude::{ContentPart, Extensions, Message, MessagePayload, Role};
use serde_json::{Value, json};

use crate::world::{
    TOOL_PRE, World, ask, call, code, in_time, loaded, message, one_part, started, tool,
};

#[tokio::test]
async fn d7_a_server_gets_messages_where_it_lists_the_hook_over_them_and_else_the_legacy_payload() {
    for (served, hook, form) in [
        (&["tool_pre_invoke", "cmf.tool_pre_invoke"][..], "cmf.tool_pre_invoke", "message"),
        (&["tool_pre_invoke", "cmf.llm_input"][..], "tool_pre_invoke", "args"),
    ] {
        let world = World::new([served[0], served[1]]).await;
        for start in ["eager", "lazy"] {
            let engine = world.engine(json!({"config": {"start": start}})).await;
            assert_eq!(code(&call(&engine, json!({})).await), None);
            let seen = world.script.last();
            assert_eq!(seen.hook, hook);
            assert!(seen.payload.get(form).is_some(), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn d7_the_form_can_be_forced_and_is_refused_where_the_server_does_not_serve_it() {
    let world = World::new(["tool_pre_invoke", "cmf.tool_pre_invoke"]).await;
    let engine = world.engine(json!({"config": {"payload": "legacy"}})).await;
    call(&engine, json!({})).await;
    assert_eq!(world.script.last().hook, "tool_pre_invoke");
    let legacy_only = World::new(["tool_pre_invoke"]).await;
    let entry = legacy_only.entry(json!({"config": {"payload": "cmf"}}));
    let engine = loaded(json!([entry])).unwrap();
    in_time(engine.initialize()).await.unwrap_err();
}

#[tokio::test]
async fn d7_a_lazy_plugin_whose_server_does_not_serve_the_hook_denies() {
    let world = World::new(["tool_post_invoke"]).await;
    let engine = world.engine(json!({"config": {"start": "lazy"}})).await;
    assert_eq!(code(&call(&engine, json!({})).await), Some("plugin_error"));
    assert!(world.script.seen().is_empty());
}

#[tokio::test]
async fn d7_what_the_legacy_payload_cannot_say_is_denied_and_never_sent() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let mut payload = tool(json!({}));
    payload.message.content.push(ContentPart::Text { text: "beside it".to_owned() });
    let result = ask(&engine, TOOL_PRE, payload, Extensions::default(), None).await;
    assert_eq!(code(&result), Some("plugin_error"));
    assert!(world.script.seen().is_empty());
}

#[tokio::test]
async fn d8_a_namespace_is_refused_by_default_and_dropped_where_that_is_set() {
    let world = World::new(["tool_pre_invoke"]).await;
    let mut payload = tool(json!({}));
    if let ContentPart::ToolCall { content } = &mut payload.message.content[0] {
        content.namespace = Some("backend".to_owned());
    }
    let engine = world.engine(json!({})).await;
    let result = ask(&engine, TOOL_PRE, payload.clone(), Extensions::default(), None).await;
    assert_eq!(code(&result), Some("plugin_error"));
    let engine = world.engine(json!({"config": {"namespace": "drop"}})).await;
    let result = ask(&engine, TOOL_PRE, payload, Extensions::default(), None).await;
    assert_eq!(code(&result), None);
    assert_eq!(message(&result)["content"][0]["content"]["namespace"], "backend");
}

#[tokio::test]
async fn every_hook_carries_its_message_as_it_is_and_by_its_servers_name() {
    let hooks = [
        ("cmf.tool_pre_invoke", "cmf.tool_pre_invoke"),
        ("cmf.tool_post_invoke", "cmf.tool_post_invoke"),
        ("cmf.prompt_pre_invoke", "cmf.prompt_pre_fetch"),
        ("cmf.prompt_post_invoke", "cmf.prompt_post_fetch"),
        ("cmf.resource_pre_fetch", "cmf.resource_pre_fetch"),
        ("cmf.resource_post_fetch", "cmf.resource_post_fetch"),
        ("cmf.llm_input", "cmf.llm_input"),
        ("cmf.llm_output", "cmf.llm_output"),
    ];
    let world = World::new(hooks.map(|(_, served)| served)).await;
    let engine = started(json!([world.entry(json!({"hooks": hooks.map(|(hook, _)| hook)}))])).await;
    let text = || ContentPart::Text { text: "hello".to_owned() };
    for (hook, served) in hooks {
        let result = ask(&engine, hook, one_part(text()), Extensions::default(), None).await;
        assert_eq!(code(&result), None);
        let seen = world.script.last();
        assert_eq!(seen.hook, served);
        assert_eq!(seen.payload["hook"], served.trim_start_matches("cmf."));
        assert_eq!(seen.payload["message"], message(&result));
    }
}

#[tokio::test]
async fn d7_binary_content_is_denied_and_never_sent() {
    let world = World::new(["cmf.tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let part = json!({"content_type": "resource", "content": {
        "resource_request_id": "1", "uri": "file:///a", "resource_type": "blob", "blob": [1, 2],
    }});
    let inner: Message =
        serde_json::from_value(json!({"role": "user", "content": [part]})).unwrap();
    let prompt: Value = json!({"content_type": "prompt_result", "content": {
        "prompt_request_id": "1", "prompt_name": "greet", "messages": [inner],
    }});
    for part in [part, prompt] {
        let part: ContentPart = serde_json::from_value(part).unwrap();
        let payload = MessagePayload { message: Message::with_content(Role::User, vec![part]) };
        let result = ask(&engine, TOOL_PRE, payload, Extensions::default(), None).await;
        assert_eq!(code(&result), Some("plugin_error"));
    }
    assert!(world.script.seen().is_empty());
}
