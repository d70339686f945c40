//! `hookwire invoke`: one call of one hook.

use std::process::ExitCode;

use clap::Args;
use hookwire::{ErrorKind, PluginContext, PluginResult};
use serde::Serialize;
use serde_json::Value;

use crate::failure::{self, Failure};
use crate::target::Target;
use crate::{advice, input, payload};

/// Exit code of a denial, with `--exit-code`.
const DENIED: u8 = 3;

/// Call one hook and print {"result": {...}, "context": {...}}.
///
/// The context is the one after the call: what the plugin left in it for later
/// hooks of the same request can be passed to the next call with --context.
#[derive(Debug, Args)]
pub(crate) struct Invoke {
    #[command(flatten)]
    target: Target,
    /// The context: {"global_context": {"request_id": ...}, "state": {...},
    /// "metadata": {...}}, all optional; also @FILE or -. Default: an empty one
    /// with a request id of its own.
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    context: Option<String>,
    /// Print the result over several lines.
    #[arg(long)]
    pretty: bool,
    /// Exit with 3 if the plugin denies.
    #[arg(long)]
    exit_code: bool,
}

#[derive(Serialize)]
struct Output {
    result: PluginResult<Value>,
    context: PluginContext,
}

impl Invoke {
    pub(crate) async fn run(self, json: bool) -> Result<ExitCode, Failure> {
        let Self { target, context, pretty, exit_code } = self;
        if target.payload == "-" && context.as_deref() == Some("-") {
            return Err(Failure::usage("--payload and --context cannot both be read from stdin"));
        }
        let handle = target.handle(&target.place, 1, target.policy())?;
        let payload = target.payload()?;
        let mut context = input::context(context.as_deref())?;
        let misfit = payload::misfit(&target.hook, &payload);

        let result = match handle.invoke_hook_json(&target.hook, &payload, &mut context).await {
            Ok(result) => result,
            // A denial that its server could not write in full is one all the same.
            Err(error) if error.is_denial() && exit_code => {
                return Err(Failure::from(error).with_code(DENIED));
            }
            Err(error) if error.kind() == ErrorKind::Plugin => {
                let advice = advice::ask(&handle, &target.hook).await.or(misfit);
                return Err(Failure::from(error).with_advice(advice));
            }
            Err(error) => return Err(target.place.failed(error)),
        };
        if let Some(misfit) = misfit {
            failure::warn(json, &misfit);
        }
        let denied = !result.is_allowed();
        failure::print_json(&Output { result, context }, pretty)?;
        Ok(if denied && exit_code { DENIED.into() } else { ExitCode::SUCCESS })
    }
}
