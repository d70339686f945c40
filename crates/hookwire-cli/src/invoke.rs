//! `hookwire invoke`: one call of one hook.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire::{CallPolicy, PluginConfig, PluginContext, PluginResult, UnixSocketConfig};
use serde::Serialize;
use serde_json::Value;

use crate::failure::{self, Failure};
use crate::target::Retry;
use crate::{input, target};

/// Call one hook and print {"result": {...}, "context": {...}}.
///
/// The context is the one after the call: what the plugin left in it for later
/// hooks of the same request can be passed to the next call with --context.
#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// The plugin server's Unix socket, as an absolute path.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The plugin's name, with exact case.
    #[arg(long, value_name = "NAME")]
    plugin: String,
    /// The hook type, such as tool_pre_invoke.
    #[arg(long, value_name = "HOOK")]
    hook: String,
    /// The hook's payload: a JSON object, @FILE, or - for stdin.
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    payload: String,
    /// The context: {"global_context": {"request_id": ...}, "state": {...},
    /// "metadata": {...}}, all optional; also @FILE or -. Default: an empty one
    /// with a request id of its own.
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    context: Option<String>,
    /// The time for the whole call, in seconds.
    #[arg(long, value_name = "SECS", default_value = "30", value_parser = input::seconds)]
    timeout: Duration,
    /// What may be sent again after the connection broke.
    #[arg(long, value_enum, default_value_t)]
    retry: Retry,
    /// Call the hook even if it is no built-in one.
    #[arg(long)]
    any_hook: bool,
}

#[derive(Serialize)]
struct Output {
    result: PluginResult<Value>,
    context: PluginContext,
}

impl Invoke {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        if self.payload == "-" && self.context.as_deref() == Some("-") {
            return Err(Failure::usage("--payload and --context cannot both be read from stdin"));
        }
        let socket = UnixSocketConfig::builder(&self.socket).max_connections(1);
        let policy = CallPolicy::builder().timeout(self.timeout).retry(self.retry.into());
        let plugin = PluginConfig::builder(&self.plugin).unix_socket(socket).policy(policy);
        let handle = target::handle(plugin, self.any_hook.then_some(&self.hook))?;
        let payload = Value::Object(input::object("--payload", &self.payload)?);
        let mut context = input::context(self.context.as_deref())?;

        let result = handle.invoke_hook_json(&self.hook, &payload, &mut context).await?;
        failure::print_json(&Output { result, context })?;
        Ok(ExitCode::SUCCESS)
    }
}
