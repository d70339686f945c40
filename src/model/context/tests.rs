use serde_json::{Value, json};

use super::*;

fn object(json: Value) -> Object {
    serde_json::from_value(json).unwrap()
}

fn context() -> PluginContext {
    let mut context = PluginContext::new("req-1")
        .with_user("ada")
        .with_server_id("srv")
        .with_tenant_id("acme")
        .with_state(object(json!({"mine": 1})))
        .with_metadata(object(json!({"note": 1})));
    context.global_context.state = object(json!({"shared": 1}));
    context.global_context.metadata = object(json!({"path": "/x"}));
    context
}

fn reply(global_state: Option<Value>) -> ReplyContext {
    ReplyContext {
        global_state: global_state.map(object),
        state: object(json!({"mine": 2})),
        metadata: Object::new(),
    }
}

#[test]
fn a_reply_replaces_state_and_metadata_even_by_empty_ones() {
    let mut updated = context();
    reply(None).apply_to(&mut updated);
    assert_eq!(updated.state, object(json!({"mine": 2})));
    assert_eq!(updated.metadata, Object::new());
}

#[test]
fn a_reply_replaces_a_global_state_as_a_whole() {
    let mut updated = context();
    reply(Some(json!({"other": 2}))).apply_to(&mut updated);
    assert_eq!(updated.global_context.state, object(json!({"other": 2})));
}

#[test]
fn an_empty_global_state_in_a_reply_changes_nothing() {
    for global_state in [None, Some(json!({}))] {
        let mut updated = context();
        reply(global_state).apply_to(&mut updated);
        assert_eq!(updated.global_context, context().global_context);
    }
}

#[test]
fn a_reply_changes_nothing_else_in_the_global_context() {
    let mut updated = context();
    reply(Some(json!({"other": 2}))).apply_to(&mut updated);
    updated.global_context.state = context().global_context.state;
    assert_eq!(updated.global_context, context().global_context);
}

#[test]
fn a_context_survives_json() {
    let json = serde_json::to_value(context()).unwrap();
    assert_eq!(serde_json::from_value::<PluginContext>(json).unwrap(), context());
}

#[test]
fn absent_parts_are_not_written() {
    let json = serde_json::to_value(PluginContext::new("req-1")).unwrap();
    assert_eq!(
        json,
        json!({
            "global_context": {"request_id": "req-1", "metadata": {}, "state": {}},
            "state": {},
            "metadata": {},
        })
    );
}

#[test]
fn null_parts_are_read_as_absent() {
    let read: PluginContext = serde_json::from_value(json!({
        "global_context": {
            "request_id": "req-1", "server_id": null, "tenant_id": null,
            "user": null, "metadata": null, "state": null,
        },
        "state": null,
        "metadata": null,
    }))
    .unwrap();
    assert_eq!(read, PluginContext::new("req-1"));
}

#[test]
fn a_context_without_a_request_id_is_an_error() {
    let error = serde_json::from_value::<GlobalContext>(json!({})).unwrap_err();
    assert!(error.to_string().contains("request_id"), "{error}");
}

#[test]
fn a_user_is_a_string_or_an_object() {
    for (json, user) in [
        (json!("ada"), User::from("ada")),
        (json!({"email": "a@b"}), User::from(object(json!({"email": "a@b"})))),
    ] {
        assert_eq!(serde_json::to_value(&user).unwrap(), json);
        assert_eq!(serde_json::from_value::<User>(json).unwrap(), user);
    }
    assert!(serde_json::from_value::<User>(json!(7)).is_err());
}

#[test]
fn debug_output_shows_the_request_id_and_sizes_only() {
    assert_eq!(
        format!("{:?}", context()),
        "PluginContext { global_context: GlobalContext { request_id: \"req-1\", \
         server_id: Some(\"srv\"), tenant_id: Some(\"acme\"), user: 3 bytes, metadata: 1 key, \
         state: 1 key }, state: 1 key, metadata: 1 key }"
    );
    assert_eq!(format!("{:?}", User::from("ada")), "User(3 bytes)");
    assert!(!format!("{:?}", reply(None)).contains("mine"));
}

/// The reference's contexts have these keys: they are null in most, and the wire has no
/// field for them.
#[test]
fn h38_what_the_wire_has_no_field_for_may_be_null_and_is_refused_otherwise() {
    let context = |key: &str, value: Value| {
        let global = json!({"request_id": "1", key: value, "tenant_id": null, "state": null});
        serde_json::from_value::<PluginContext>(json!({ "global_context": global }))
    };
    for key in ["user_context", "content_type"] {
        let read = context(key, Value::Null).unwrap();
        assert!(read == PluginContext::new("1"));
        assert_eq!(json!(read)["global_context"].get(key), None, "it is not written either");
        for value in [json!("text/plain"), json!({"teams": ["blue"]}), json!({}), json!(false)] {
            let refused = context(key, value.clone()).unwrap_err().to_string();
            assert!(
                refused.contains("`user_context`") && refused.contains("`content_type`"),
                "{refused}"
            );
            assert!(refused.contains("`metadata`"), "{refused}");
            assert!(!refused.contains("blue"), "{refused}");
        }
    }
    assert!(context("a_key_of_a_newer_gateway", json!(1)).is_ok());
}
