//! The call that a command makes, and how the plugin is reached.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hookwire::config::CallPolicyBuilder;
use hookwire::{BigIntegers, CallPolicy, DeepNesting, HookRegistry, PluginHandle, RetryPolicy};
use serde_json::Value;

use crate::failure::Failure;
use crate::input;
use crate::place::{Limits, Place};

// What `invoke` and `bench` have in common. (A doc comment would become the help of both.)
#[derive(Debug, Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The plugin's name, with exact case.
    #[arg(long, value_name = "NAME")]
    plugin: String,
    /// The hook type, such as tool_pre_invoke.
    #[arg(long, value_name = "HOOK")]
    pub(crate) hook: String,
    /// The hook's payload: a JSON object, @FILE, or - for stdin.
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) payload: String,
    /// The time for a whole call, in seconds.
    #[arg(long, value_name = "SECS", default_value = input::TIMEOUT.as_str(), value_parser = input::seconds, allow_negative_numbers = true)]
    timeout: Duration,
    /// What may be sent again after the connection broke.
    #[arg(long, value_enum, default_value_t)]
    retry: Retry,
    /// What becomes of integers beyond 2^53, which the protocol cannot carry.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    big_integers: BigInteger,
    /// What becomes of objects and lists that nest too deep for the server.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    deep_nesting: Nesting,
    /// The longest message in both directions, in bytes; its server must allow as much. Default:
    /// 16 MiB; of requests over gRPC 4 MiB, the most that the reference's server takes.
    #[arg(long, value_name = "BYTES", value_parser = input::whole::<usize>(input::FRAME_LEN), allow_negative_numbers = true)]
    max_frame_len: Option<usize>,
    /// Call the hook even if it is no built-in one.
    #[arg(long)]
    any_hook: bool,
}

impl Target {
    pub(crate) fn payload(&self) -> Result<Value, Failure> {
        input::object("--payload", &self.payload).map(Value::Object)
    }

    pub(crate) fn policy(&self) -> CallPolicyBuilder {
        CallPolicy::builder()
            .timeout(self.timeout)
            .retry(self.retry.into())
            .big_integers(self.big_integers.into())
            .deep_nesting(self.deep_nesting.into())
    }

    /// A handle to the plugin at this place, which may be another than the target's. It connects
    /// with the first call and asks the server nothing.
    pub(crate) fn handle(
        &self,
        place: &Place,
        connections: usize,
        policy: CallPolicyBuilder,
    ) -> Result<PluginHandle, Failure> {
        let limits = Limits { connections: Some(connections), message_len: self.max_frame_len };
        let config = place.build(place.plugin(&self.plugin, limits)?.policy(policy))?;
        let mut registry = HookRegistry::builtin();
        if self.hook.is_empty() {
            return Err(Failure::usage("--hook must not be empty"));
        }
        if !registry.contains(&self.hook) {
            if !self.any_hook {
                return Err(Failure::unknown_hook(&self.hook, registry.nearest(&self.hook)));
            }
            registry = registry.register(self.hook.clone());
        }
        Ok(PluginHandle::builder(config).registry(registry).connect_lazy())
    }
}

/// `--retry`, in the words of the configuration.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Retry {
    /// Only what was certainly not sent is sent again: no hook runs twice.
    #[default]
    Unsent,
    /// What was sent behind an unanswered call is sent again too: a server that works in
    /// order has not begun it.
    Unstarted,
    /// What may have been sent is sent again too: the hook may run twice.
    Resend,
}

impl From<Retry> for RetryPolicy {
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::Unsent => Self::Unsent,
            Retry::Unstarted => Self::Unstarted,
            Retry::Resend => Self::Resend,
        }
    }
}

/// `--big-integers`, in the words of the configuration.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum BigInteger {
    /// The call is refused before anything is sent.
    #[default]
    Refuse,
    /// The plugin sees the nearest number that can be carried.
    Round,
}

impl From<BigInteger> for BigIntegers {
    fn from(big: BigInteger) -> Self {
        match big {
            BigInteger::Refuse => Self::Refuse,
            BigInteger::Round => Self::Round,
        }
    }
}

/// `--deep-nesting`, in the words of the configuration.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Nesting {
    /// The call is refused before anything is sent.
    #[default]
    Refuse,
    /// The plugin sees what is too deep as one string of JSON.
    Text,
}

impl From<Nesting> for DeepNesting {
    fn from(nesting: Nesting) -> Self {
        match nesting {
            Nesting::Refuse => Self::Refuse,
            Nesting::Text => Self::Text,
        }
    }
}
