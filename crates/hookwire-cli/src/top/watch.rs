//! Asks a plugin again and again, and keeps what came of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookwire::{CallOptions, PluginConfig, PluginHandle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::row::{Row, Trouble};

/// From one answer to the next question.
const PAUSE: Duration = Duration::from_millis(250);
/// What quantiles are of.
const WINDOW: Duration = Duration::from_secs(60);
/// What the rate is of.
const RECENT: Duration = Duration::from_secs(5);

/// A plugin, and the task that asks it until this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    handle: PluginHandle,
    answers: Arc<Mutex<Answers>>,
    asking: JoinHandle<()>,
}

impl Watched {
    pub(super) fn start(plugin: PluginConfig, timeout: Duration) -> Self {
        let handle = PluginHandle::builder(plugin).allow_no_hooks().connect_lazy();
        let answers = Arc::new(Mutex::new(Answers::new(Instant::now())));
        let asked = handle.with(CallOptions::new().timeout(timeout));
        let asking = tokio::spawn(ask(asked, Arc::clone(&answers)));
        Self { handle, answers, asking }
    }

    pub(super) fn row(&self) -> Row {
        let stats = self.handle.stats();
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.forget(now);
        let [p50, p99] = answers.quantiles([0.5, 0.99]);
        Row {
            plugin: self.handle.name().to_owned(),
            state: self.handle.state(),
            breaker: stats.breaker,
            rate: answers.rate(now),
            p50,
            p99,
            in_flight: stats.in_flight,
            unanswered: answers.unanswered,
            error: answers.error.as_ref().map(|(at, message)| Trouble::new(message, now - *at)),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

async fn ask(handle: PluginHandle, answers: Arc<Mutex<Answers>>) {
    loop {
        let asked = Instant::now();
        let answer = handle.plugin_config().await;
        let now = Instant::now();
        {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Ok(Some(_)) => answers.answered(now, now - asked),
                Ok(None) => answers.failed(now, "its server knows no plugin of this name".into()),
                Err(error) => answers.failed(now, format!("{error:#}")),
            }
        }
        sleep(PAUSE).await;
    }
}

/// What came of the questions to one plugin.
#[derive(Debug)]
struct Answers {
    since: Instant,
    /// When, and how long it took; oldest first.
    recent: VecDeque<(Instant, Duration)>,
    unanswered: u64,
    error: Option<(Instant, String)>,
}

impl Answers {
    fn new(since: Instant) -> Self {
        Self { since, recent: VecDeque::new(), unanswered: 0, error: None }
    }

    fn answered(&mut self, now: Instant, took: Duration) {
        self.recent.push_back((now, took));
        self.forget(now);
    }

    fn failed(&mut self, now: Instant, error: String) {
        self.unanswered += 1;
        self.error = Some((now, error));
    }

    /// What is too old to count.
    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            self.recent.pop_front();
        }
    }

    fn quantiles<const N: usize>(&self, fractions: [f64; N]) -> [Option<Duration>; N] {
        let mut times: Vec<_> = self.recent.iter().map(|(_, took)| *took).collect();
        times.sort_unstable();
        fractions.map(|fraction| {
            let rank = (fraction * times.len() as f64).ceil() as usize;
            times.get(rank.saturating_sub(1)).copied()
        })
    }

    /// Answers per second.
    fn rate(&self, now: Instant) -> f64 {
        let span = RECENT.min(now - self.since).max(Duration::from_millis(1));
        let count = self.recent.iter().rev().take_while(|(at, _)| *at + span >= now).count();
        count as f64 / span.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn quantiles_are_those_of_the_last_minute() {
        let begin = Instant::now();
        let mut answers = Answers::new(begin);
        answers.answered(begin, 900 * MS);
        for number in 1..=100 {
            answers.answered(begin + 10 * SECOND, number * MS);
        }
        assert_eq!(answers.quantiles([0.0, 0.5, 1.0]), [1, 51, 900].map(|n| Some(n * MS)));
        answers.forget(begin + 61 * SECOND);
        assert_eq!(answers.quantiles([0.5, 0.99, 1.0]), [50, 99, 100].map(|n| Some(n * MS)));
        answers.forget(begin + 71 * SECOND);
        assert_eq!(answers.quantiles([0.5]), [None]);
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let begin = Instant::now();
        let mut answers = Answers::new(begin);
        assert_eq!(answers.rate(begin), 0.0);
        for at in 1..=40 {
            answers.answered(begin + 250 * at * MS, MS);
        }
        assert_eq!(answers.rate(begin + 2 * SECOND).round(), 20.0);
        assert!((answers.rate(begin + 10 * SECOND) - 4.0).abs() < 0.3);
        assert_eq!(answers.rate(begin + 16 * SECOND), 0.0);
    }

    #[test]
    fn an_error_stays_with_its_time_and_all_are_counted() {
        let begin = Instant::now();
        let mut answers = Answers::new(begin);
        answers.failed(begin, "first".to_owned());
        answers.failed(begin + SECOND, "last".to_owned());
        answers.answered(begin + 2 * SECOND, MS);
        assert_eq!(
            (answers.unanswered, answers.error),
            (2, Some((begin + SECOND, "last".to_owned())))
        );
    }
}
