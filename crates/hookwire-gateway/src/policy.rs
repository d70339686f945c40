//! What plugins may change of a payload.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Which fields of a hook's payload plugins may change. What else they change is taken back,
/// with a warning in the log.
///
/// It holds for hooks whose answer changes their payload, and is given to a
/// [`ChainBuilder`](crate::ChainBuilder) for each hook, or for all others.
///
/// ```
/// use hookwire_gateway::{Chain, FieldPolicy};
///
/// let builder = Chain::builder()
///     .policy("tool_pre_invoke", FieldPolicy::only(["args"]))
///     .default_policy(FieldPolicy::Deny);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldPolicy {
    /// All of them. The default, as it is the reference's.
    #[default]
    Allow,
    /// None.
    Deny,
    /// These, by the names that they have in JSON.
    Only(BTreeSet<String>),
}

impl FieldPolicy {
    /// These fields, by the names that they have in JSON.
    pub fn only<S: Into<String>>(fields: impl IntoIterator<Item = S>) -> Self {
        Self::Only(fields.into_iter().map(Into::into).collect())
    }
}

/// A change, of which only what is writable is left.
#[derive(Debug, PartialEq)]
pub(crate) enum Filtered<P> {
    /// There is something left to go on with.
    Changed { payload: P, refused: Vec<String> },
    /// All that was changed is not writable, or nothing was changed.
    Unchanged { refused: Vec<String> },
}

/// Takes back what `after` has changed of `before` in other fields than these.
///
/// # Errors
/// If the payload does not survive JSON.
pub(crate) fn filter<P: Serialize + DeserializeOwned>(
    before: &P,
    after: &P,
    writable: &BTreeSet<String>,
) -> Result<Filtered<P>, serde_json::Error> {
    let (mut fields, changed) = (object(before)?, object(after)?);
    let names: BTreeSet<&String> = fields.keys().chain(changed.keys()).collect();
    let names: Vec<String> =
        names.into_iter().filter(|name| fields.get(*name) != changed.get(*name)).cloned().collect();
    let (writable, refused): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| writable.contains(name));
    if writable.is_empty() {
        return Ok(Filtered::Unchanged { refused });
    }
    for name in writable {
        match changed.get(&name) {
            Some(value) => fields.insert(name, value.clone()),
            None => fields.remove(&name),
        };
    }
    let payload = serde_json::from_value(Value::Object(fields))?;
    Ok(Filtered::Changed { payload, refused })
}

fn object<P: Serialize>(payload: &P) -> Result<hookwire::model::Object, serde_json::Error> {
    match serde_json::to_value(payload)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(serde::ser::Error::custom("the payload is not an object")),
    }
}

#[cfg(test)]
mod tests {
    use hookwire::hooks::ToolPreInvokePayload;
    use serde_json::json;

    use super::*;

    fn before() -> ToolPreInvokePayload {
        ToolPreInvokePayload::new("search").with_arg("q", "rust")
    }

    fn filtered(
        after: &ToolPreInvokePayload,
        writable: &[&str],
    ) -> Option<(ToolPreInvokePayload, Vec<String>)> {
        let writable = writable.iter().map(|name| (*name).to_owned()).collect();
        match filter(&before(), after, &writable).unwrap() {
            Filtered::Changed { payload, refused } => Some((payload, refused)),
            Filtered::Unchanged { .. } => None,
        }
    }

    #[test]
    fn what_is_not_writable_is_taken_back_and_named() {
        let after = ToolPreInvokePayload::new("shell").with_arg("q", "******");
        let (payload, refused) = filtered(&after, &["args"]).unwrap();
        assert_eq!(json!(payload), json!({"name": "search", "args": {"q": "******"}}));
        assert_eq!(refused, ["name"]);
    }

    #[test]
    fn a_writable_field_may_be_taken_out() {
        let (payload, refused) = filtered(&ToolPreInvokePayload::new("search"), &["args"]).unwrap();
        assert_eq!(json!(payload), json!({"name": "search"}));
        assert!(refused.is_empty());
    }

    #[test]
    fn without_a_writable_change_nothing_has_changed() {
        assert_eq!(filtered(&before(), &["args", "name"]).map(|(_, refused)| refused), None);
        assert_eq!(filtered(&before().with_arg("q", "x"), &["name"]).map(|(_, r)| r), None);
        let after = ToolPreInvokePayload::new("shell").with_arg("q", "rust");
        assert!(filtered(&after, &[]).is_none());
    }

    #[test]
    fn a_payload_that_is_no_object_cannot_be_filtered() {
        assert!(filter(&1, &2, &BTreeSet::new()).is_err());
    }
}
