//! Why a plugin refused.

use serde::{Deserialize, Serialize};

use super::{Headers, Object, null_as_default, redacted_debug, setters};

/// A policy violation: why a plugin denies a request.
///
/// `Debug` output shows the codes; reason, description and details may quote
/// what was refused, so they are shown by size only.
///
/// ```
/// use hookwire::PluginViolation;
///
/// let violation = PluginViolation::new("RATE_LIMIT").with_reason("too many calls").with_description("limit is 10 per second")
///     .with_http_status_code(429)
///     .with_http_headers([("Retry-After".to_owned(), "1".to_owned())].into());
/// assert_eq!(violation.code, "RATE_LIMIT");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginViolation {
    /// The reason in a few words. Like the next two it is read as empty where it
    /// is missing: a denial must not get lost over its wording.
    #[serde(default, deserialize_with = "null_as_default")]
    pub reason: String,
    /// The reason in full.
    #[serde(default, deserialize_with = "null_as_default")]
    pub description: String,
    /// The plugin's own code, for programs.
    #[serde(default, deserialize_with = "null_as_default")]
    pub code: String,
    /// Anything else about it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub details: Object,
    /// The JSON-RPC error code for the gateway's client.
    pub mcp_error_code: Option<i64>,
    /// The HTTP status for the gateway's client, such as 429.
    pub http_status_code: Option<i64>,
    /// HTTP headers for the gateway's client.
    pub http_headers: Option<Headers>,
    /// The plugin that refused, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_name: Option<String>,
}

redacted_debug!(PluginViolation {
    show: code, mcp_error_code, http_status_code, plugin_name;
    size: reason, description, details, http_headers
});

impl PluginViolation {
    /// A violation with the plugin's own code for it.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        Self {
            reason: String::new(),
            description: String::new(),
            code: code.into(),
            details: Object::new(),
            mcp_error_code: None,
            http_status_code: None,
            http_headers: None,
            plugin_name: None,
        }
    }
}

setters!(PluginViolation {
    /// Sets the reason in a few words.
    with_reason(reason: impl Into<String>) => reason = reason.into();
    /// Sets the reason in full.
    with_description(description: impl Into<String>) => description = description.into();
    /// Sets the details.
    with_details(details: Object) => details = details;
    /// Sets the JSON-RPC error code.
    with_mcp_error_code(code: i64) => mcp_error_code = Some(code);
    /// Sets the HTTP status.
    with_http_status_code(status: i64) => http_status_code = Some(status);
    /// Sets the HTTP headers.
    with_http_headers(headers: Headers) => http_headers = Some(headers);
    /// Sets the plugin that refused.
    with_plugin_name(name: impl Into<String>) => plugin_name = Some(name.into());
});

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_violation_is_written_with_the_keys_of_the_reference() {
        assert_eq!(
            serde_json::to_value(PluginViolation::new("C").with_reason("r").with_description("d"))
                .unwrap(),
            json!({
                "reason": "r", "description": "d", "code": "C", "details": {},
                "mcp_error_code": null, "http_status_code": null, "http_headers": null,
            })
        );
    }

    #[test]
    fn a_violation_survives_json() {
        let violation = PluginViolation::new("C")
            .with_reason("r")
            .with_description("d")
            .with_details([("k".to_owned(), json!(1))].into_iter().collect())
            .with_mcp_error_code(-32000)
            .with_http_status_code(429)
            .with_http_headers([("Retry-After".to_owned(), "1".to_owned())].into())
            .with_plugin_name("guard");
        let json = serde_json::to_value(&violation).unwrap();
        assert_eq!(serde_json::from_value::<PluginViolation>(json).unwrap(), violation);
    }

    #[test]
    fn optional_parts_may_be_absent_or_null() {
        let absent = json!({"reason": "r", "description": "d", "code": "C"});
        let null = json!({
            "reason": "r", "description": "d", "code": "C", "details": null,
            "mcp_error_code": null, "http_status_code": null, "http_headers": null,
            "plugin_name": null, "added_later": 1,
        });
        for json in [absent, null] {
            let read: PluginViolation = serde_json::from_value(json).unwrap();
            assert_eq!(read, PluginViolation::new("C").with_reason("r").with_description("d"));
        }
    }

    /// A code that no narrow integer holds must not turn a refusal into an unreadable reply.
    #[test]
    fn an_odd_status_code_is_still_a_violation() {
        let read: PluginViolation = serde_json::from_value(json!({
            "reason": "r", "description": "d", "code": "C", "http_status_code": 99999,
        }))
        .unwrap();
        assert_eq!(read.http_status_code, Some(99999));
    }

    #[test]
    fn debug_output_shows_codes_and_sizes_only() {
        let violation = PluginViolation::new("LEAK")
            .with_reason("hunter2 found")
            .with_description("x")
            .with_plugin_name("dlp");
        assert_eq!(
            format!("{violation:?}"),
            "PluginViolation { code: \"LEAK\", mcp_error_code: None, http_status_code: None, \
             plugin_name: Some(\"dlp\"), reason: 13 bytes, description: 1 byte, details: 0 keys, \
             http_headers: None }"
        );
    }
}
