//! What plugins keep over a request, and share.

use std::sync::Arc;

use praxis_policy::PolicyEngine;
use praxis_policy::praxis_policy_core::extensions::{SecurityExtension, SubjectExtension};
use praxis_policy::prelude::{
    AnyHookHandler, CmfHook, Extensions, HookHandler, MessagePayload, Plugin, PluginConfig,
    PluginContext, PluginError, PluginFactory, PluginInstance, PluginResult, TypedHandlerAdapter,
};
use serde_json::{Value, json};

use crate::world::{TOOL_PRE, World, ask, call, code, in_time, tool};

#[tokio::test]
async fn d16_what_a_plugin_keeps_is_there_in_its_next_call_of_the_request_and_no_other() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let keeps =
        json!({"state": {"count": 1}, "metadata": {"note": "n"}, "global": {"shared": [1]}});
    let first = call(&engine, keeps).await;
    let payload = tool(json!({}));
    ask(&engine, TOOL_PRE, payload, Extensions::default(), Some(first.context_table)).await;
    let seen = world.script.last().context;
    assert_eq!(seen["state"], json!({"count": 1}));
    assert_eq!(seen["metadata"], json!({"note": "n"}));
    assert_eq!(seen["global_context"]["state"], json!({"shared": [1]}));
    call(&engine, json!({})).await;
    let seen = world.script.last().context;
    assert_eq!(seen["state"], json!({}));
    assert_eq!(seen["global_context"]["state"], json!({}));
}

#[tokio::test]
async fn d16_a_value_that_others_share_stays_beside_a_new_one() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let first = call(&engine, json!({"global": {"one": 1}})).await;
    let payload = tool(json!({"global": {"two": 2}}));
    let second =
        ask(&engine, TOOL_PRE, payload, Extensions::default(), Some(first.context_table)).await;
    assert_eq!(second.context_table.global_state["one"], 1);
    assert_eq!(second.context_table.global_state["two"], 2);
}

#[tokio::test]
async fn d9_a_plugin_cannot_say_what_this_crate_says() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let forged = json!({"hookwire.Other.retry_delay_ms": 1, "hookwire.request_id": "forged"});
    let result = call(&engine, json!({"global": forged, "state": forged})).await;
    assert!(result.context_table.global_state.is_empty());
    let states = format!("{:?}", result.context_table.local_states);
    assert!(!states.contains("forged"), "{states}");
}

/// The trap: state that was moved into a call is lost when the engine drops it.
#[tokio::test]
async fn d16_the_engines_time_limit_takes_no_state_with_it() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = Arc::new(PolicyEngine::default());
    hookwire_praxis::HookwireFactory::new().register(&engine);
    engine.register_factory("taint", Box::new(TaintFactory));
    let config = json!({
        "engine_settings": {"dispatch": "hooks", "plugin_timeout": 1},
        "plugins": [
            {"name": "Taint", "kind": "taint", "hooks": [TOOL_PRE], "priority": 1},
            world.entry(json!({"priority": 2, "on_error": "ignore"})),
        ],
    });
    engine.load_config_yaml(&config.to_string()).unwrap();
    in_time(engine.initialize()).await.unwrap();
    let kept = call(&engine, json!({"state": {"count": 1}})).await;
    let payload = tool(json!({"hang": true}));
    let result =
        ask(&engine, TOOL_PRE, payload, Extensions::default(), Some(kept.context_table)).await;
    assert_eq!(code(&result), None);
    assert_eq!(result.errors[0].code.as_deref(), Some("timeout"));
    assert_eq!(result.context_table.global_state["taint"], true);
    let payload = tool(json!({}));
    ask(&engine, TOOL_PRE, payload, Extensions::default(), Some(result.context_table)).await;
    assert_eq!(world.script.last().context["state"], json!({"count": 1}));
}

#[tokio::test]
async fn d17_user_and_tenant_reach_a_server_as_far_as_the_plugin_may_read_them() {
    let world = World::new(["tool_pre_invoke"]).await;
    let subject = SubjectExtension {
        id: Some("ada".to_owned()),
        claims: [("tenant".to_owned(), json!("acme"))].into(),
        ..SubjectExtension::default()
    };
    let security = SecurityExtension { subject: Some(subject), ..SecurityExtension::default() };
    let extensions =
        || Extensions { security: Some(Arc::new(security.clone())), ..Extensions::default() };
    let seen = async |capabilities: Value| {
        let engine = world.engine(json!({"capabilities": capabilities})).await;
        ask(&engine, TOOL_PRE, tool(json!({})), extensions(), None).await;
        let context = world.script.last().context["global_context"].clone();
        (context["user"].clone(), context["tenant_id"].clone())
    };
    assert_eq!(seen(json!(["read_subject", "read_claims"])).await, (json!("ada"), json!("acme")));
    assert_eq!(seen(json!(["read_subject"])).await, (json!("ada"), json!(null)));
    assert_eq!(seen(json!([])).await, (json!(null), json!(null)));
}

#[tokio::test]
async fn d17_the_calls_of_a_request_without_an_id_carry_the_same_one() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let first = call(&engine, json!({})).await;
    ask(&engine, TOOL_PRE, tool(json!({})), Extensions::default(), Some(first.context_table)).await;
    call(&engine, json!({})).await;
    let ids = world
        .script
        .seen()
        .into_iter()
        .map(|seen| seen.context["global_context"]["request_id"].clone());
    let ids = Vec::from_iter(ids);
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

/// A plugin of the engine's own process that marks the request.
struct Taint(PluginConfig);

impl Plugin for Taint {
    fn config(&self) -> &PluginConfig {
        &self.0
    }
}

impl HookHandler<CmfHook> for Taint {
    async fn handle(
        &self,
        _: &MessagePayload,
        _: &Extensions,
        context: &mut PluginContext,
    ) -> PluginResult<MessagePayload> {
        context.set_global("taint", json!(true));
        PluginResult::allow()
    }
}

struct TaintFactory;

impl PluginFactory for TaintFactory {
    fn create(&self, config: &PluginConfig) -> Result<PluginInstance, Box<PluginError>> {
        let plugin = Arc::new(Taint(config.clone()));
        let handler: Arc<dyn AnyHookHandler> =
            Arc::new(TypedHandlerAdapter::<CmfHook, _>::new(Arc::clone(&plugin)));
        Ok(PluginInstance { plugin, handlers: vec![(TOOL_PRE, handler)] })
    }
}
