//! The engine's modes and conditions, with a plugin behind a socket.

use std::sync::Arc;

use praxis_policy::PolicyEngine;
use praxis_policy::praxis_policy_core::extensions::MetaExtension;
use praxis_policy::prelude::{
    Extensions, PluginConfig, PluginError, PluginFactory, PluginInstance,
};
use serde_json::{Value, json};

use crate::world::{TOOL_PRE, World, arguments, ask, call, code, file, loaded, tool};

fn denies() -> Value {
    json!({"answer": {"continue_processing": false}})
}

fn changes() -> Value {
    let changed = json!({"name": "search", "args": {"q": "go"}});
    json!({"answer": {"continue_processing": true, "modified_payload": changed}})
}

#[tokio::test]
async fn d13_sequential_and_concurrent_guards_deny_and_fail_closed() {
    let world = World::new(["tool_pre_invoke"]).await;
    for mode in ["sequential", "concurrent"] {
        let engine = world.engine(json!({"mode": mode})).await;
        assert!(code(&call(&engine, denies()).await).is_some(), "{mode}");
        assert!(code(&call(&engine, json!({"fail": "words"})).await).is_some(), "{mode}");
    }
}

#[tokio::test]
async fn d13_in_the_other_modes_the_engine_ignores_denials_and_failures() {
    let world = World::new(["tool_pre_invoke"]).await;
    for mode in ["transform", "audit", "fire_and_forget"] {
        let engine = world.engine(json!({"mode": mode, "on_error": "fail"})).await;
        assert_eq!(code(&call(&engine, denies()).await), None, "{mode}");
        assert_eq!(code(&call(&engine, json!({"fail": "words"})).await), None, "{mode}");
        assert_eq!(world.script.last().payload["args"], json!({"fail": "words"}));
    }
}

#[tokio::test]
async fn only_sequential_and_transform_change_a_payload() {
    let world = World::new(["tool_pre_invoke"]).await;
    for (mode, changed) in
        [("sequential", true), ("transform", true), ("audit", false), ("concurrent", false)]
    {
        let engine = world.engine(json!({"mode": mode})).await;
        let result = call(&engine, changes()).await;
        assert_eq!(arguments(&result) == json!({"q": "go"}), changed, "{mode}");
    }
}

#[tokio::test]
async fn d3_both_kinds_are_taken_and_no_other() {
    let world = World::new(["tool_pre_invoke"]).await;
    for kind in hookwire_praxis::KINDS {
        let engine = world.engine(json!({"kind": kind})).await;
        assert_eq!(code(&call(&engine, denies()).await), Some("plugin_deny"));
    }
    let error = loaded(json!([world.entry(json!({"kind": "extern"}))])).err().unwrap();
    assert!(error.contains("no factory registered for plugin kind 'extern'"), "{error}");
}

#[tokio::test]
async fn d3_the_factory_that_is_registered_last_makes_the_plugins() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = Arc::new(PolicyEngine::default());
    engine.register_factory("external", Box::new(Nobody));
    hookwire_praxis::HookwireFactory::new().register(&engine);
    engine.load_config_yaml(&file(json!([world.entry(json!({}))]))).unwrap();
    engine.register_factory("external", Box::new(Nobody));
    let second = world.entry(json!({"name": "Second"}));
    let error = engine.load_config_yaml(&file(json!([second]))).unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

/// A factory that makes nothing.
struct Nobody;

impl PluginFactory for Nobody {
    fn create(&self, _: &PluginConfig) -> Result<PluginInstance, Box<PluginError>> {
        Err(Box::new(PluginError::Config { message: "nobody".to_owned() }))
    }
}

#[tokio::test]
async fn d2_the_engine_refuses_to_load_an_entry_that_the_factory_refuses() {
    let world = World::new(["tool_pre_invoke"]).await;
    let entry = world.entry(json!({"config": {"paylod": "cmf"}}));
    let error = loaded(json!([entry])).err().unwrap();
    assert!(error.contains("`config.paylod` is unknown, did you mean `payload`?"), "{error}");
}

#[tokio::test]
async fn d20_an_identity_hook_is_refused_at_load() {
    let world = World::new(["identity_resolve"]).await;
    let error = loaded(json!([world.entry(json!({"hooks": ["identity.resolve"]}))])).err().unwrap();
    assert!(error.contains("the hook `identity.resolve` cannot be served"), "{error}");
}

#[tokio::test]
async fn d24_conditions_are_the_engines_and_cost_no_call_where_they_exclude() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({"conditions": [{"tools": ["search"]}]})).await;
    for (tool_name, asked) in [("search", true), ("other", false)] {
        let meta = MetaExtension {
            entity_type: Some("tool".to_owned()),
            entity_name: Some(tool_name.to_owned()),
            ..MetaExtension::default()
        };
        let extensions = Extensions { meta: Some(Arc::new(meta)), ..Extensions::default() };
        let result = ask(&engine, TOOL_PRE, tool(denies()), extensions, None).await;
        assert_eq!(code(&result).is_some(), asked, "{tool_name}");
    }
    assert_eq!(world.script.seen().len(), 1);
}

#[test]
fn d24_the_engine_refuses_plugins_without_a_dispatch() {
    let engine = Arc::new(PolicyEngine::default());
    hookwire_praxis::HookwireFactory::new().register(&engine);
    let entry = crate::world::entry("/run/guard.sock".as_ref(), json!({}));
    engine.load_config_yaml(&json!({"plugins": [entry]}).to_string()).unwrap_err();
}
