use std::sync::Arc;

use praxis_policy_core::extensions::{
    MCPExtension, MetaExtension, RequestExtension, SecurityExtension, SubjectExtension,
    ToolMetadata,
};
use serde_json::json;

use super::*;

fn extensions() -> Extensions {
    let subject = SubjectExtension {
        id: Some("ada".to_owned()),
        claims: [("tenant".to_owned(), json!("acme"))].into(),
        ..SubjectExtension::default()
    };
    let tool = ToolMetadata { server_id: Some("eu".to_owned()), ..ToolMetadata::default() };
    let security = SecurityExtension { subject: Some(subject), ..SecurityExtension::default() };
    Extensions {
        request: Some(Arc::new(RequestExtension {
            request_id: Some("request-7".to_owned()),
            ..RequestExtension::default()
        })),
        security: Some(Arc::new(security)),
        mcp: Some(Arc::new(MCPExtension { tool: Some(tool), ..MCPExtension::default() })),
        ..Extensions::default()
    }
}

#[test]
fn d17_a_server_gets_the_requests_id_user_tenant_and_server() {
    let sent = outgoing(&extensions(), &mut PluginContext::new()).global_context;
    assert_eq!(sent.request_id, "request-7");
    assert_eq!(sent.user, Some("ada".into()));
    assert_eq!(sent.tenant_id.as_deref(), Some("acme"));
    assert_eq!(sent.server_id.as_deref(), Some("eu"));
}

#[test]
fn d17_the_scope_stands_for_a_server_that_is_not_named() {
    let meta = MetaExtension { scope: Some("tools-eu".to_owned()), ..MetaExtension::default() };
    let extensions = Extensions { meta: Some(Arc::new(meta)), ..Extensions::default() };
    let sent = outgoing(&extensions, &mut PluginContext::new()).global_context;
    assert_eq!(sent.server_id.as_deref(), Some("tools-eu"));
}

#[test]
fn d17_without_an_id_the_calls_of_a_request_share_one_and_no_other_request_has_it() {
    let mut context = PluginContext::new();
    let id = |context: &mut PluginContext| {
        outgoing(&Extensions::default(), context).global_context.request_id
    };
    let (before, after) = (id(&mut context), id(&mut context));
    assert_eq!(before, after);
    assert_ne!(before, id(&mut PluginContext::new()));
}

#[test]
fn d16_the_engines_state_is_copied_and_stays_where_it_was() {
    let mut context = PluginContext::new();
    context.set_local("mine", json!(1));
    context.set_global("taint", json!(true));
    let sent = outgoing(&extensions(), &mut context);
    assert_eq!(sent.state["mine"], 1);
    assert_eq!(sent.global_context.state["taint"], true);
    assert_eq!(context.get_local("mine"), Some(&json!(1)));
    assert_eq!(context.get_global("taint"), Some(&json!(true)));
}

#[test]
fn d9_what_this_crate_keeps_for_the_host_does_not_go_to_servers() {
    let mut context = PluginContext::new();
    context.set_global("hookwire.Guard.http_headers", json!({"a": "b"}));
    let sent = outgoing(&Extensions::default(), &mut context);
    assert!(sent.global_context.state.is_empty());
    assert!(sent.state.is_empty());
}
