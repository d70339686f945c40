//! Tells whose result it is: a stamp in each call, looked for in its result.
//!
//! A stamp is the call's request id and its marker. It has no letters, because
//! plugins rewrite words; and a prefix of its own for each run, so that stamps are
//! recognised wherever a plugin has put them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hookwire::model::Object;
use hookwire::{PluginContext, PluginResult, Verdict};
use serde_json::Value;

/// Where plugins put what they were called with, beside the payload.
const KEYS: [&str; 2] = ["marker", "request_id"];

/// The stamps of one run.
#[derive(Debug)]
pub(super) struct Stamps {
    run: String,
    given: AtomicU64,
}

/// The stamp of one call.
#[derive(Debug)]
pub(super) struct Stamp<'a> {
    run: &'a str,
    text: String,
}

impl Stamps {
    pub(super) fn new() -> Self {
        Self { run: format!("{:020}-", fastrand::u64(..)), given: AtomicU64::new(0) }
    }

    /// One that no call has had.
    pub(super) fn next(&self) -> Stamp<'_> {
        let number = self.given.fetch_add(1, Relaxed);
        Stamp { run: &self.run, text: format!("{}{number:012}", self.run) }
    }
}

impl Stamp<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Writes the stamp to `args.marker`.
    pub(super) fn mark(&self, payload: &mut Value) -> Result<(), &'static str> {
        let args =
            payload.as_object_mut().map(|payload| payload.entry("args").or_insert(Value::Null));
        match args {
            Some(Value::Object(args)) => {
                args.insert("marker".to_owned(), self.text.as_str().into());
            }
            Some(args @ Value::Null) => *args = serde_json::json!({"marker": self.text}),
            _ => {
                return Err(
                    "--verify writes a marker into the payload's `args`, which must be an object",
                );
            }
        }
        Ok(())
    }

    /// Whether the result, or what it left in the context, belongs to another call.
    ///
    /// The payload that comes back must have this marker, if it has one. Elsewhere
    /// a plugin may use the names for its own: there, a stamp of this run counts.
    pub(super) fn is_foreign_to(
        &self,
        result: &PluginResult<Value>,
        context: &PluginContext,
    ) -> bool {
        let global = &context.global_context;
        let marker = match result.verdict() {
            Verdict::Allowed(payload) => payload.and_then(|it| it.pointer("/args/marker")),
            Verdict::Denied(_) => None,
        };
        marker.is_some_and(|marker| !marker.is_null() && marker != self.as_str())
            || global.request_id != self.text
            || [result.metadata(), &context.state, &context.metadata, &global.state]
                .into_iter()
                .chain(result.violation().map(|violation| &violation.details))
                .any(|object| self.is_another_in(object))
    }

    fn is_another_in(&self, object: &Object) -> bool {
        KEYS.iter()
            .filter_map(|key| object.get(*key)?.as_str())
            .any(|text| text.starts_with(self.run) && text != self.text)
    }
}

#[cfg(test)]
mod tests {
    use hookwire::PluginViolation;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    /// Whether the result counts as another call's, where nothing is in the context.
    fn is_foreign(stamp: &Stamp<'_>, result: &PluginResult<Value>) -> bool {
        stamp.is_foreign_to(result, &PluginContext::new(stamp.as_str()))
    }

    #[test]
    fn every_stamp_is_another() {
        let stamps = Stamps::new();
        assert_ne!(stamps.next().as_str(), stamps.next().as_str());
    }

    #[test]
    fn a_payload_without_args_gets_them() {
        let stamps = Stamps::new();
        for mut payload in [json!({}), json!({"args": null}), json!({"args": {"marker": 1}})] {
            let stamp = stamps.next();
            stamp.mark(&mut payload).unwrap();
            assert_eq!(payload, json!({"args": {"marker": stamp.as_str()}}));
        }
    }

    #[test]
    fn a_payload_without_room_for_a_marker_is_refused() {
        assert!(Stamps::new().next().mark(&mut json!({"args": [1]})).is_err());
    }

    #[test]
    fn the_own_marker_in_the_payload_is_no_mismatch_and_any_other_is() {
        let stamps = Stamps::new();
        let (own, other) = (stamps.next(), stamps.next());
        let returned = |marker: Value| PluginResult::modify(json!({"args": {"marker": marker}}));
        assert!(!is_foreign(&own, &returned(own.as_str().into())));
        assert!(!is_foreign(&own, &PluginResult::modify(json!({"args": {}}))));
        assert!(!is_foreign(&own, &PluginResult::allow()));
        assert!(is_foreign(&own, &returned(other.as_str().into())));
        assert!(is_foreign(&own, &returned("of another run".into())));
    }

    #[test]
    fn stamps_of_other_calls_are_found_beside_the_payload() {
        let stamps = Stamps::new();
        let (own, other) = (stamps.next(), stamps.next());
        let metadata = |id: &str| object(json!({"request_id": id}));
        let in_metadata = |id| PluginResult::allow().with_metadata(metadata(id));
        let violation = PluginViolation::new("").with_details(metadata(other.as_str()));
        assert!(is_foreign(&own, &in_metadata(other.as_str())));
        assert!(is_foreign(&own, &PluginResult::deny(violation)));
        assert!(!is_foreign(&own, &in_metadata(own.as_str())));
        assert!(!is_foreign(&own, &in_metadata("the plugin's own id")));

        let context = PluginContext::new(own.as_str()).with_state(metadata(other.as_str()));
        assert!(own.is_foreign_to(&PluginResult::allow(), &context));
    }
}
