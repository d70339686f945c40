//! Callers who call all the time, each call with a marker of its own, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{CallOptions, PluginContext, PluginError, PluginHandle, Sent, Verdict};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::calls::in_time;

/// Calls the plugin with these arguments, which must come back.
pub(crate) async fn ask(
    plugin: &PluginHandle,
    args: Value,
    timeout: Option<Duration>,
) -> Result<(), PluginError> {
    let Value::Object(args) = args else { panic!("arguments are an object") };
    let payload = ToolPreInvokePayload::new("tool").with_args(args);
    let options = timeout.map_or(CallOptions::new(), |time| CallOptions::new().timeout(time));
    let mut context = PluginContext::new("request");
    let result = plugin.with(options).invoke_hook::<ToolPreInvoke>(&payload, &mut context).await?;
    match result.into_verdict() {
        Verdict::Allowed(Some(given)) => assert_eq!(given, payload, "the reply of another call"),
        other => panic!("not what the plugin answers: {other:?}"),
    }
    Ok(())
}

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) marker: String,
    pub(crate) error: PluginError,
    pub(crate) at: Instant,
}

#[derive(Debug, Default)]
struct Progress {
    over: AtomicBool,
    ended: AtomicUsize,
    more: Notify,
}

/// Callers at work, until they are [stopped](Self::stop).
pub(crate) struct Load {
    progress: Arc<Progress>,
    callers: JoinSet<(Vec<Instant>, Vec<Failed>)>,
}

impl Load {
    /// So many callers of hooks that take this long.
    pub(crate) fn start(plugin: &PluginHandle, callers: usize, ms: u64) -> Self {
        let progress = Arc::new(Progress::default());
        let caller = |caller| {
            let (plugin, progress) = (plugin.clone(), Arc::clone(&progress));
            async move {
                let (mut ends, mut failed) = (Vec::new(), Vec::new());
                while !progress.over.load(Relaxed) {
                    let marker = format!("{caller}-{}", ends.len());
                    let outcome = ask(&plugin, json!({"marker": marker, "ms": ms}), None).await;
                    let at = Instant::now();
                    ends.push(at);
                    if let Err(error) = outcome {
                        failed.push(Failed { marker, error, at });
                    }
                    progress.ended.fetch_add(1, Relaxed);
                    progress.more.notify_one();
                }
                (ends, failed)
            }
        };
        Self { callers: (0..callers).map(caller).collect(), progress }
    }

    /// Waits until so many more calls have ended.
    pub(crate) async fn go_on(&self, calls: usize) {
        let enough = self.progress.ended.load(Relaxed) + calls;
        in_time("calls end", async {
            while self.progress.ended.load(Relaxed) < enough {
                self.progress.more.notified().await;
            }
        })
        .await;
    }

    /// Waits for every call's end.
    pub(crate) async fn stop(self) -> Outcomes {
        self.progress.over.store(true, Relaxed);
        let callers = in_time("all calls end", self.callers.join_all()).await;
        let mut outcomes = Outcomes::default();
        for (ends, failed) in callers {
            outcomes.ends.extend(ends);
            outcomes.failed.extend(failed);
        }
        outcomes
    }
}

/// What came of all calls.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// When each of them ended.
    pub(crate) ends: Vec<Instant>,
    pub(crate) failed: Vec<Failed>,
}

impl Outcomes {
    /// Failed calls of which this is known.
    pub(crate) fn sent(&self, sent: Sent) -> usize {
        self.failed.iter().filter(|failed| failed.error.sent() == sent).count()
    }

    /// Markers whose hook began more than once.
    pub(crate) fn twice(begun: &BTreeMap<String, usize>) -> Vec<&String> {
        begun.iter().filter(|(_, times)| **times > 1).map(|(marker, _)| marker).collect()
    }

    /// Nothing ran that was told not to have been sent, or begun, and nothing ran twice.
    pub(crate) fn are_true_to(&self, begun: &BTreeMap<String, usize>) {
        assert_eq!(Self::twice(begun), Vec::<&String>::new(), "ran twice");
        for Failed { marker, error, .. } in &self.failed {
            let ran = begun.contains_key(marker);
            assert!(!ran || error.sent() == Sent::Maybe, "{marker} ran, and is told {error}");
        }
    }

    /// Each kind of failure once, with how often it came.
    pub(crate) fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for failed in &self.failed {
            *told.entry(failed.error.to_string()).or_default() += 1;
        }
        told
    }
}
