use hookwire::GlobalContext;
use hookwire::hooks::{HttpPreRequestPayload, IdentityResolvePayload};
use serde_json::json;

use super::*;

fn parse(conditions: Value) -> Result<Conditions, ConditionError> {
    Conditions::parse(conditions.as_array().unwrap().iter().map(|one| one.as_object().unwrap()))
}

fn met(conditions: Value, request: &RequestContext, subject: Option<Subject<'_>>) -> bool {
    parse(conditions).unwrap().are_met(request, subject)
}

fn request(global: GlobalContext) -> RequestContext {
    global.into()
}

fn global() -> GlobalContext {
    GlobalContext::new("1")
}

#[test]
fn without_conditions_a_plugin_is_asked() {
    let request = request(global());
    for none in [json!([]), json!([{}]), json!([{"tools": []}]), json!([{"server_ids": null}])] {
        assert!(met(none.clone(), &request, None), "{none}");
    }
}

#[test]
fn one_met_condition_is_enough_and_in_it_all_lists_must_be_met() {
    let request = request(global().with_server_id("s").with_tenant_id("t"));
    let both = |server, tenant| json!({"server_ids": [server], "tenant_ids": [tenant]});
    assert!(met(json!([both("s", "t")]), &request, None));
    assert!(!met(json!([both("s", "x")]), &request, None));
    assert!(!met(json!([both("x", "t")]), &request, None));
    assert!(met(json!([both("x", "x"), both("s", "t")]), &request, None));
    assert!(met(json!([both("x", "x"), {}]), &request, None));
}

#[test]
fn ids_are_compared_exactly_and_an_absent_one_is_in_no_list() {
    let named = request(global().with_server_id("Tools").with_tenant_id("acme"));
    for (key, right, wrong) in [("server_ids", "Tools", "tools"), ("tenant_ids", "acme", "acm")] {
        assert!(met(json!([{key: ["x", right]}]), &named, None));
        assert!(!met(json!([{key: [wrong]}]), &named, None));
        assert!(!met(json!([{key: [right]}]), &request(global()), None));
    }
}

#[test]
fn content_types_are_compared_without_parameters_and_case() {
    let typed = |content_type: &str| request(global()).with_content_type(content_type);
    let json_only = || json!([{"content_types": ["Application/JSON; charset=utf-8"]}]);
    for same in ["application/json", "APPLICATION/json;charset=x", "  application/json ; a=b"] {
        assert!(met(json_only(), &typed(same), None), "{same}");
    }
    for other in ["text/plain", "application/jsonx", "", "  ", ";"] {
        assert!(!met(json_only(), &typed(other), None), "{other}");
    }
    assert!(!met(json_only(), &request(global()), None));
}

#[test]
fn a_user_pattern_is_part_of_a_name_or_a_key_of_an_object() {
    let patterns = || json!([{"user_patterns": ["root", "admin"]}]);
    let user = |user: User| request(global().with_user(user));
    assert!(met(patterns(), &user("the_admin_2".into()), None));
    assert!(!met(patterns(), &user("Admin".into()), None));
    assert!(!met(patterns(), &user("".into()), None));
    assert!(!met(patterns(), &request(global()), None));
    let details = |value: Value| user(value.as_object().unwrap().clone().into());
    assert!(met(patterns(), &details(json!({"admin": false})), None));
    assert!(!met(patterns(), &details(json!({"name": "admin", "administrator": 1})), None));
}

#[test]
fn each_hook_looks_at_the_list_of_what_it_is_about() {
    let request = request(global());
    let token = TokenDelegatePayload::new("b");
    let pairs: [(&str, &str, &(dyn Any + Send + Sync)); 9] = [
        ("tools", "tool_pre_invoke", &ToolPreInvokePayload::new("b")),
        ("tools", "tool_post_invoke", &ToolPostInvokePayload::new("b", json!(1))),
        ("tools", "token_delegate", &token),
        ("prompts", "prompt_pre_fetch", &PromptPreFetchPayload::new("b")),
        ("prompts", "prompt_post_fetch", &PromptPostFetchPayload::new("b", json!(1))),
        ("resources", "resource_pre_fetch", &ResourcePreFetchPayload::new("b")),
        ("resources", "resource_post_fetch", &ResourcePostFetchPayload::new("b", json!(1))),
        ("agents", "agent_pre_invoke", &AgentPreInvokePayload::new("b", vec![])),
        ("agents", "agent_post_invoke", &AgentPostInvokePayload::new("b", vec![])),
    ];
    for (list, hook, payload) in pairs {
        let subject = Subject::of(hook, payload);
        assert!(subject.is_some(), "{hook}");
        assert!(met(json!([{list: ["a", "b"]}]), &request, subject), "{hook}");
        assert!(!met(json!([{list: ["a", "B", ""]}]), &request, subject), "{hook}");
        for other in ["tools", "prompts", "resources", "agents"] {
            assert_eq!(met(json!([{other: ["a"]}]), &request, subject), other != list, "{hook}");
        }
    }
}

#[test]
fn a_list_does_not_leave_a_plugin_out_of_hooks_without_such_a_name() {
    let request = request(global());
    let lists = || json!([{"tools": ["a"], "prompts": ["a"], "resources": ["a"], "agents": ["a"]}]);
    let http = HttpPreRequestPayload::new("/", "GET");
    assert!(met(lists(), &request, Subject::of("http_pre_request", &http)));
    // The reference compares the raw token with the names of tools.
    let token = IdentityResolvePayload::new("token");
    assert!(met(lists(), &request, Subject::of("identity_resolve", &token)));
    assert!(met(lists(), &request, Subject::of("tool_pre_invoke", &ToolPreInvokePayload::new(""))));
}

#[test]
fn what_cannot_be_read_is_refused_with_its_number() {
    let unknown = parse(json!([{}, {"user_pattern": ["a"]}])).unwrap_err().to_string();
    assert!(unknown.starts_with("condition 2: unknown field `user_pattern`"), "{unknown}");
    for wrong in [json!("a"), json!([1]), json!({"a": 1}), json!(true)] {
        assert!(parse(json!([{"tools": wrong}])).is_err());
    }
}

/// It is part of what a gateway logs when a configuration is refused.
#[test]
fn an_error_names_the_key_and_tells_no_value() {
    for key in LISTS {
        for wrong in
            [json!("hunter2"), json!({"hunter2": 1}), json!(["a", 5]), json!([["hunter2"]])]
        {
            let error = parse(json!([{}, {key: wrong}])).unwrap_err();
            assert_eq!(error.to_string(), format!("condition 2: `{key}` must be a list of texts"));
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
    let error = parse(json!([{"tool": ["hunter2"]}])).unwrap_err().to_string();
    assert!(error.starts_with("condition 1: unknown field `tool`, expected one of"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
