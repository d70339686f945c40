//! What the plugins of one run tell beside their verdicts.

use std::fmt;
use std::time::Duration;

use hookwire::PluginResult;
use hookwire::model::{Headers, Object};
use serde_json::Value;

use super::record::Record;

/// What the plugins of one run tell beside their verdicts.
///
/// ```
/// use hookwire_gateway::{Chain, Halted, RequestContext};
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
///
/// # async fn run(chain: Chain) -> Result<(), Box<Halted>> {
/// let mut request = RequestContext::new("request-1");
/// let passed = chain.run::<ToolPreInvoke>(ToolPreInvokePayload::new("search"), &mut request).await?;
/// for record in passed.report().records() {
///     println!("{}: {} in {:?}", record.plugin, record.status.as_str(), record.duration);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Report {
    pub(crate) metadata: Object,
    pub(crate) http_headers: Headers,
    pub(crate) retry_delay: Option<Duration>,
    pub(crate) extensions: Option<Value>,
    pub(crate) records: Vec<Record>,
}

/// A key that the gateway writes itself, for plugins that read how a permission came about.
const DECISION_PLUGIN: &str = "_decision_plugin";

impl Report {
    /// What the plugins tell about their work, in one object; of one key, the later plugin's.
    #[must_use]
    pub fn metadata(&self) -> &Object {
        &self.metadata
    }

    /// HTTP headers for the gateway's client; of one name, in whatever case, the later
    /// plugin's. A denial's own are in its violation.
    #[must_use]
    pub fn http_headers(&self) -> &Headers {
        &self.http_headers
    }

    /// The longest time that a plugin asks to wait before the tool is called again.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_delay
    }

    /// What to put in place of the message's extensions: of the last plugin that may change
    /// them, in `sequential` or `transform`.
    #[must_use]
    pub fn modified_extensions(&self) -> Option<&Value> {
        self.extensions.as_ref()
    }

    /// One for each plugin that serves the hook: first those that were left out, then the
    /// others in the order in which they were to be asked.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Adds what comes with a result, whatever its verdict.
    pub(crate) fn gather<M>(&mut self, result: &PluginResult<M>) {
        let told = result.metadata().iter().filter(|(key, _)| *key != DECISION_PLUGIN);
        self.metadata.extend(told.map(|(key, value)| (key.clone(), value.clone())));
        for (name, value) in result.http_headers().into_iter().flatten() {
            self.http_headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
            self.http_headers.insert(name.clone(), value.clone());
        }
        self.retry_delay = self.retry_delay.max(result.retry_delay());
    }

    /// Notes whose decision on a permission counts, as the reference does.
    pub(crate) fn note_decision(&mut self, plugin: &str) {
        self.metadata.insert(DECISION_PLUGIN.to_owned(), plugin.into());
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("metadata", &format_args!("{} keys", self.metadata.len()))
            .field("http_headers", &format_args!("{} names", self.http_headers.len()))
            .field("retry_delay", &self.retry_delay)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hookwire::PluginViolation;
    use serde_json::json;

    use super::*;

    fn headers<const N: usize>(headers: [(&str, &str); N]) -> Headers {
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn of_what_two_plugins_tell_the_later_counts() {
        let mut report = Report::default();
        report.gather(
            &PluginResult::<()>::allow()
                .with_metadata(object(json!({"a": 1, "b": 1})))
                .with_http_headers(headers([("X-Rate", "1"), ("Etag", "x")]))
                .with_retry_delay(Duration::from_millis(20)),
        );
        report.gather(
            &PluginResult::<()>::deny(PluginViolation::new("NO"))
                .with_metadata(object(json!({"b": 2, "c": 2})))
                .with_http_headers(headers([("x-rate", "2")]))
                .with_retry_delay(Duration::from_millis(10)),
        );
        assert_eq!(json!(report.metadata()), json!({"a": 1, "b": 2, "c": 2}));
        assert_eq!(*report.http_headers(), headers([("x-rate", "2"), ("Etag", "x")]));
        assert_eq!(report.retry_delay(), Some(Duration::from_millis(20)));
    }

    #[test]
    fn a_plugin_cannot_claim_anothers_decision() {
        let mut report = Report::default();
        let claim = object(json!({"_decision_plugin": "Admin"}));
        report.gather(&PluginResult::<()>::allow().with_metadata(claim));
        assert!(report.metadata().is_empty());
        report.note_decision("Rbac");
        assert_eq!(json!(report.metadata()), json!({"_decision_plugin": "Rbac"}));
    }

    #[test]
    fn debug_output_shows_sizes_and_records_only() {
        let mut report = Report::default();
        report.gather(&PluginResult::<()>::allow().with_metadata(object(json!({"k": "hunter2"}))));
        assert!(!format!("{report:?}").contains("hunter2"));
    }
}
