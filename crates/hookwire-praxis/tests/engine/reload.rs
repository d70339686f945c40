//! Engines that take over from one another, and share a plugin's connections.

use std::sync::Arc;

use serde_json::json;

use crate::world::{World, call, code, file, in_time};

/// The trap: the old engine's shutdown must not end the new one's calls.
#[tokio::test]
async fn d23_the_old_engines_shutdown_leaves_the_new_ones_calls_alone() {
    let world = World::new(["tool_pre_invoke"]).await;
    let old = world.engine(json!({})).await;
    let new = world.engine(json!({})).await;
    let waiting = tokio::spawn({
        let new = Arc::clone(&new);
        async move { code(&call(&new, json!({"wait": true})).await).map(str::to_owned) }
    });
    in_time(async {
        while world.script.seen().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    in_time(old.shutdown()).await;
    world.script.gate.add_permits(1);
    assert_eq!(in_time(waiting).await.unwrap(), None);
    assert_eq!(code(&call(&new, json!({})).await), None);
}

#[tokio::test]
async fn d23_the_last_engine_that_uses_a_plugin_drains_it() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let waiting = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { code(&call(&engine, json!({"wait": true})).await).map(str::to_owned) }
    });
    in_time(async {
        while world.script.seen().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    let stopping = tokio::spawn(async move { engine.shutdown().await });
    world.script.gate.add_permits(1);
    // The call that was under way ends as it should.
    assert_eq!(in_time(waiting).await.unwrap(), None);
    in_time(stopping).await.unwrap();
    in_time(async {
        while world.open_connections() > 0 {
            tokio::task::yield_now().await
        }
    })
    .await;
    // And an engine that is made later gets a handle of its own.
    let next = world.engine(json!({})).await;
    assert_eq!(code(&call(&next, json!({})).await), None);
}

#[tokio::test]
async fn d22_entries_that_are_configured_alike_share_their_connections() {
    let world = World::new(["tool_pre_invoke"]).await;
    let one = json!({"path": world.socket(), "max_connections": 1});
    let keys = |priority: i32| json!({"priority": priority, "config": {"unix_socket": one}});
    let mut engines = Vec::new();
    for priority in 0..4 {
        engines.push(world.engine(keys(priority)).await);
    }
    for engine in &engines {
        assert_eq!(code(&call(engine, json!({})).await), None);
    }
    assert_eq!(world.open_connections(), 1);
    // Another setting is another handle.
    let other = json!({"path": world.socket(), "max_connections": 1, "timeout": 3});
    let other = world.engine(json!({"config": {"unix_socket": other}})).await;
    assert_eq!(code(&call(&other, json!({})).await), None);
    assert_eq!(world.open_connections(), 2);
    // One that is dropped without a shutdown gives its share back too.
    drop(engines);
    in_time(async {
        while world.open_connections() > 1 {
            tokio::task::yield_now().await
        }
    })
    .await;
}

#[tokio::test]
async fn d23_the_same_engine_takes_no_plugin_twice() {
    let world = World::new(["tool_pre_invoke"]).await;
    let engine = world.engine(json!({})).await;
    let error = engine.load_config_yaml(&file(json!([world.entry(json!({}))]))).unwrap_err();
    assert!(error.to_string().contains("already registered"), "{error}");
    assert_eq!(code(&call(&engine, json!({})).await), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d23_reloads_under_load_lose_no_call() {
    let world = World::new(["tool_pre_invoke", "cmf.tool_pre_invoke"]).await;
    let current = Arc::new(std::sync::RwLock::new(world.engine(json!({})).await));
    let running = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let callers = Vec::from_iter((0..8).map(|_| {
        let (current, running) = (Arc::clone(&current), Arc::clone(&running));
        tokio::spawn(async move {
            let mut calls = 0;
            while running.load(std::sync::atomic::Ordering::Relaxed) {
                let engine = Arc::clone(&current.read().unwrap());
                assert_eq!(code(&call(&engine, json!({})).await), None);
                calls += 1;
            }
            calls
        })
    }));
    for _ in 0..20 {
        let next = world.engine(json!({})).await;
        let old = std::mem::replace(&mut *current.write().unwrap(), next);
        // As hosts do: once nobody holds it any more.
        in_time(async {
            while Arc::strong_count(&old) > 1 {
                tokio::task::yield_now().await
            }
        })
        .await;
        in_time(old.shutdown()).await;
    }
    running.store(false, std::sync::atomic::Ordering::Relaxed);
    for caller in callers {
        assert!(in_time(caller).await.unwrap() > 0);
    }
}
