//! The first part: one typed call through each plugin, before and after.

use std::time::Instant;

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::model::Object;
use hookwire::{PluginContext, PluginResult, Verdict};
use serde_json::Value;

use super::heading;
use super::scene::Scene;
use super::table::Part;
use crate::failure::{Failure, print};
use crate::plugins::{DENY, ECHO, REPLACE};
use crate::tally::Tally;

/// Each plugin, what it is for, and what it is called with.
const CALLS: [(&str, &str, &str); 3] = [
    (REPLACE, "rewrites words in the arguments", "what the crap is this?"),
    (DENY, "refuses calls that hold a forbidden word", "my password is hunter2"),
    (ECHO, "returns what it gets", "hello"),
];

const CODE: &str = "\
Before the gateway runs a tool, it asks each plugin:

    handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await?";

pub(super) async fn show(scene: &Scene) -> Result<Part, Failure> {
    heading("1. Three plugins, one typed call each")?;
    print(CODE)?;
    let mut tally = Tally::new()?;
    let mut reconnects = 0;
    for (number, (plugin, purpose, text)) in CALLS.into_iter().enumerate() {
        let handle = scene.connect(plugin, |socket| socket).await?;
        let payload = ToolPreInvokePayload::new("search").with_arg("text", text);
        let mut context = PluginContext::new(format!("request-{number}"));
        let started = Instant::now();
        let outcome = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
        tally.record(started.elapsed(), &outcome);
        reconnects += handle.stats().reconnects;

        print(format_args!("\n  {plugin} {purpose}"))?;
        print(format_args!("    before  {}", shown(payload.args)))?;
        print(format_args!("    after   {}", verdict(outcome?)))?;
    }
    Ok(Part { tally, elapsed: None, reconnects })
}

fn verdict(result: PluginResult<ToolPreInvokePayload>) -> String {
    match result.into_verdict() {
        Verdict::Denied(Some(violation)) if violation.code.is_empty() => {
            format!("DENIED: {}", violation.description)
        }
        Verdict::Denied(Some(violation)) => {
            format!("DENIED: {}\n            [{}]", violation.description, violation.code)
        }
        Verdict::Denied(None) => "DENIED".to_owned(),
        Verdict::Allowed(Some(payload)) => shown(payload.args),
        Verdict::Allowed(None) => "allowed as it is".to_owned(),
    }
}

fn shown(args: Option<Object>) -> String {
    Value::from(args).to_string()
}
