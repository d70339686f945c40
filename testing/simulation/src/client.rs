//! The client's public API as this simulation uses it, and nothing else of the client.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use hookwire::hooks::{Hook, ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{
    BreakerState, CallOptions, CallPolicy, ConfigError, ConnectionState, GrpcConfig, Overload,
    PluginConfig, PluginContext, PluginError, PluginHandle, PluginResult, PluginStats, RetryPolicy,
    SharedConnections, UnixSocketConfig,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::event::{Bounds, Call, Counters, Outcome, Over, Sample, Sent, Verdict};
use crate::plan::{Payload, Plan, Retry, Settings};
use crate::world::World;
use crate::{server, tap};

fn retry(retry: Retry) -> RetryPolicy {
    match retry {
        Retry::Unsent => RetryPolicy::Unsent,
        Retry::Unstarted => RetryPolicy::Unstarted,
        Retry::Resend => RetryPolicy::Resend,
    }
}

fn config(settings: &Settings) -> Result<PluginConfig, ConfigError> {
    let millis = Duration::from_millis;
    let policy = CallPolicy::builder()
        .timeout(millis(settings.timeout))
        .queue_capacity(settings.queue_capacity)
        .retry(retry(settings.retry))
        .retry_budget(settings.retry_budget)
        .breaker_threshold(settings.breaker_threshold)
        .breaker_max_open(millis(settings.breaker_max_open))
        .stamp(settings.stamp);
    let plugin = PluginConfig::builder("Simulated").policy(policy);
    if settings.over == Over::Grpc {
        let grpc = GrpcConfig::builder()
            .targets((0..settings.servers).map(address))
            .max_in_flight(settings.max_in_flight)
            .connect_timeout(millis(settings.connect_timeout))
            .reconnect_attempts(settings.reconnect_attempts)
            .reconnect_delay(millis(settings.reconnect_delay))
            .max_backoff(millis(settings.max_backoff))
            .keep_alive(settings.keep_alive.map(millis));
        return plugin.grpc(grpc).build();
    }
    let socket = UnixSocketConfig::builder("/simulated.sock")
        .max_connections(settings.max_connections)
        .max_in_flight(settings.max_in_flight)
        .connect_timeout(millis(settings.connect_timeout))
        .reconnect_attempts(settings.reconnect_attempts)
        .reconnect_delay(millis(settings.reconnect_delay))
        .max_backoff(millis(settings.max_backoff))
        .idle_timeout(millis(settings.idle_timeout))
        .keep_alive(settings.keep_alive.map(millis))
        .max_connection_age(settings.max_connection_age.map(millis))
        .stall_limit(millis(settings.stall_limit));
    plugin.unix_socket(socket).build()
}

/// That of a server, by its number.
fn address(server: usize) -> String {
    format!("127.0.0.1:{}", server + 1)
}

fn server(address: &str) -> usize {
    (0..).find(|server| self::address(*server) == address).unwrap_or(0)
}

/// The handles of all plugins, over sockets in memory.
pub fn handles(world: &Arc<World>, settings: &Settings) -> Vec<PluginHandle> {
    let config = config(settings).expect("settings are drawn within their bounds");
    world.set_servers(settings.servers);
    let connections = (settings.plugins > 1).then(SharedConnections::new);
    let handle = |_| {
        let (world, path) = (Arc::clone(world), Arc::clone(world));
        let builder = PluginHandle::builder(config.clone());
        if settings.over == Over::Socket {
            let connect = move || server::connect(Arc::clone(&world), 0);
            let builder = builder.connector(connect);
            return builder.connector_generation(move || path.generation()).connect_lazy();
        }
        let connect = move |address: &str| server::connect(Arc::clone(&world), server(address));
        let builder = builder.connector_to_servers(connect);
        match &connections {
            Some(connections) => builder.connections(connections).connect_lazy(),
            None => builder.connect_lazy(),
        }
    };
    (0..settings.plugins).map(handle).collect()
}

pub fn bounds(settings: &Settings) -> Bounds {
    let max_connections = match settings.over {
        Over::Socket => settings.max_connections,
        Over::Grpc => settings.servers,
    };
    Bounds {
        over: settings.over,
        plugins: settings.plugins,
        max_connections,
        max_in_flight: settings.max_in_flight,
        queue_capacity: settings.queue_capacity,
        connect_timeout: settings.connect_timeout,
        keep_alive: settings.keep_alive.is_some(),
        // Over gRPC servers say when one is too old.
        max_connection_age: settings.max_connection_age.filter(|_| settings.over == Over::Socket),
        log_panics: settings.log_panics,
    }
}

pub fn sample(world: &World, handles: &[PluginHandle]) -> Sample {
    let stats: Vec<_> = handles.iter().map(PluginHandle::stats).collect();
    let most = |gauge: fn(&PluginStats) -> usize| stats.iter().map(gauge).max().unwrap_or(0);
    let bound = stats.iter().map(|stats| (stats.queued, stats.in_flight));
    let fullest = bound.max_by_key(|(queued, in_flight)| queued + in_flight);
    let (queued, in_flight) = fullest.unwrap_or_default();
    Sample {
        waiting: most(|stats| stats.waiting),
        queued,
        in_flight,
        fullest: most(|stats| {
            let loads = stats.connections.iter().map(|all| all.queued + all.in_flight);
            loads.max().unwrap_or(0)
        }),
        connections: stats.iter().map(ready).min().unwrap_or(0),
        breaker_closed: handles.iter().all(|handle| handle.breaker() == BreakerState::Closed),
        shut_down: handles.iter().all(|handle| handle.state() == ConnectionState::Shutdown),
        streams: world.streams(),
    }
}

fn ready(stats: &PluginStats) -> usize {
    stats.connections.iter().filter(|connection| connection.state.is_ready()).count()
}

pub fn counters(handles: &[PluginHandle]) -> Counters {
    let stats: Vec<_> = handles.iter().map(PluginHandle::stats).collect();
    let sum = |counter: fn(&PluginStats) -> u64| stats.iter().map(counter).sum();
    Counters {
        calls: sum(|stats| stats.calls),
        ok: sum(|stats| stats.ok),
        violations: sum(|stats| stats.violations),
        plugin_errors: sum(|stats| stats.plugin_errors),
        failures: sum(|stats| {
            stats.timeouts + stats.refused + stats.mismatches + stats.other_failures
        }),
        panics: sum(|stats| stats.panics),
    }
}

/// Makes a call.
pub async fn call(handle: &PluginHandle, call: Call, plan: &Plan) -> Outcome {
    let mut options = CallOptions::new();
    if let Some(timeout) = plan.timeout {
        options = options.timeout(Duration::from_millis(timeout));
    }
    if let Some(of) = plan.retry {
        options = options.retry(retry(of));
    }
    if plan.refuses {
        options = options.overload(Overload::Refuse);
    }
    let marker = tap::marker(call);
    let mut context = PluginContext::new(&marker);
    if plan.context {
        context.state.insert("asked".into(), json!(marker));
    }
    let context = &mut context;
    match plan.payload {
        Payload::Question => match handle.plugin_config().await {
            Ok(_) => Outcome::Config,
            Err(error) => failed(&error),
        },
        Payload::Typed => {
            let payload = ToolPreInvokePayload::new("t")
                .with_arg("marker", marker)
                .with_arg("pad", "x".repeat(plan.pad));
            let told = handle.with(options).invoke_hook::<ToolPreInvoke>(&payload, context).await;
            outcome(told, |payload| payload.args.as_ref())
        }
        Payload::Json => {
            let payload =
                json!({"name": "t", "args": {"marker": marker, "pad": "x".repeat(plan.pad)}});
            let name = ToolPreInvoke::NAME;
            let told = handle.with(options).invoke_hook_json(name, &payload, context).await;
            outcome(told, |payload| payload.get("args")?.as_object())
        }
        Payload::Panics => {
            let told = handle.with(options).invoke_hook::<Panicking>(&Panics, context).await;
            outcome(told, |payload| payload.as_object())
        }
    }
}

fn outcome<R>(
    told: Result<PluginResult<R>, PluginError>,
    args: impl Fn(&R) -> Option<&Map<String, Value>>,
) -> Outcome {
    let (verdict, words) = match told {
        Ok(result) if result.is_allowed() => {
            let payload = match result.verdict() {
                hookwire::Verdict::Allowed(payload) => payload,
                hookwire::Verdict::Denied(_) => None,
            };
            let args = payload.and_then(args);
            let word =
                |name| args.and_then(|args| args.get(name)?.as_str()).unwrap_or("").to_owned();
            (Verdict::Allow, [word("marker"), word("number"), word("conn")])
        }
        Ok(result) => {
            let words = result.violation().cloned();
            let words = words.map(|told| [told.reason, told.code, told.description]);
            (Verdict::Deny, words.unwrap_or_default())
        }
        Err(error) => {
            let Some(fault) = error.plugin_fault() else { return failed(&error) };
            let (number, conn) = fault.code.split_once('/').unwrap_or_default();
            (Verdict::Fault, [fault.message.clone(), number.to_owned(), conn.to_owned()])
        }
    };
    // What cannot be read is of no call, and the judge finds it.
    let [marker, number, conn] = words;
    let (number, conn) = (number.parse().unwrap_or(0), conn.parse().unwrap_or(0));
    Outcome::Hook { verdict, call: tap::call(&marker).unwrap_or(0), conn, number }
}

fn failed(error: &PluginError) -> Outcome {
    let sent = match error.sent() {
        hookwire::Sent::No => Sent::No,
        hookwire::Sent::Unstarted => Sent::Unstarted,
        hookwire::Sent::Maybe => Sent::Maybe,
    };
    Outcome::Failed { reason: error.reason(), sent }
}

/// A hook whose payload panics.
enum Panicking {}

impl Hook for Panicking {
    const NAME: &'static str = ToolPreInvoke::NAME;
    type Payload = Panics;
    type Modified = Value;
}

struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        resume_unwind(Box::new("a payload that panics"))
    }
}
