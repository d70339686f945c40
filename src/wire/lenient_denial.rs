//! A result that cannot be read whole: a denial among them is still a denial.
//!
//! A plugin that denies, and gives a header or a code in an unexpected form, must not
//! be taken for one that failed: gateways may let a request pass where a plugin fails.
//! A result that allows cannot be used in part, but its verdict shows that it is the
//! answer of this plugin: it fails its call alone.
//!
//! So is the half of a result that a server leaves beside an error: the reference does
//! that where a result holds what it cannot write, the details of a denial for example.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

use super::DecodeError;
use super::reply_fault::ReplyFault;
use super::structpb::budget::Budget;
use super::structpb::de::read_struct;
use super::structpb::validate::Validation;
use crate::model::{DenialMetadata, Headers, Object, PluginResult, PluginViolation};

/// What can be read of `result`, which could not be read as a whole, if it refuses. A
/// payload is left out: there is nothing to go on with.
///
/// # Errors
/// `why` it could not be read, if it does not: [`Unfit`](ReplyFault::Unfit) where there
/// is a verdict and all of it is protobuf.
#[cold]
pub(super) fn salvage<P>(
    result: &[u8],
    why: DecodeError,
    budget: &Budget,
) -> Result<PluginResult<P>, ReplyFault> {
    match read_struct(result, budget) {
        Ok(Verdict { continue_processing: false }) => {}
        Ok(Verdict { continue_processing: true }) if why.is_misfit() => {
            // What was not read yet may be no protobuf.
            return Err(match Validation::default().structure(result, 1) {
                Err(error) if !error.is_misfit() => error.into(),
                _ => ReplyFault::Unfit(why),
            });
        }
        Ok(_) | Err(_) => return Err(why.into()),
    }
    Ok(read_refusal(result, budget)?)
}

/// What can be read of the `result` beside an error, if it refuses.
///
/// # Errors
/// If there is no verdict that can be read.
#[cold]
pub(super) fn refusal_in(
    result: &[u8],
    budget: &Budget,
) -> Result<Option<PluginResult<()>>, DecodeError> {
    match read_struct(result, budget)? {
        Verdict { continue_processing: true } => Ok(None),
        Verdict { continue_processing: false } => read_refusal(result, budget).map(Some),
    }
}

/// Each part is read in its place, so that this takes no more memory than the whole.
fn read_refusal<P>(result: &[u8], budget: &Budget) -> Result<PluginResult<P>, DecodeError> {
    let refusal: Refusal = read_struct(result, budget)?;
    Ok(PluginResult {
        continue_processing: false,
        modified_payload: None,
        modified_extensions: refusal.modified_extensions.0,
        violation: refusal.violation.0.map(|violation| Box::new(violation.into())),
        metadata: refusal.metadata.0.unwrap_or_default(),
        denial_metadata: refusal.denial_metadata.0,
        http_headers: refusal.http_headers.0,
        retry_delay_ms: refusal.retry_delay_ms.0.unwrap_or_default(),
        executions: refusal.executions.0.unwrap_or_default(),
        inexact: false,
    })
}

#[derive(serde::Deserialize)]
struct Verdict {
    continue_processing: bool,
}

/// A part, if it is there and is what it should be.
struct Readable<T>(Option<T>);

impl<T> Default for Readable<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Readable<T> {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        Ok(Self(Option::deserialize(decoder).ok().flatten()))
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Refusal {
    modified_extensions: Readable<Value>,
    violation: Readable<Violation>,
    metadata: Readable<Object>,
    denial_metadata: Readable<DenialMetadata>,
    http_headers: Readable<Headers>,
    retry_delay_ms: Readable<i64>,
    executions: Readable<Vec<Value>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Violation {
    reason: Readable<String>,
    description: Readable<String>,
    code: Readable<String>,
    details: Readable<Object>,
    mcp_error_code: Readable<i64>,
    http_status_code: Readable<i64>,
    http_headers: Readable<Headers>,
    plugin_name: Readable<String>,
}

impl From<Violation> for PluginViolation {
    fn from(violation: Violation) -> Self {
        let text = |text: Readable<String>| text.0.unwrap_or_default();
        let Violation { reason, description, code, .. } = violation;
        let mut salvaged = Self::new(text(code));
        (salvaged.reason, salvaged.description) = (text(reason), text(description));
        salvaged.details = violation.details.0.unwrap_or_default();
        salvaged.mcp_error_code = violation.mcp_error_code.0;
        salvaged.http_status_code = violation.http_status_code.0;
        salvaged.http_headers = violation.http_headers.0;
        salvaged.plugin_name = violation.plugin_name.0;
        salvaged
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hooks::ToolPreInvokePayload;
    use crate::wire::BigIntegers;
    use crate::wire::reply::{Expected, HookReply, hook_reply};
    use crate::wire::structpb::ser::write_struct;
    use crate::wire::structpb::writer::Writer;

    const WHY: DecodeError = DecodeError::Malformed("something else");

    fn budget(result: &[u8]) -> Budget {
        Budget::of(result.len())
    }

    fn salvaged<P>(result: &[u8], why: DecodeError) -> Result<PluginResult<P>, ReplyFault> {
        salvage(result, why, &budget(result))
    }

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

    // Promise: H13
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
            assert!(
                read_struct::<PluginResult<ToolPreInvokePayload>>(&result, &budget(&result))
                    .is_err(),
                "{odd}"
            );
            let salvaged = salvaged::<ToolPreInvokePayload>(&result, WHY).unwrap();
            assert!(!salvaged.is_allowed());
            assert_eq!(salvaged.violation.unwrap().code, "NO", "{odd}");
        }
        let wordy = written(&json!({"continue_processing": false, "violation": "because"}));
        assert!(!salvaged::<Value>(&wordy, WHY).unwrap().is_allowed());
    }

    #[test]
    fn what_can_be_read_of_a_refusal_is_kept() {
        let whole = PluginResult::<Value> {
            http_headers: Some([("Retry-After".to_owned(), "1".to_owned())].into()),
            retry_delay_ms: 250,
            metadata: json!({"k": 1}).as_object().unwrap().clone(),
            executions: vec![json!("x")],
            ..PluginResult::deny(
                PluginViolation::new("C")
                    .with_reason("r")
                    .with_description("d")
                    .with_http_status_code(429)
                    .with_mcp_error_code(-32_000)
                    .with_plugin_name("Guard"),
            )
        };
        let message = written(&serde_json::to_value(&whole).unwrap());
        assert_eq!(salvaged(&message, WHY), Ok(whole));
    }

    #[test]
    fn nothing_but_a_clear_no_is_taken_for_a_refusal() {
        for verdict in [json!(true), json!(null), json!("false"), json!(0), json!({})] {
            let result = written(&with(json!({"continue_processing": verdict})));
            assert_eq!(salvaged::<Value>(&result, WHY), Err(WHY.into()), "{verdict}");
        }
        let silent = written(&json!({"violation": {"code": "NO"}}));
        assert_eq!(salvaged::<Value>(&silent, WHY), Err(WHY.into()));
        assert_eq!(salvaged::<Value>(b"\x0a\x05", WHY), Err(WHY.into()));
    }

    /// Found by fuzzing: the type did not fit, and of the rest a key stood twice.
    #[test]
    fn a_refusal_that_is_laid_out_unusually_too_is_laid_out_anew_first() {
        let mut twice = written(&with(json!({"modified_payload": 7})));
        twice.extend_from_slice(&written(&json!({"violation": {"code": "LAST"}})));
        let mut reply = b"\x0a\x05Guard\x12".to_vec();
        prost::encoding::encode_varint(twice.len() as u64, &mut reply);
        reply.extend_from_slice(&twice);
        let expected = Expected { plugin: "Guard", request_id: "1", stamp: None };
        let read = hook_reply::<ToolPreInvokePayload>(&reply, expected);
        let Ok(HookReply::Result(denial, None)) = read else { panic!("{read:?}") };
        assert!(!denial.is_allowed());
        assert_eq!(denial.violation.unwrap().code, "LAST");
    }
}
