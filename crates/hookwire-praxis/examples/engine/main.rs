//! A host with a policy engine, whose configuration is reloaded while requests come in.
//!
//! `cargo run --example engine` brings a plugin server of its own along; with a file as its
//! argument it uses the one that the file names, and asks it about tool calls. After five
//! seconds it says what happened and ends: with an error if a call was lost.
// A program for people: what it cannot do it says and ends.
#![allow(clippy::unwrap_used)]

mod plugins;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hookwire_praxis::HookwireFactory;
use praxis_policy::PolicyEngine;
use praxis_policy::prelude::{
    CmfHook, ContentPart, Extensions, Message, MessagePayload, Role, ToolCall,
};
use serde_json::json;
use tokio::runtime::Handle;

type Error = Box<dyn std::error::Error>;

/// An engine as the file has it now, with its plugins' servers asked.
async fn engine(factory: &HookwireFactory, file: &str) -> Result<Arc<PolicyEngine>, Error> {
    let engine = Arc::new(PolicyEngine::default());
    // Beside the host's other factories.
    factory.register(&engine);
    engine.load_config_yaml(file)?;
    engine.initialize().await?;
    Ok(engine)
}

/// The engine that requests go to.
type Current = Arc<RwLock<Arc<PolicyEngine>>>;

/// Puts a new engine in the old one's place, and lets the old one's requests end.
async fn reload(current: &Current, factory: &HookwireFactory, file: &str) -> Result<(), Error> {
    // Where this fails, the old engine stays.
    let next = engine(factory, file).await?;
    let old = std::mem::replace(&mut *current.write().unwrap(), next);
    while Arc::strong_count(&old) > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    old.shutdown().await;
    Ok(())
}

/// What the host asks before it runs a tool.
async fn may_run(engine: &PolicyEngine, text: &str) -> Result<(), String> {
    let call = ToolCall {
        tool_call_id: "call-1".to_owned(),
        name: "search".to_owned(),
        arguments: [("text".to_owned(), json!(text))].into(),
        namespace: None,
    };
    let message =
        Message::with_content(Role::Assistant, vec![ContentPart::ToolCall { content: call }]);
    let payload = MessagePayload { message };
    let (result, _) = engine
        .invoke_named::<CmfHook>("cmf.tool_pre_invoke", payload, Extensions::default(), None)
        .await;
    match result.violation {
        Some(violation) => Err(violation.code),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Counts {
    allowed: AtomicU64,
    denied: AtomicU64,
    lost: AtomicU64,
}

/// Asks about one request after the other, with the engine that is current then.
async fn ask(current: Current, counts: Arc<Counts>, running: Arc<AtomicBool>) {
    while running.load(Relaxed) {
        for text in ["a plan", "a secret plan"] {
            let engine = Arc::clone(&current.read().unwrap());
            let count = match may_run(&engine, text).await {
                Ok(()) => &counts.allowed,
                // The engine's own codes for a plugin that could not be asked.
                Err(code) if ["plugin_error", "plugin_timeout"].contains(&code.as_str()) => {
                    &counts.lost
                }
                Err(_) => &counts.denied,
            };
            count.fetch_add(1, Relaxed);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).init();
    let dir = tempfile::tempdir()?;
    let (file, _server) = match std::env::args().nth(1) {
        Some(path) => (std::fs::read_to_string(path)?, None),
        None => {
            let socket = dir.path().join("guard.sock");
            let server = plugins::serve(&socket).await?;
            let file = include_str!("engine.yaml");
            let file = file.replace("/run/plugins/guard.sock", &socket.to_string_lossy());
            (file, Some(server))
        }
    };
    // One for the life of the process: its clones share the connections of plugins that are
    // configured alike. This runtime lives as long; where none does, `HookwireFactory::new()`.
    let factory = HookwireFactory::on_runtime(Handle::current());
    let current: Current = Arc::new(RwLock::new(engine(&factory, &file).await?));
    let (counts, running) = (Arc::<Counts>::default(), Arc::new(AtomicBool::new(true)));
    let callers = Vec::from_iter((0..16).map(|_| {
        tokio::spawn(ask(Arc::clone(&current), Arc::clone(&counts), Arc::clone(&running)))
    }));
    let mut reloads = 0;
    let end = tokio::time::Instant::now() + Duration::from_secs(5);
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(250)).await;
        reload(&current, &factory, &file).await?;
        reloads += 1;
    }
    running.store(false, Relaxed);
    for caller in callers {
        caller.await?;
    }
    let last = Arc::clone(&current.read().unwrap());
    last.shutdown().await;
    let Counts { allowed, denied, lost } = &*counts;
    println!("{reloads} reloads; {allowed:?} calls allowed, {denied:?} denied, {lost:?} lost");
    if lost.load(Relaxed) > 0 { Err("calls were lost".into()) } else { Ok(()) }
}
