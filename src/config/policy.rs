//! How a plugin is called, whatever it is reached over.

use std::time::Duration;

use serde::Serialize;

use super::keys::keys;
use super::problem::ConfigError;
use super::rule::{U32, YEAR, in_seconds, seconds, switch, switch_or_word, whole, word};
use super::section::{self, Section};
use super::words::{BigIntegers, DeepNesting, RetryPolicy, Verify};

/// How a plugin is called, whatever it is reached over: the time for a call, what is
/// sent again, when calls fail at once, and what is checked.
///
/// In a file, these keys are in the `unix_socket` section.
///
/// ```
/// use hookwire::{CallPolicy, RetryPolicy};
/// use std::time::Duration;
///
/// let policy = CallPolicy::builder().timeout(Duration::from_secs(5)).stamp(true).build()?;
/// assert_eq!(policy.retry(), RetryPolicy::Unsent);
/// # Ok::<(), hookwire::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallPolicy(pub(super) Values);

keys! {
    struct Values, 0 of CallPolicy and CallPolicyBuilder;

    /// The time a call has for everything: to wait for its turn, connect, write, and get
    /// its reply. Default 35 s, up to a year.
    ///
    /// The reference server ends a hook after 30 s and says so. Where this is not longer, the
    /// call is over first: its reply counts as missing, and the breaker opens after some.
    #[serde(serialize_with = "in_seconds")]
    pub fn timeout: Duration = Duration::from_secs(35), seconds(YEAR);
    /// The most calls that may wait when every connection is full; one more is refused as
    /// overloaded. Default 1024, from 0 (refuse at once) to 1048576.
    pub fn queue_capacity: usize = 1024, whole(0..=1_048_576);
    /// Which calls are sent again after their connection broke. Default
    /// [`RetryPolicy::Unsent`].
    pub fn retry: RetryPolicy = RetryPolicy::Unsent, word(RetryPolicy::WORDS);
    /// How many calls may be sent again: this percentage of the calls of the last 10 s,
    /// plus 10 for each second. Default 20, at most 100.
    pub fn retry_budget: u32 = 20, whole(0..=100);
    /// How many calls in a row must be unanswered for calls to fail at once, until one that
    /// is let through on trial gets a reply. Default 5; with 0 only a plugin that cannot be
    /// reached fails calls at once.
    ///
    /// A call is unanswered when it is over and the plugin had at least half of
    /// [`timeout`](Self::timeout) for it, or else after
    /// [`stall_limit`](super::UnixSocketConfig::stall_limit) more.
    pub fn breaker_threshold: u32 = 5, whole(U32);
    /// The longest time between two such trials. It starts at 1 s and doubles with every
    /// trial without a reply. Default 30 s, up to a year.
    #[serde(serialize_with = "in_seconds")]
    pub fn breaker_max_open: Duration = Duration::from_secs(30), seconds(YEAR);
    /// What happens to integers that the wire cannot carry exactly. Default
    /// [`BigIntegers::Refuse`].
    pub fn big_integers: BigIntegers = BigIntegers::Refuse, word(BigIntegers::WORDS);
    /// What happens to objects and lists that nest deeper than the server's parser goes.
    /// Default [`DeepNesting::Refuse`].
    pub fn deep_nesting: DeepNesting = DeepNesting::Refuse, word(DeepNesting::WORDS);
    /// Whether the server is asked about the plugin when it is connected to, and after each
    /// reconnect: its name is compared exactly, its entry merged and compared with the one
    /// here. The checks on replies are always on. Default [`Verify::On`].
    pub fn verify: Verify = Verify::On, switch_or_word(Verify::WORDS) => Verify, |all| all.verify;
    /// Whether each call carries a stamp in its context's metadata, under
    /// [`STAMP_KEY`](crate::model::STAMP_KEY), that its reply must bring back: a result is
    /// then proven to belong to its call, whatever the server does. The plugin must leave
    /// the key where it is. Default false.
    pub fn stamp: bool = false, switch;
}

impl CallPolicy {
    /// Starts with the defaults.
    pub fn builder() -> CallPolicyBuilder {
        CallPolicyBuilder::default()
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self(Values::read(section))
    }
}

/// Builds a [`CallPolicy`], which has an example; what is not set keeps its default.
#[derive(Debug, Clone, Default)]
#[must_use = "`build` makes the policy"]
pub struct CallPolicyBuilder(pub(super) Values);

impl CallPolicyBuilder {
    /// Sets [`verify`](CallPolicy::verify); `true` is [`Verify::On`].
    pub fn verify(mut self, verify: impl Into<Verify>) -> Self {
        self.0.verify = verify.into();
        self
    }

    /// Checks everything that was set.
    ///
    /// # Errors
    /// All values that are out of their bounds, together.
    pub fn build(self) -> Result<CallPolicy, ConfigError> {
        section::built(&self.0, "", CallPolicy::read)
    }
}

/// To change a policy that is there already.
impl From<CallPolicy> for CallPolicyBuilder {
    fn from(policy: CallPolicy) -> Self {
        Self(policy.0)
    }
}
