use praxis_policy_core::cmf::MessagePayload;
use serde_json::json;

use super::*;

/// An engine's message with one part.
fn message(part: Value) -> Message {
    messages(json!([part]))
}

fn messages(parts: Value) -> Message {
    serde_json::from_value(json!({"role": "assistant", "content": parts})).unwrap()
}

fn call(more: Value) -> Value {
    let content =
        json!({"tool_call_id": "1", "name": "search", "arguments": {"q": "rust", "n": 3}});
    part("tool_call", content, more)
}

fn tool_result(more: Value) -> Value {
    let content = json!({"tool_call_id": "1", "tool_name": "search", "content": {"hits": [1]}});
    part("tool_result", content, more)
}

fn prompt_request(more: Value) -> Value {
    let content = json!({"prompt_request_id": "1", "name": "greet", "arguments": {"who": "Ada"}});
    part("prompt_request", content, more)
}

fn prompt_result(more: Value) -> Value {
    let line = json!({"role": "user", "content": [{"content_type": "text", "text": "Hello"}]});
    let content = json!({"prompt_request_id": "1", "prompt_name": "greet", "messages": [line]});
    part("prompt_result", content, more)
}

fn resource(more: Value) -> Value {
    let content = json!({
        "resource_request_id": "1", "uri": "file:///a", "resource_type": "file",
        "content": "as it was", "mime_type": "text/plain", "size_bytes": 9,
    });
    part("resource", content, more)
}

fn reference(more: Value) -> Value {
    let content = json!({"resource_request_id": "1", "uri": "file:///a", "resource_type": "file"});
    part("resource_ref", content, more)
}

fn part(content_type: &str, mut content: Value, more: Value) -> Value {
    let (Value::Object(content), Value::Object(more)) = (&mut content, more) else { panic!() };
    content.extend(more);
    json!({"content_type": content_type, "content": content})
}

fn sent(hook: Hook, part: Value) -> Value {
    let message = message(part);
    let payload = outgoing(hook, &message, Namespace::Refuse).unwrap_or_else(|why| panic!("{why}"));
    serde_json::to_value(payload).unwrap()
}

fn refused(hook: Hook, part: Value) -> Refusal {
    outgoing(hook, &message(part), Namespace::Refuse).err().unwrap()
}

fn applied(part: Value, answer: Value) -> Result<Value, Refusal> {
    let answered: Answered = serde_json::from_value(answer).unwrap();
    let MessagePayload { message } = answered.applied_to(&message(part))?;
    Ok(serde_json::to_value(&message.content[0]).unwrap()["content"].clone())
}

#[test]
fn each_message_is_said_in_its_hooks_payload() {
    let none = || json!({});
    assert_eq!(
        sent(Hook::ToolPre, call(none())),
        json!({"name": "search", "args": {"q": "rust", "n": 3}})
    );
    assert_eq!(
        sent(Hook::ToolPost, tool_result(none())),
        json!({"name": "search", "result": {"hits": [1]}})
    );
    assert_eq!(
        sent(Hook::PromptPre, prompt_request(none())),
        json!({"prompt_id": "greet", "args": {"who": "Ada"}})
    );
    let line = json!({"role": "user", "content": {"type": "text", "text": "Hello"}});
    assert_eq!(
        sent(Hook::PromptPost, prompt_result(none())),
        json!({"prompt_id": "greet", "result": {"messages": [line]}})
    );
    assert_eq!(sent(Hook::ResourcePre, reference(none())), json!({"uri": "file:///a"}));
    assert_eq!(sent(Hook::ResourcePre, resource(none())), json!({"uri": "file:///a"}));
    let content = json!({"type": "resource", "id": "1", "uri": "file:///a", "mime_type": "text/plain", "text": "as it was"});
    assert_eq!(
        sent(Hook::ResourcePost, resource(none())),
        json!({"uri": "file:///a", "content": content})
    );
}

#[test]
fn d7_what_a_payload_cannot_say_is_refused() {
    assert!(refused(Hook::ToolPost, tool_result(json!({"is_error": true}))).contains("failed"));
    assert!(
        refused(Hook::PromptPre, prompt_request(json!({"arguments": {"n": 1}}))).contains("texts")
    );
    assert!(
        refused(Hook::PromptPre, prompt_request(json!({"server_id": "eu"}))).contains("server")
    );
    for more in
        [json!({"content": "Hello"}), json!({"is_error": true}), json!({"error_message": "no"})]
    {
        assert!(refused(Hook::PromptPost, prompt_result(more)).contains("in messages"));
    }
    let thought = json!({"role": "user", "content": [{"content_type": "thinking", "text": "Hm."}]});
    let system =
        json!({"role": "system", "content": [{"content_type": "text", "text": "Be kind."}]});
    for line in [thought, system] {
        assert!(
            refused(Hook::PromptPost, prompt_result(json!({"messages": [line]})))
                .contains("texts of users")
        );
    }
    assert!(refused(Hook::ResourcePre, resource(json!({"version": "2"}))).contains("version"));
    assert!(refused(Hook::ResourcePost, resource(json!({"version": "2"}))).contains("version"));
    assert!(refused(Hook::ResourcePost, resource(json!({"blob": [1]}))).contains("binary"));
    assert!(
        refused(Hook::ResourcePost, resource(json!({"content": null})))
            .contains("without its content")
    );
}

#[test]
fn d7_a_message_of_no_or_several_parts_or_of_another_kind_is_refused() {
    for parts in [json!([]), json!([call(json!({})), call(json!({}))])] {
        let message = messages(parts);
        assert!(outgoing(Hook::ToolPre, &message, Namespace::Refuse).is_err());
    }
    assert!(refused(Hook::ToolPre, tool_result(json!({}))).contains("no part"));
    assert!(refused(Hook::ResourcePost, reference(json!({}))).contains("no part"));
}

#[test]
fn a_failed_tool_is_said_where_its_content_tells() {
    let failed = tool_result(json!({"is_error": true, "content": {"isError": true}}));
    assert_eq!(
        sent(Hook::ToolPost, failed),
        json!({"name": "search", "result": {"isError": true}})
    );
}

#[test]
fn d8_a_namespace_is_refused_or_dropped_as_it_is_set() {
    let message = message(call(json!({"namespace": "backend"})));
    let why = outgoing(Hook::ToolPre, &message, Namespace::Refuse).err().unwrap();
    assert!(why.contains("`config.namespace`"), "{why}");
    let payload =
        outgoing(Hook::ToolPre, &message, Namespace::Drop).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(serde_json::to_value(payload).unwrap()["name"], "search");
}

#[test]
fn d8_a_dropped_namespace_is_back_in_the_engines_message() {
    let part = call(json!({"namespace": "backend"}));
    let changed = applied(part, json!({"name": "find", "args": {}})).unwrap();
    assert_eq!(changed["namespace"], "backend");
    assert_eq!((&changed["name"], &changed["arguments"]), (&json!("find"), &json!({})));
}

#[test]
fn a_changed_tool_call_takes_name_and_arguments_from_the_answer() {
    let answer = json!({"name": "search", "args": {"q": "go", "n": 3, "f": 2.5}});
    let changed = applied(call(json!({})), answer).unwrap();
    assert_eq!(changed["arguments"], json!({"q": "go", "n": 3, "f": 2.5}));
    assert_eq!(changed["tool_call_id"], "1");
    // None at all, in the plugins' own types.
    assert_eq!(
        applied(call(json!({})), json!({"name": "search", "args": null})).unwrap()["arguments"],
        json!({})
    );
}

#[test]
fn headers_of_a_tool_call_have_no_place_in_the_message() {
    let answer = json!({"name": "search", "args": {}, "headers": {"a": "b"}});
    assert!(applied(call(json!({})), answer).unwrap_err().contains("headers"));
}

#[test]
fn a_changed_result_may_become_a_failure_and_never_a_success() {
    let change = |more, result| {
        applied(tool_result(more), json!({"name": "search", "result": result})).unwrap()
    };
    let failed = || json!({"is_error": true, "content": {"isError": true}});
    assert_eq!(change(json!({}), json!({"isError": true}))["is_error"], true);
    assert_eq!(change(failed(), json!({"isError": false}))["is_error"], true);
    assert_eq!(change(json!({}), json!(null))["content"], json!(null));
}

#[test]
fn an_answer_that_leaves_out_what_its_hook_needs_is_an_error() {
    assert!(applied(call(json!({})), json!({"args": {}})).is_err());
    assert!(applied(tool_result(json!({})), json!({"name": "search"})).is_err());
    assert!(applied(prompt_request(json!({})), json!({"args": {}})).is_err());
    assert!(applied(prompt_result(json!({})), json!({"prompt_id": "greet"})).is_err());
    assert!(applied(reference(json!({})), json!({})).is_err());
    assert!(applied(resource(json!({})), json!({"content": "x"})).is_err());
}

#[test]
fn a_changed_prompt_is_a_list_of_texts() {
    let line = json!({"role": "assistant", "content": {"type": "text", "text": "Bye"}});
    let answer = json!({"prompt_id": "greet", "result": {"messages": [line], "description": null}});
    let changed = applied(prompt_result(json!({})), answer).unwrap();
    assert_eq!(changed["messages"][0]["content"], json!([{"content_type": "text", "text": "Bye"}]));
    assert_eq!(changed["messages"][0]["role"], "assistant");
    let image = json!({"role": "user", "content": {"type": "image", "text": ""}});
    let answer = json!({"prompt_id": "greet", "result": {"messages": [image]}});
    assert!(applied(prompt_result(json!({})), answer).is_err());
}

#[test]
fn a_changed_resource_has_its_new_size() {
    let content =
        json!({"type": "resource", "uri": "file:///b", "text": "new", "mime_type": "text/html"});
    let changed =
        applied(resource(json!({})), json!({"uri": "file:///a", "content": content})).unwrap();
    assert_eq!(changed["content"], "new");
    assert_eq!(changed["size_bytes"], 3);
    assert_eq!(changed["uri"], "file:///b");
    assert_eq!(changed["mime_type"], "text/html");
}

#[test]
fn the_address_of_a_resource_that_was_read_cannot_be_changed_before_it_is_read() {
    let changed = applied(resource(json!({})), json!({"uri": "file:///b"}));
    assert!(changed.unwrap_err().contains("read already"));
    assert_eq!(
        applied(reference(json!({})), json!({"uri": "file:///b"})).unwrap()["uri"],
        "file:///b"
    );
}
