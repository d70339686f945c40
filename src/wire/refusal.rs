//! A refusal that cannot be read whole is still a refusal.
//!
//! A plugin that says no, and gives a header or a code in a form that nobody expects,
//! must not be heard as one that failed: gateways may let a request pass where a
//! plugin fails.

use serde::de::DeserializeOwned;
use serde_json::{Value, from_value};

use super::DecodeError;
use super::de::read_struct;
use crate::model::{Object, PluginResult, PluginViolation};

/// What can be read of `result`, which could not be read as a whole, if it refuses.
///
/// # Errors
/// `why` it could not be read, if it does not.
#[cold]
pub(super) fn salvage<P: DeserializeOwned>(
    result: &[u8],
    why: DecodeError,
) -> Result<PluginResult<P>, DecodeError> {
    let mut result: Object = match read_struct(result) {
        Ok(result) => result,
        // It may show once the reply is laid out anew.
        Err(DecodeError::Unusual) => return Err(DecodeError::Unusual),
        Err(_) => return Err(why),
    };
    if result.get("continue_processing") != Some(&Value::Bool(false)) {
        return Err(why);
    }
    let violation = match result.remove("violation") {
        Some(Value::Object(mut parts)) => Some(Box::new(salvage_violation(&mut parts))),
        _ => None,
    };
    let parts = &mut result;
    Ok(PluginResult {
        continue_processing: false,
        modified_payload: take(parts, "modified_payload"),
        modified_extensions: take(parts, "modified_extensions"),
        violation,
        metadata: take(parts, "metadata").unwrap_or_default(),
        denial_metadata: take(parts, "denial_metadata"),
        http_headers: take(parts, "http_headers"),
        retry_delay_ms: take(parts, "retry_delay_ms").unwrap_or_default(),
        executions: take(parts, "executions").unwrap_or_default(),
    })
}

fn salvage_violation(parts: &mut Object) -> PluginViolation {
    let mut text = |key| take::<String>(parts, key).unwrap_or_default();
    let mut violation = PluginViolation::new(text("reason"), text("description"), text("code"));
    violation.details = take(parts, "details").unwrap_or_default();
    violation.mcp_error_code = take(parts, "mcp_error_code");
    violation.http_status_code = take(parts, "http_status_code");
    violation.http_headers = take(parts, "http_headers");
    violation.plugin_name = take(parts, "plugin_name");
    violation
}

/// A part that is there and is what it should be.
fn take<T: DeserializeOwned>(parts: &mut Object, key: &str) -> Option<T> {
    parts.remove(key).filter(|part| !part.is_null()).and_then(|part| from_value(part).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::BigIntegers;
    use crate::hooks::ToolPreInvokePayload;
    use crate::wire::reply::{Expected, HookReply, hook_reply};
    use crate::wire::ser::write_struct;
    use crate::wire::writer::Writer;

    const WHY: DecodeError = DecodeError::Malformed("something else");

    fn written(result: &Value) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        writer.big_integers(BigIntegers::Round);
        write_struct(&mut writer, result).unwrap_or_else(|_| panic!("{result}"));
        writer.into_message()
    }

    fn with(ornaments: Value) -> Value {
        let mut result = json!({"continue_processing": false, "violation": {"code": "NO"}});
        result.as_object_mut().unwrap().extend(ornaments.as_object().unwrap().clone());
        result
    }

    #[test]
    fn whatever_else_cannot_be_read_a_refusal_is_one() {
        for odd in [
            json!({"http_headers": {"Retry-After": 30}}),
            json!({"violation": {"code": "NO", "reason": 5}}),
            json!({"violation": {"code": "NO", "http_status_code": "429"}}),
            json!({"violation": {"code": "NO", "details": "none"}}),
            json!({"modified_payload": {"name": 7}}),
            json!({"metadata": []}),
            json!({"retry_delay_ms": "soon"}),
            json!({"executions": {}}),
        ] {
            let result = written(&with(odd.clone()));
            assert!(read_struct::<PluginResult<ToolPreInvokePayload>>(&result).is_err(), "{odd}");
            let salvaged = salvage::<ToolPreInvokePayload>(&result, WHY).unwrap();
            assert!(!salvaged.is_allowed());
            assert_eq!(salvaged.violation.unwrap().code, "NO", "{odd}");
        }
        let wordy = written(&json!({"continue_processing": false, "violation": "because"}));
        assert!(!salvage::<Value>(&wordy, WHY).unwrap().is_allowed());
    }

    #[test]
    fn what_can_be_read_of_a_refusal_is_kept() {
        let whole = PluginResult::<Value> {
            modified_payload: Some(json!({"a": [1, null]})),
            http_headers: Some([("Retry-After".to_owned(), "1".to_owned())].into()),
            retry_delay_ms: 250,
            metadata: json!({"k": 1}).as_object().unwrap().clone(),
            executions: vec![json!("x")],
            ..PluginResult::deny(
                PluginViolation::new("r", "d", "C")
                    .with_http_status_code(429)
                    .with_mcp_error_code(-32_000)
                    .with_plugin_name("Guard"),
            )
        };
        let message = written(&serde_json::to_value(&whole).unwrap());
        assert_eq!(salvage(&message, WHY), Ok(whole));
    }

    #[test]
    fn nothing_but_a_clear_no_is_taken_for_a_refusal() {
        for verdict in [json!(true), json!(null), json!("false"), json!(0), json!({})] {
            let result = written(&with(json!({"continue_processing": verdict})));
            assert_eq!(salvage::<Value>(&result, WHY), Err(WHY), "{verdict}");
        }
        let silent = written(&json!({"violation": {"code": "NO"}}));
        assert_eq!(salvage::<Value>(&silent, WHY), Err(WHY));
        assert_eq!(salvage::<Value>(b"\x0a\x05", WHY), Err(WHY));
    }

    /// Found by fuzzing: the type did not fit, and of the rest a key stood twice.
    #[test]
    fn a_refusal_that_is_laid_out_unusually_too_is_laid_out_anew_first() {
        let mut twice = written(&with(json!({"modified_payload": 7})));
        twice.extend_from_slice(&written(&json!({"violation": {"code": "NO"}})));
        assert_eq!(salvage::<ToolPreInvokePayload>(&twice, WHY), Err(DecodeError::Unusual));
        let mut reply = b"\x0a\x05Guard\x12".to_vec();
        prost::encoding::encode_varint(twice.len() as u64, &mut reply);
        reply.extend_from_slice(&twice);
        let expected = Expected { plugin: "Guard", request_id: "1", stamp: None };
        let read = hook_reply::<ToolPreInvokePayload>(&reply, expected);
        assert!(matches!(read, Ok(HookReply::Result(result, None)) if !result.is_allowed()));
    }
}
