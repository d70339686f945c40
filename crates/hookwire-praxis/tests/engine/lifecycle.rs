//! Runtimes that go, and engines that are made and thrown away.

use hookwire_praxis::HookwireFactory;
use praxis_policy::PolicyEngine;
use serde_json::json;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

use crate::world::{World, call, code, file, in_time, loaded};

/// The trap: a host initialises its engine on a runtime that it throws away.
#[test]
fn d4_a_plugin_outlives_the_runtime_that_it_was_initialised_on() {
    let servers = Runtime::new().unwrap();
    let world = servers.block_on(World::new(["tool_pre_invoke"]));
    let engine = loaded(json!([world.entry(json!({}))])).unwrap();
    let start = Builder::new_current_thread().enable_all().build().unwrap();
    start.block_on(engine.initialize()).unwrap();
    start.block_on(async { assert_eq!(code(&call(&engine, json!({})).await), None) });
    drop(start);
    let calls = Builder::new_current_thread().enable_all().build().unwrap();
    calls.block_on(async { assert_eq!(code(&call(&engine, json!({})).await), None) });
    assert_eq!(world.script.seen().len(), 2);
}

/// Each call on a runtime of its own, none of which is driven between the calls.
#[test]
fn d4_calls_may_come_from_any_runtime() {
    let servers = Runtime::new().unwrap();
    let world = servers.block_on(World::new(["tool_pre_invoke"]));
    let engine = loaded(json!([world.entry(json!({"config": {"start": "lazy"}}))])).unwrap();
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let runtimes = [runtime(), runtime()];
    for round in 0..4 {
        runtimes[round % 2].block_on(async {
            assert_eq!(code(&call(&engine, json!({})).await), None);
        });
    }
}

#[test]
fn d4_a_host_may_name_the_runtime() {
    let named = Runtime::new().unwrap();
    let world = named.block_on(World::new(["tool_pre_invoke"]));
    let engine = Arc::new(PolicyEngine::default());
    HookwireFactory::on_runtime(named.handle().clone()).register(&engine);
    engine.load_config_yaml(&file(json!([world.entry(json!({}))]))).unwrap();
    let calls = Builder::new_current_thread().enable_all().build().unwrap();
    calls.block_on(async {
        in_time(engine.initialize()).await.unwrap();
        assert_eq!(code(&call(&engine, json!({})).await), None);
    });
}

#[tokio::test]
async fn an_engine_that_was_shut_down_denies() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    in_time(engine.shutdown()).await;
    assert_eq!(code(&call(&engine, json!({})).await), Some("plugin_error"));
}
