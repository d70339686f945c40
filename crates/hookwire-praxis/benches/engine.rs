//! What a call costs through the engine, beside the bare handle: `cargo bench --bench engine`.
//!
//! The server is a process of its own, so that CPU is the client's. The ways take turns within
//! one run; what counts are the ratios of their medians. `ROUNDS` and `CALLS` can be set in
//! the environment, and ways be chosen by a part of their name: `-- bare`.
// A program for people: what it cannot do it says and ends.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write, stdin};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hookwire::hooks::{CmfToolPreInvoke, ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{Handlers, PluginServer};
use hookwire::{Hook, PluginConfig, PluginContext, PluginHandle, PluginResult};
use hookwire_praxis::HookwireFactory;
use praxis_policy::PolicyEngine;
use praxis_policy::prelude::{
    AnyHookHandler, CmfHook, ContentPart, Extensions, HookHandler, Message, MessagePayload, Plugin,
    PluginContext as EngineContext, PluginError, PluginFactory, PluginInstance, Role, ToolCall,
    TypedHandlerAdapter,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const TASKS: usize = 64;
const HOOK: &str = "cmf.tool_pre_invoke";

fn main() {
    if let Some(socket) = std::env::var_os("HOOKWIRE_BENCH_SERVER") {
        return serve(Path::new(&socket));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(compare());
}

/// One plugin that allows, one that returns its payload changed; each in both forms.
fn serve(socket: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let allow =
            || Handlers::new().on::<ToolPreInvoke>(|_, _| async { Ok(PluginResult::allow()) });
        let allow_cmf =
            || Handlers::new().on::<CmfToolPreInvoke>(|_, _| async { Ok(PluginResult::allow()) });
        let echo = Handlers::new()
            .on::<ToolPreInvoke>(|payload, _| async { Ok(PluginResult::modify(payload)) });
        let echo_cmf = Handlers::new()
            .on::<CmfToolPreInvoke>(|payload, _| async { Ok(PluginResult::modify(payload)) });
        let server = PluginServer::builder()
            .plugin("Allow", allow())
            .plugin("AllowCmf", allow_cmf())
            .plugin("Echo", echo)
            .plugin("EchoCmf", echo_cmf)
            .bind(socket)
            .await
            .unwrap();
        println!("ready");
        std::io::stdout().flush().unwrap();
        // Until the parent is gone.
        tokio::task::spawn_blocking(|| stdin().read(&mut [0])).await.unwrap().unwrap();
        drop(server);
    });
    std::process::exit(0);
}

struct Server {
    child: Child,
    dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env("HOOKWIRE_BENCH_SERVER", dir.path().join("bench.sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        Self { child, dir }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("bench.sock")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A plugin in the engine's own process that does nothing.
struct Nothing(praxis_policy::prelude::PluginConfig);

impl Plugin for Nothing {
    fn config(&self) -> &praxis_policy::prelude::PluginConfig {
        &self.0
    }
}

impl HookHandler<CmfHook> for Nothing {
    async fn handle(
        &self,
        _: &MessagePayload,
        _: &Extensions,
        _: &mut EngineContext,
    ) -> praxis_policy::prelude::PluginResult<MessagePayload> {
        praxis_policy::prelude::PluginResult::allow()
    }
}

struct NothingFactory;

impl PluginFactory for NothingFactory {
    fn create(
        &self,
        config: &praxis_policy::prelude::PluginConfig,
    ) -> Result<PluginInstance, Box<PluginError>> {
        let plugin = Arc::new(Nothing(config.clone()));
        let handler: Arc<dyn AnyHookHandler> =
            Arc::new(TypedHandlerAdapter::<CmfHook, _>::new(Arc::clone(&plugin)));
        Ok(PluginInstance { plugin, handlers: vec![(HOOK, handler)] })
    }
}

async fn engine(factory: HookwireFactory, entry: Value) -> Arc<PolicyEngine> {
    let engine = Arc::new(PolicyEngine::default());
    factory.register(&engine);
    engine.register_factory("nothing", Box::new(NothingFactory));
    let config = json!({"engine_settings": {"dispatch": "hooks"}, "plugins": [entry]});
    engine.load_config_yaml(&config.to_string()).unwrap();
    engine.initialize().await.unwrap();
    engine
}

fn arguments() -> Value {
    json!({"query": "all about sockets", "page": 2, "exact": true, "tags": ["a", "b"], "limit": 0.5})
}

fn message() -> MessagePayload {
    let Value::Object(arguments) = arguments() else { unreachable!() };
    let call = ToolCall {
        tool_call_id: "call-1".to_owned(),
        name: "search".to_owned(),
        arguments: arguments.into_iter().collect(),
        namespace: None,
    };
    let message =
        Message::with_content(Role::Assistant, vec![ContentPart::ToolCall { content: call }]);
    MessagePayload { message }
}

/// One way to make a call.
#[async_trait]
trait Way: Send + Sync {
    async fn call(&self);
}

/// The handle with hookwire's own payload, which says the same.
struct Bare<H: Hook>(PluginHandle, H::Payload);

#[async_trait]
impl<H> Way for Bare<H>
where
    H: Hook,
    H::Payload: Clone,
{
    async fn call(&self) {
        let payload = self.1.clone();
        let mut context = PluginContext::new("request-1");
        let result = self.0.invoke_hook::<H>(&payload, &mut context).await.unwrap();
        assert!(result.is_allowed());
    }
}

struct Through(Arc<PolicyEngine>, MessagePayload);

#[async_trait]
impl Way for Through {
    async fn call(&self) {
        let payload = self.1.clone();
        let (result, _) =
            self.0.invoke_named::<CmfHook>(HOOK, payload, Extensions::default(), None).await;
        assert!(result.continue_processing, "{:?}", result.violation);
    }
}

struct Contestant {
    name: &'static str,
    way: Arc<dyn Way>,
    cpu: Vec<f64>,
    rate: Vec<f64>,
}

async fn compare() {
    let server = Server::start();
    let external = |plugin: &str| {
        json!({"name": plugin, "kind": "external", "hooks": [HOOK],
               "config": {"unix_socket": {"path": server.socket()}}})
    };
    let handle = async |plugin: &str| {
        let config = PluginConfig::builder(plugin).socket(server.socket()).build().unwrap();
        PluginHandle::connect(config).await.unwrap()
    };
    let Value::Object(args) = arguments() else { unreachable!() };
    let payload = ToolPreInvokePayload::new("search").with_args(args);
    let own = HookwireFactory::new;
    let here = HookwireFactory::on_runtime(tokio::runtime::Handle::current());
    let through = async |factory, entry| {
        let way: Arc<dyn Way> = Arc::new(Through(engine(factory, entry).await, message()));
        way
    };
    let nothing = json!({"name": "Nothing", "kind": "nothing", "hooks": [HOOK]});
    let legacy = async |plugin: &str| {
        let way = Bare::<ToolPreInvoke>(handle(plugin).await, payload.clone());
        Arc::new(way) as Arc<dyn Way>
    };
    let cmf = async |plugin: &str| {
        let message = serde_json::to_value(message()).unwrap();
        let mut payload: hookwire::hooks::MessagePayload = serde_json::from_value(message).unwrap();
        payload.hook = "tool_pre_invoke".to_owned();
        let way = Bare::<CmfToolPreInvoke>(handle(plugin).await, payload);
        Arc::new(way) as Arc<dyn Way>
    };
    let ways: Vec<(&'static str, Arc<dyn Way>)> = vec![
        ("bare handle, legacy, allows", legacy("Allow").await),
        ("  engine, on a thread of its own", through(own(), external("Allow")).await),
        ("  engine, on the host's runtime", through(here.clone(), external("Allow")).await),
        ("bare handle, cmf, allows", cmf("AllowCmf").await),
        ("  engine, on a thread of its own", through(own(), external("AllowCmf")).await),
        ("  engine, on the host's runtime", through(here.clone(), external("AllowCmf")).await),
        ("bare handle, legacy, changes", legacy("Echo").await),
        ("  engine, on a thread of its own", through(own(), external("Echo")).await),
        ("  engine, on the host's runtime", through(here.clone(), external("Echo")).await),
        ("bare handle, cmf, changes", cmf("EchoCmf").await),
        ("  engine, on a thread of its own", through(own(), external("EchoCmf")).await),
        ("  engine, on the host's runtime", through(here, external("EchoCmf")).await),
        ("engine, plugin that does nothing", through(own(), nothing).await),
    ];
    let contestant = |(name, way)| Contestant { name, way, cpu: Vec::new(), rate: Vec::new() };
    let mut contestants = Vec::from_iter(ways.into_iter().map(contestant));
    let chosen = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    contestants.retain(|contestant| contestant.name.contains(&chosen));
    let (rounds, calls) = (number("ROUNDS", 9), number("CALLS", 64_000));
    for round in 0..=rounds {
        for contestant in &mut contestants {
            let (cpu, rate) = run(&contestant.way, calls).await;
            // The first round warms up.
            if round > 0 {
                contestant.cpu.push(cpu);
                contestant.rate.push(rate);
            }
        }
    }
    report(&contestants, rounds, calls);
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The client's CPU per call in µs, and calls per second.
async fn run(way: &Arc<dyn Way>, calls: usize) -> (f64, f64) {
    let (started, cpu) = (Instant::now(), cpu_time());
    let tasks = Vec::from_iter((0..TASKS).map(|_| {
        let way = Arc::clone(way);
        tokio::spawn(async move {
            for _ in 0..calls / TASKS {
                way.call().await;
            }
        })
    }));
    for task in tasks {
        task.await.unwrap();
    }
    let calls = (calls / TASKS * TASKS) as f64;
    let (cpu, elapsed) = (cpu_time() - cpu, started.elapsed());
    (cpu.as_secs_f64() * 1e6 / calls, calls / elapsed.as_secs_f64())
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(contestants: &[Contestant], rounds: usize, calls: usize) {
    println!(
        "{rounds} rounds of {calls} calls by {TASKS} tasks; medians, and times the bare handle above"
    );
    println!("{:<34} {:>9} {:>10} {:>7} {:>7}", "", "µs CPU", "calls/s", "CPU", "rate");
    let mut bare = (f64::NAN, f64::NAN);
    for Contestant { name, cpu, rate, .. } in contestants {
        let (cpu, rate) = (median(cpu), median(rate));
        if name.starts_with("bare") {
            bare = (cpu, rate);
        }
        let (more, fewer) = (cpu / bare.0, rate / bare.1);
        println!("{name:<34} {cpu:>9.1} {rate:>10.0} {more:>6.2}x {fewer:>6.2}x");
    }
}
