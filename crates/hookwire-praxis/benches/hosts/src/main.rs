//! One Python plugin behind the same engine, over two ways: hookwire-praxis and the reference
//! plugin server, and the worker of `cpex-hosts-python`.
//!
//! ```sh
//! cargo run --release --locked --ignore-rust-version \
//!     --manifest-path crates/hookwire-praxis/benches/hosts/Cargo.toml
//! ```
//!
//! Rust 1.96 needs no `--ignore-rust-version`. The host itself makes the virtual environment, below
//! the target folder, of what the tests pin for the reference server, and the server runs in the
//! same: with `python3`, 3.11 or newer, venv and pip. Both processes end with this one.
//!
//! The two take turns for `ROUNDS` rounds, each turn for `TURN` seconds; both can be set in the
//! environment. What counts is the median of the ratios within the rounds.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwire_praxis::HookwireFactory;
use praxis_policy::PolicyEngine;
use praxis_policy::prelude::{CmfHook, ContentPart, Extensions, Message, MessagePayload};
use praxis_policy::prelude::{PluginFactory, Role, ToolCall};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::time::timeout;

const TASKS: usize = 64;
const HOOK: &str = "cmf.tool_pre_invoke";
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../tests/reference");
/// The server needs 3 to 5 s on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(60);

fn main() {
    // The host looks for plugins, and makes their environments, in `plugins` where it runs.
    let here = std::env::current_exe().unwrap();
    let here = here.ancestors().nth(2).unwrap().join("hosts");
    let package = here.join("plugins/waits");
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("__init__.py"), include_str!("../plugin.py")).unwrap();
    std::env::set_current_dir(&here).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(compare(&package));
}

async fn compare(package: &Path) {
    println!("the plugin's environment, below {}; new, it takes minutes", package.display());
    let requirements = Path::new(TESTS).join("requirements.txt").canonicalize().unwrap();
    let host = json!({"class_name": "waits.Waits", "requirements_file": requirements});
    let host = engine("isolated_venv", cpex_hosts_python::IsolatedVenvFactory, host).await;

    let mut server = Server::start(package).await;
    let external = async |mut socket: Value| {
        socket["path"] = json!(server.socket);
        let factory = HookwireFactory::on_runtime(Handle::current());
        engine("external", factory, json!({"unix_socket": socket})).await
    };
    let defaults = external(json!({})).await;
    // As docs/performance.md has it for a plugin that waits.
    let waits = external(json!({"max_connections": TASKS, "max_in_flight": 1})).await;

    let way = |name, engine: &Arc<PolicyEngine>| Way {
        name,
        engine: Arc::clone(engine),
        turns: Vec::new(),
    };
    let both = |engine| [way("hookwire-praxis", engine), way("cpex-hosts-python", &host)];
    let mut loads = [
        Load { name: "returns at once, allows", wait_ms: 0, change: false, ways: both(&defaults) },
        Load { name: "returns at once, changes", wait_ms: 0, change: true, ways: both(&defaults) },
        Load { name: "awaits 20 ms, allows", wait_ms: 20, change: false, ways: both(&waits) },
    ];
    let (rounds, turn) = (number("ROUNDS", 15), number("TURN", 1));
    for round in 0..=rounds {
        for Load { wait_ms, change, ways, .. } in &mut loads {
            check(ways).await;
            for way in ways {
                let measured = run(&way.engine, *wait_ms, *change, Duration::from_secs(turn)).await;
                // The first round warms up.
                way.turns.extend((round > 0).then_some(measured));
            }
        }
    }
    loads.iter().for_each(Load::report);
    println!("{rounds} rounds, {turn} s a turn, {TASKS} tasks: medians (lowest to highest)");
    for engine in [defaults, waits, host] {
        engine.shutdown().await;
    }
    server.child.kill().await.unwrap();
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn engine(
    kind: &str,
    factory: impl PluginFactory + 'static,
    config: Value,
) -> Arc<PolicyEngine> {
    let engine = Arc::new(PolicyEngine::default());
    engine.register_factory(kind, Box::new(factory));
    let entry = json!({"name": "Waits", "kind": kind, "hooks": [HOOK], "config": config});
    let file = json!({"engine_settings": {"dispatch": "hooks"}, "plugins": [entry]});
    engine.load_config_yaml(&file.to_string()).unwrap();
    engine.initialize().await.unwrap();
    engine
}

/// The reference server; killed when dropped.
struct Server {
    socket: PathBuf,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Server {
    async fn start(package: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (socket, file) = (dir.path().join("plugins.sock"), dir.path().join("plugins.yaml"));
        let entry = json!({"name": "Waits", "kind": "waits.Waits", "hooks": ["tool_pre_invoke"]});
        let plugins = json!({"plugins": [entry], "plugin_dirs": []});
        std::fs::write(&file, plugins.to_string()).unwrap();
        let mut child = Command::new(package.join(".venv/bin/python"))
            .current_dir(dir.path())
            .args([&Path::new(TESTS).join("serve.py"), dir.path()])
            .env("PYTHONPATH", package.parent().unwrap())
            .env("PLUGINS_CONFIG_PATH", &file)
            .env("PLUGINS_UNIX_SOCKET_PATH", &socket)
            .env("PLUGINS_LOG_LEVEL", "WARNING")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.trim() == "READY" {
                    return;
                }
            }
            panic!("the reference server did not start, see above");
        };
        timeout(START_LIMIT, ready).await.expect("the reference server is ready in time");
        // Reads on, so that the server never finds its output closed.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { socket, child, _dir: dir }
    }
}

fn message(wait_ms: u64, change: bool) -> MessagePayload {
    let arguments = json!({
        "query": "all about sockets", "page": 2, "exact": true, "tags": ["a", "b"],
        "wait_ms": wait_ms, "change": change,
    });
    let Value::Object(arguments) = arguments else { unreachable!() };
    let call = ToolCall {
        tool_call_id: "call-1".to_owned(),
        name: "search".to_owned(),
        arguments: arguments.into_iter().collect(),
        namespace: None,
    };
    let content = vec![ContentPart::ToolCall { content: call }];
    MessagePayload { message: Message::with_content(Role::Assistant, content) }
}

/// One call, which must be allowed; the process that changed the payload.
async fn call(engine: &PolicyEngine, payload: MessagePayload) -> Option<Value> {
    let (result, _) =
        engine.invoke_named::<CmfHook>(HOOK, payload, Extensions::default(), None).await;
    assert!(result.continue_processing, "{:?}", result.violation);
    assert!(result.errors.is_empty(), "{:?}", result.errors);
    if !result.payload_modified {
        return None;
    }
    let changed = result.modified_payload?;
    let changed = changed.as_any().downcast_ref::<MessagePayload>()?;
    let [ContentPart::ToolCall { content }] = &*changed.message.content else { return None };
    content.arguments.get("process").cloned()
}

/// That each way asks the plugin, in a process of its own, and waits for it.
async fn check([one, other]: &[Way; 2]) {
    let mut processes = Vec::new();
    for way in [one, other] {
        let started = Instant::now();
        let process = call(&way.engine, message(20, true)).await;
        assert!(started.elapsed() >= Duration::from_millis(20), "{} waits", way.name);
        processes.push(process.unwrap_or_else(|| panic!("{} changes the payload", way.name)));
    }
    assert_ne!(processes[0], processes[1]);
}

/// Calls per second, and the median time of a call in ms.
async fn run(engine: &Arc<PolicyEngine>, wait_ms: u64, change: bool, turn: Duration) -> [f64; 2] {
    let started = Instant::now();
    let tasks = Vec::from_iter((0..TASKS).map(|_| {
        let (engine, payload) = (Arc::clone(engine), message(wait_ms, change));
        tokio::spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < turn {
                let began = Instant::now();
                let changed = call(&engine, payload.clone()).await;
                times.push(began.elapsed().as_secs_f64() * 1e3);
                assert_eq!(changed.is_some(), change);
            }
            times
        })
    }));
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    // All that was begun has ended: a way that has its calls wait is not spared them.
    [times.len() as f64 / started.elapsed().as_secs_f64(), spread(times)[1]]
}

struct Way {
    name: &'static str,
    engine: Arc<PolicyEngine>,
    turns: Vec<[f64; 2]>,
}

struct Load {
    name: &'static str,
    wait_ms: u64,
    change: bool,
    ways: [Way; 2],
}

impl Load {
    fn report(&self) {
        println!("{}", self.name);
        for way in &self.ways {
            let of = |figure: usize| spread(way.turns.iter().map(|turn| turn[figure]).collect());
            let ([low, rate, high], [_, time, _]) = (of(0), of(1));
            let name = way.name;
            println!("  {name:<18} {rate:>7.0} ({low:.0} to {high:.0}) calls/s, p50 {time:.1} ms");
        }
        let [one, other] = &self.ways;
        let ratios = one.turns.iter().zip(&other.turns).map(|(one, other)| one[0] / other[0]);
        let [low, ratio, high] = spread(ratios.collect());
        println!("  {:<18} {ratio:>7.2} ({low:.2} to {high:.2}) times the calls/s", "");
    }
}

/// The lowest, the median and the highest.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}
