//! What there is to show of one plugin.

use std::time::Duration;

use hookwire::{BreakerState, ConnectionState};
use serde::{Serialize, Serializer};

use crate::text;

/// One plugin as it is now.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) plugin: String,
    #[serde(serialize_with = "state")]
    pub(super) state: ConnectionState,
    #[serde(serialize_with = "breaker")]
    pub(super) breaker: BreakerState,
    /// Of the last seconds.
    #[serde(rename = "answers_per_second")]
    pub(super) rate: f64,
    /// Of the last minute, as the next one; `None` if nothing was answered.
    #[serde(rename = "p50_us", serialize_with = "micros")]
    pub(super) p50: Option<Duration>,
    #[serde(rename = "p99_us", serialize_with = "micros")]
    pub(super) p99: Option<Duration>,
    pub(super) in_flight: usize,
    /// Questions without an answer, from the start on.
    pub(super) unanswered: u64,
    /// The last one, on one line, without what is not to be shown on a terminal.
    pub(super) error: Option<Trouble>,
}

/// Why a question was not answered.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Trouble {
    pub(super) message: String,
    #[serde(rename = "seconds_ago", serialize_with = "seconds")]
    pub(super) ago: Duration,
}

impl Row {
    /// For people and scripts that read lines.
    pub(super) fn line(&self) -> String {
        let time = |time: Option<Duration>| {
            time.map_or("-".to_owned(), |time| format!("{:.3}ms", time.as_secs_f64() * 1e3))
        };
        let error = match &self.error {
            Some(Trouble { message, ago }) => format!(" error={message:?} ago={}s", ago.as_secs()),
            None => String::new(),
        };
        format!(
            "plugin={:?} state={} breaker={} answers_per_second={:.1} p50={} p99={} in_flight={} unanswered={}{error}",
            self.plugin,
            self.state,
            self.breaker,
            self.rate,
            time(self.p50),
            time(self.p99),
            self.in_flight,
            self.unanswered,
        )
    }
}

impl Trouble {
    pub(super) fn new(message: &str, ago: Duration) -> Self {
        Self { message: text::one_line(message), ago }
    }
}

fn state<S: Serializer>(state: &ConnectionState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

fn breaker<S: Serializer>(state: &BreakerState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

fn micros<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64() * 1e6).serialize(serializer)
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
