//! How a plugin is called, whatever it is reached over.

use std::convert::identity;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::problem::{ConfigError, Problems};
use super::rule::{Rule, YEAR, seconds};
use super::section::{self, Table};
use super::setters::setters;
use super::words::{BigIntegers, RetryPolicy, Verify};
use crate::model::Object;

pub(super) const TABLE: Table = &[
    ("timeout", Rule::Seconds(YEAR)),
    ("queue_capacity", Rule::Whole(0..=1_048_576)),
    ("retry", Rule::Word(RetryPolicy::WORDS)),
    ("retry_budget", Rule::Whole(0..=100)),
    ("breaker_threshold", Rule::Whole(0..=u32::MAX as i128)),
    ("breaker_max_open", Rule::Seconds(YEAR)),
    ("big_integers", Rule::Word(BigIntegers::WORDS)),
    ("verify", Rule::SwitchOr(Verify::WORDS)),
    ("stamp", Rule::Switch),
];

/// The keys of [`TABLE`], checked or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Values {
    #[serde(with = "seconds")]
    pub(super) timeout: Duration,
    queue_capacity: usize,
    retry: RetryPolicy,
    retry_budget: u32,
    breaker_threshold: u32,
    #[serde(with = "seconds")]
    breaker_max_open: Duration,
    big_integers: BigIntegers,
    verify: Verify,
    stamp: bool,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            queue_capacity: 1024,
            retry: RetryPolicy::default(),
            retry_budget: 20,
            breaker_threshold: 5,
            breaker_max_open: Duration::from_secs(30),
            big_integers: BigIntegers::default(),
            verify: Verify::default(),
            stamp: false,
        }
    }
}

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

impl CallPolicy {
    /// Starts with the defaults.
    pub fn builder() -> CallPolicyBuilder {
        CallPolicyBuilder::default()
    }

    pub(super) fn read(section: &Object, prefix: &str, problems: &mut Problems) -> Self {
        Self(section::read(section, prefix, &[TABLE], problems))
    }

    /// The time a call has for everything: to wait for its turn, connect, write, and get
    /// its reply. Default 30 s, up to a year.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// The most calls that may wait when every connection is full; one more is refused as
    /// overloaded. Default 1024, from 0 (refuse at once) to 1048576.
    pub fn queue_capacity(&self) -> usize {
        self.0.queue_capacity
    }

    /// Which calls are sent again after their connection broke. Default
    /// [`RetryPolicy::Unsent`].
    pub fn retry(&self) -> RetryPolicy {
        self.0.retry
    }

    /// How many calls may be sent again: this percentage of the calls of the last 10 s,
    /// plus 10 for each second. Default 20, at most 100.
    pub fn retry_budget(&self) -> u32 {
        self.0.retry_budget
    }

    /// How many calls in a row must be unanswered for calls to fail at once, until one that
    /// is let through on trial gets a reply. Default 5; with 0 only a plugin that cannot be
    /// reached fails calls at once.
    ///
    /// A call is unanswered when it is over and the plugin had at least half of
    /// [`timeout`](Self::timeout) for it, or else after
    /// [`stall_limit`](super::UnixSocketConfig::stall_limit) more.
    pub fn breaker_threshold(&self) -> u32 {
        self.0.breaker_threshold
    }

    /// The longest time between two such trials. It starts at 1 s and doubles with every
    /// trial without a reply. Default 30 s, up to a year.
    pub fn breaker_max_open(&self) -> Duration {
        self.0.breaker_max_open
    }

    /// What happens to integers that the wire cannot carry exactly. Default
    /// [`BigIntegers::Refuse`].
    pub fn big_integers(&self) -> BigIntegers {
        self.0.big_integers
    }

    /// Whether the server is asked about the plugin when it is connected to, and after each
    /// reconnect: its name is compared exactly, its entry merged and compared with the one
    /// here. The checks on replies are always on. Default [`Verify::On`].
    pub fn verify(&self) -> Verify {
        self.0.verify
    }

    /// Whether each call carries a stamp in its context's metadata, under
    /// [`STAMP_KEY`](crate::model::STAMP_KEY), that its reply must bring back: a result is
    /// then proven to belong to its call, whatever the server does. The plugin must leave
    /// the key where it is. Default false.
    pub fn stamp(&self) -> bool {
        self.0.stamp
    }
}

/// Builds a [`CallPolicy`]; what is not set keeps its default.
///
/// See [`CallPolicy`] for an example.
#[derive(Debug, Clone, Default)]
#[must_use = "`build` makes the policy"]
pub struct CallPolicyBuilder(pub(super) Values);

impl CallPolicyBuilder {
    setters! {
        CallPolicy, 0, identity:
        timeout: Duration,
        queue_capacity: usize,
        retry: RetryPolicy,
        retry_budget: u32,
        breaker_threshold: u32,
        breaker_max_open: Duration,
        big_integers: BigIntegers,
        verify: impl Into<Verify>,
        stamp: bool,
    }

    /// Checks everything that was set.
    ///
    /// # Errors
    /// All values that are out of their bounds, together.
    pub fn build(self) -> Result<CallPolicy, ConfigError> {
        section::built(&self.0, |section, problems| CallPolicy::read(section, "", problems))
    }
}

/// To change a policy that is there already.
impl From<CallPolicy> for CallPolicyBuilder {
    fn from(policy: CallPolicy) -> Self {
        Self(policy.0)
    }
}
