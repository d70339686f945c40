//! What the gateway's client may see of a request that must stop.

use std::time::Duration;

use hookwire::model::Headers;
use hookwire::{ErrorKind, PluginError};

use super::outcome::{HaltReason, Halted};

/// How long a client waits where nobody knows when it will be better.
const SOON: Duration = Duration::from_secs(1);

/// For the gateway's client. Nothing here holds a plugin's name, a path, or words of a plugin
/// but those of a denial that are meant for the client.
///
/// | [`HaltReason`] | status | code |
/// |---|---|---|
/// | `Denied` | the violation's `http_status_code` if that is 4xx, 5xx or a redirect, or else 403 | the violation's, or `denied` |
/// | `Failed`, kind `Config` or `Disabled` | 500 | the error's kind |
/// | `Failed`, kind `InvalidRequest` | 422 | the same |
/// | `Failed`, kind `Overloaded`, `Unavailable` or `Closed` | 503 | the same |
/// | `Failed`, kind `Timeout` | 504 | the same |
/// | `Failed`, kind `Disconnected`, `BadReply` or `Plugin` | 502 | the same |
/// | `TooLarge` | 413 | `request_too_large` |
/// | `OutOfTime` | 504 | `timeout` |
/// | `Unfilterable`, `InvalidHeader` | 502 | `bad_reply` |
/// | `ShutDown` | 503 | `closed` |
///
/// ```
/// fn tell(halted: &hookwire_gateway::Halted) -> String {
///     let (status, code) = (halted.http_status(), halted.public_code());
///     format!("{status} {code}: {}", halted.public_message())
/// }
/// ```
impl Halted {
    /// The HTTP status; see the table above.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match &self.reason {
            HaltReason::Denied(denial) => {
                let status = denial.violation().and_then(|violation| violation.http_status_code);
                let stops = |status: &u16| matches!(status, 301..=303 | 307 | 308 | 400..=599);
                status.and_then(|status| status.try_into().ok()).filter(stops).unwrap_or(403)
            }
            HaltReason::Failed(error) => match error.kind() {
                ErrorKind::Config | ErrorKind::Disabled => 500,
                ErrorKind::InvalidRequest => 422,
                ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Closed => 503,
                ErrorKind::Timeout => 504,
                _ => 502,
            },
            HaltReason::TooLarge(_) => 413,
            HaltReason::OutOfTime(_) => 504,
            HaltReason::Unfilterable { .. } | HaltReason::InvalidHeader(_) => 502,
            HaltReason::ShutDown => 503,
        }
    }

    /// The code of an error of JSON-RPC: of a denial, or a plugin that failed, its own
    /// `mcp_error_code`. Without one, -32602 (invalid params) for denials and for requests that
    /// cannot be checked, and -32603 (internal error) for all others.
    #[must_use]
    pub fn json_rpc_code(&self) -> i64 {
        const INVALID_PARAMS: i64 = -32602;
        const INTERNAL_ERROR: i64 = -32603;
        match &self.reason {
            HaltReason::Denied(denial) => {
                let code = denial.violation().and_then(|violation| violation.mcp_error_code);
                code.unwrap_or(INVALID_PARAMS)
            }
            HaltReason::TooLarge(_) => INVALID_PARAMS,
            HaltReason::Failed(error) => match (error.kind(), error.plugin_fault()) {
                (ErrorKind::InvalidRequest, _) => INVALID_PARAMS,
                (_, Some(fault)) => fault.mcp_error_code.into(),
                _ => INTERNAL_ERROR,
            },
            _ => INTERNAL_ERROR,
        }
    }

    /// A word for programs: of a denial the plugin's own.
    #[must_use]
    pub fn public_code(&self) -> &str {
        match &self.reason {
            HaltReason::Denied(denial) => {
                let code = denial.violation().map(|violation| violation.code.as_str());
                code.filter(|code| !code.is_empty()).unwrap_or("denied")
            }
            HaltReason::Failed(error) => error.kind().as_str(),
            HaltReason::TooLarge(_) => "request_too_large",
            HaltReason::OutOfTime(_) => ErrorKind::Timeout.as_str(),
            HaltReason::Unfilterable { .. } | HaltReason::InvalidHeader(_) => {
                ErrorKind::BadReply.as_str()
            }
            HaltReason::ShutDown => ErrorKind::Closed.as_str(),
        }
    }

    /// A sentence for people: of a denial the violation's `description`, where there is one.
    /// Its `reason` and `details` are for the operator.
    #[must_use]
    pub fn public_message(&self) -> &str {
        match &self.reason {
            HaltReason::Denied(denial) => {
                let told = denial.violation().map(|violation| violation.description.as_str());
                told.filter(|told| !told.is_empty()).unwrap_or("the request was denied")
            }
            HaltReason::Failed(error) => error.public_message(),
            HaltReason::TooLarge(_) => "the request is too large to be checked",
            HaltReason::OutOfTime(_) => "the plugins that check requests did not answer in time",
            HaltReason::Unfilterable { .. } | HaltReason::InvalidHeader(_) => {
                "a plugin that checks requests gave no valid answer"
            }
            HaltReason::ShutDown => "the gateway is shutting down",
        }
    }

    /// When the client may try again: the longest `retry_delay` of the plugins, or else when a
    /// plugin that is down is tried next. A second where it may work soon (status 503) and
    /// nobody knows when.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let next_try = match &self.reason {
            HaltReason::Failed(error) => PluginError::retry_after(error),
            _ => None,
        };
        let soon = (self.http_status() == 503).then_some(SOON);
        self.report.retry_delay().or(next_try).or(soon)
    }

    /// HTTP headers: those of all plugins that were asked, and over them the violation's.
    #[must_use]
    pub fn http_headers(&self) -> Headers {
        let mut headers = self.report.http_headers().clone();
        let violation = self.denial().and_then(|denial| denial.violation());
        let own = violation.and_then(|violation| violation.http_headers.as_ref());
        for (name, value) in own.into_iter().flatten() {
            headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
            headers.insert(name.clone(), value.clone());
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use hookwire::{PluginResult, PluginViolation};

    use super::super::outcome::Denial;
    use super::super::report::Report;
    use super::*;

    fn denied(violation: Option<PluginViolation>) -> Halted {
        let violation = violation.map(Box::new);
        let denial = Denial { plugin: "Guard".into(), violation, metrics: None };
        Halted { reason: HaltReason::Denied(denial), report: Report::default() }
    }

    fn with_status(status: i64) -> u16 {
        denied(Some(PluginViolation::new("NO").with_http_status_code(status))).http_status()
    }

    #[test]
    fn a_denial_has_the_plugins_status_unless_that_lets_pass() {
        assert_eq!([429, 302, 599].map(with_status), [429, 302, 599]);
        assert_eq!([200, 204, 100, 304, 399, 600, -1, i64::MAX].map(with_status), [403; 8]);
        assert_eq!(denied(None).http_status(), 403);
    }

    #[test]
    fn a_denial_tells_code_and_description_and_neither_reason_nor_plugin() {
        let violation = PluginViolation::new("NO").with_reason("r").with_description("Not now.");
        let halted = denied(Some(violation));
        assert_eq!((halted.public_code(), halted.public_message()), ("NO", "Not now."));
        for silent in [denied(None), denied(Some(PluginViolation::new("").with_reason("r")))] {
            let told = (silent.public_code(), silent.public_message());
            assert_eq!(told, ("denied", "the request was denied"));
            assert_eq!(silent.retry_after(), None);
        }
    }

    #[test]
    fn the_code_of_json_rpc_is_the_plugins_own_where_it_has_one() {
        let violation = || PluginViolation::new("NO");
        assert_eq!(denied(Some(violation().with_mcp_error_code(-32000))).json_rpc_code(), -32000);
        assert_eq!(denied(Some(violation())).json_rpc_code(), -32602);
        let halted = |reason| Halted { reason, report: Report::default() };
        assert_eq!(halted(HaltReason::TooLarge(1)).json_rpc_code(), -32602);
        assert_eq!(halted(HaltReason::ShutDown).json_rpc_code(), -32603);
    }

    #[test]
    fn a_payload_that_is_too_large_is_told_as_such() {
        let halted = Halted { reason: HaltReason::TooLarge(1), report: Report::default() };
        assert_eq!((halted.http_status(), halted.public_code()), (413, "request_too_large"));
        assert_eq!((halted.outcome(), halted.plugin()), ("too_large", None));
    }

    #[test]
    fn headers_of_the_violation_go_over_those_of_other_plugins() {
        let headers =
            |name: &str, value: &str| Headers::from([(name.to_owned(), value.to_owned())]);
        let violation = PluginViolation::new("NO").with_http_headers(headers("X-Rate", "0"));
        let mut halted = denied(Some(violation));
        let told = PluginResult::<()>::allow().with_http_headers(headers("x-rate", "9"));
        halted.report.gather(&told.with_retry_delay(Duration::from_millis(1500)));
        assert_eq!(halted.http_headers(), headers("X-Rate", "0"));
        assert_eq!(halted.retry_after(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn the_end_of_the_gateway_is_told_as_a_while() {
        let halted = Halted { reason: HaltReason::ShutDown, report: Report::default() };
        assert_eq!((halted.http_status(), halted.public_code()), (503, "closed"));
        assert_eq!(halted.retry_after(), Some(SOON));
        let late = HaltReason::OutOfTime(SOON);
        let halted = Halted { reason: late, report: Report::default() };
        assert_eq!((halted.http_status(), halted.retry_after()), (504, None));
    }
}
