//! The settings that are one word out of a few.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Object;
pub use crate::wire::{BigIntegers, DeepNesting};

/// Declares an enum together with its words in the configuration, so that reading,
/// writing and the list of words in a refusal cannot disagree.
macro_rules! words {
    ($(
        $(#[$doc:meta])*
        pub enum $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            pub(super) const WORDS: &[&str] = &[$($word,)+];

            /// The word that stands for it in a configuration.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

words! {
    /// How the gateway runs a plugin, and what the plugin may do.
    ///
    /// hookwire carries it for the gateway and does not act on it. In an entry that is
    /// read as a [`PluginConfig`](crate::PluginConfig), the older words `enforce`,
    /// `enforce_ignore_error` and `permissive` stand for
    /// [`Sequential`](Self::Sequential), the same with [`OnError::Ignore`], and
    /// [`Transform`](Self::Transform). By itself the type reads its present words only.
    ///
    /// ```
    /// assert_eq!(hookwire::config::PluginMode::FireAndForget.as_str(), "fire_and_forget");
    /// ```
    pub enum PluginMode {
        /// One after the other; may block and may modify. The default.
        #[default]
        Sequential = "sequential",
        /// One after the other; may modify, cannot block.
        Transform = "transform",
        /// One after the other; can neither block nor modify.
        Audit = "audit",
        /// Beside others; may block, cannot modify.
        Concurrent = "concurrent",
        /// In the background, after all others; can neither block nor modify.
        FireAndForget = "fire_and_forget",
        /// Not run at all.
        Disabled = "disabled",
    }

    /// What the gateway does when a plugin fails.
    ///
    /// hookwire carries it for the gateway: a failed call is always an error here.
    ///
    /// ```
    /// assert_eq!(hookwire::config::OnError::default().as_str(), "fail");
    /// ```
    pub enum OnError {
        /// Stop, and pass the error on. The default.
        #[default]
        Fail = "fail",
        /// Log the error and go on.
        Ignore = "ignore",
        /// Log the error, go on, and run the plugin no more.
        Disable = "disable",
    }

    /// Which calls are sent again after their connection broke.
    ///
    /// ```
    /// assert_eq!(hookwire::RetryPolicy::default(), hookwire::RetryPolicy::Unsent);
    /// ```
    pub enum RetryPolicy {
        /// Only calls of which no byte was written, so that no hook runs twice. The default.
        #[default]
        Unsent = "unsent",
        /// Also calls that were written behind one that the server had not answered: a
        /// server that works in order, as the reference server does, cannot have begun
        /// them. Of the calls on a connection that breaks, only the oldest one fails. Over gRPC:
        /// also calls that servers which stop have passed over again and again.
        Unstarted = "unstarted",
        /// Also calls that were sent: their hook may run more than once.
        Resend = "resend",
    }

    /// Whether a plugin's server is asked about the plugin, and what becomes of the answer.
    ///
    /// ```
    /// use hookwire::config::Verify;
    ///
    /// assert_eq!(Verify::default(), Verify::On);
    /// assert_eq!(Verify::from(false), Verify::Off);
    /// ```
    pub enum Verify {
        /// Nothing is asked.
        Off = "off",
        /// When it is connected to, and again after each reconnect. Its answer is merged into
        /// the plugin's configuration, and a warning names each contradiction. The default.
        #[default]
        On = "on",
        /// As `On`; and while the server is weaker than the gateway's entry, or has not
        /// answered yet, calls are refused.
        Strict = "strict",
    }
}

impl From<bool> for Verify {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// Reads a mode in its older words as its successor.
pub(super) fn with_present_mode(mut entry: Object) -> Object {
    let (mode, on_error) = match entry.get("mode").and_then(Value::as_str) {
        Some("enforce") => ("sequential", Value::Null),
        Some("enforce_ignore_error") => ("sequential", "ignore".into()),
        Some("permissive") => ("transform", Value::Null),
        _ => return entry,
    };
    entry.insert("mode".into(), mode.into());
    let set = entry.entry("on_error").or_insert(Value::Null);
    if set.is_null() {
        *set = on_error;
    }
    entry
}
