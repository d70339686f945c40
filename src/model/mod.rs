//! What travels with a hook's payload and what comes back.
//!
//! A [`GlobalContext`] goes with a request through the gateway; each plugin that sees
//! the request gets it in a [`PluginContext`] of its own, and a [`PluginResult`] comes
//! back. Field names are those of the JSON on the wire; optional fields may be absent
//! or null there.
//!
//! `Debug` output of everything here shows names, codes and sizes, never
//! contents: it may be logged.

mod context;
mod denial;
mod fault;
mod redact;
mod result;
mod secret;
mod setters;
mod violation;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

pub(crate) use redact::{Redacted, Size, redacted_debug};
pub(crate) use setters::setters;

pub use context::{GlobalContext, PluginContext, ReplyContext, STAMP_KEY, User};
pub use denial::{DenialMetadata, DenialMetric};
pub use fault::PluginFault;
pub use result::{PluginResult, Verdict};
pub use secret::Secret;
pub use violation::PluginViolation;

/// A JSON object. The types of `serde_json` 1 are part of this crate's API.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// HTTP headers, one value per name, as the protocol has them: of several `set-cookie` headers
/// only one can be carried.
pub type Headers = BTreeMap<String, String>;

/// Reads null as the empty value: the reference server writes unset maps and lists either way.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
