//! A server's result, as the engine takes it.

use std::any::Any;
use std::collections::HashMap;

use hookwire::model::Headers;
use hookwire::{PluginResult, PluginViolation, Verdict};
use praxis_policy_core::cmf::MessagePayload;
use praxis_policy_core::error as engine;
use praxis_policy_core::executor::ErasedResultFields;
use praxis_policy_core::extensions::{Guarded, OwnedExtensions};
use praxis_policy_core::hooks::{Extensions, PluginPayload};
use serde_json::Value;

/// What the executor unpacks.
pub(crate) type Erased = Box<dyn Any + Send + Sync>;

/// The request goes on, with this message in place of its own if there is one.
pub(crate) fn allowed(
    modified: Option<MessagePayload>,
    modified_extensions: Option<OwnedExtensions>,
) -> Erased {
    Box::new(ErasedResultFields {
        continue_processing: true,
        modified_payload: modified.map(|message| Box::new(message) as Box<dyn PluginPayload>),
        modified_extensions,
        violation: None,
    })
}

/// The request stops. A message that the plugin changed all the same goes nowhere; without a
/// violation the engine makes one.
pub(crate) fn denied(violation: Option<engine::PluginViolation>) -> Erased {
    Box::new(ErasedResultFields {
        continue_processing: false,
        modified_payload: None,
        modified_extensions: None,
        violation,
    })
}

/// Why the request stops; `None` for a result that allows.
pub(crate) fn of<P>(result: &PluginResult<P>) -> Option<Erased> {
    let Verdict::Denied(violation) = result.verdict() else { return None };
    let mut violation = violation.map(told);
    let delay = result.retry_delay();
    let headers = result.http_headers().filter(|headers| !headers.is_empty());
    if delay.is_some() || headers.is_some() {
        let violation = violation.get_or_insert_with(|| {
            engine::PluginViolation::new("plugin_deny", "the plugin denied the request")
        });
        if let Some(delay) = delay {
            let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            violation.details.entry("retry_delay_ms".to_owned()).or_insert(delay.into());
        }
        if let Some(headers) = headers {
            let headers = object(headers);
            violation.details.entry("http_headers".to_owned()).or_insert(headers);
        }
    }
    Some(denied(violation))
}

/// The violation, field by field. The protocol code is the plugin's, never the HTTP status: a
/// host hands it on as the code of a JSON-RPC error.
pub(crate) fn told(violation: &PluginViolation) -> engine::PluginViolation {
    let mut details: HashMap<String, Value> =
        violation.details.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    // A plugin's own details of these names stay.
    if let Some(status) = violation.http_status_code {
        details.entry("http_status_code".to_owned()).or_insert(status.into());
    }
    if let Some(headers) = violation.http_headers.as_ref().filter(|headers| !headers.is_empty()) {
        details.entry("http_headers".to_owned()).or_insert_with(|| object(headers));
    }
    engine::PluginViolation {
        code: violation.code.clone(),
        reason: violation.reason.clone(),
        description: Some(&violation.description).filter(|text| !text.is_empty()).cloned(),
        details,
        // The engine sets it.
        plugin_name: None,
        proto_error_code: violation.mcp_error_code,
    }
}

fn object(headers: &Headers) -> Value {
    headers.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect()
}

/// The extensions with the result's headers for the client, where the plugin may write them
/// and sees those that are there: the engine would take what it does not see for removed.
pub(crate) fn headers<P>(
    result: &PluginResult<P>,
    extensions: &Extensions,
) -> Option<OwnedExtensions> {
    let headers = result.http_headers().filter(|headers| !headers.is_empty())?;
    extensions.http_write_token.as_ref()?;
    extensions.http.as_ref()?;
    let mut owned = extensions.cow_copy();
    let token = owned.http_write_token.as_ref()?;
    let http: &mut Guarded<_> = owned.http.as_mut()?;
    for (name, value) in headers {
        http.write(token).set_response_header(name, value);
    }
    Some(owned)
}
