//! What callers call: a plugin's handle, or in tests something that only claims to be one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hookwire::{
    CallOptions, ErrorKind, Hook, Overload, PluginContext, PluginHandle, PluginResult,
    PluginViolation, RetryPolicy, Verdict,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::judge::{Asked, Told, Wrong};
use crate::place::Place;
use crate::plan::Plan;
use crate::site::{Contexts, Site};
use crate::work::{Answer, Question, Work};

pub(crate) trait Target: Send + Sync + Sized + 'static {
    fn name(&self) -> &str;

    /// What its replies bring back.
    fn contexts(&self) -> Contexts;

    /// How long a call may take that says nothing about it.
    fn timeout(&self) -> Duration;

    /// Calls may run twice, whatever they say about it.
    fn resends(&self) -> bool;

    /// Its servers keep their word: what they say was not begun has not run.
    fn proves_unstarted(&self) -> bool;

    fn call(
        &self,
        asked: &Asked,
        plan: &Plan,
        context: &mut PluginContext,
    ) -> impl Future<Output = Told> + Send;

    /// How the question for the configuration ended, and what is wrong with that.
    fn ask_for_config(&self) -> impl Future<Output = (&'static str, Option<Wrong>)> + Send;

    /// When this version of its server was replaced by the next, if it was.
    fn replaced_at(&self, version: usize) -> Option<Instant>;

    /// Another way to the same plugin, for a few calls.
    fn short_lived(&self) -> Option<Self>;

    /// The end of one that is short-lived: shut down within a time, or only dropped.
    fn part(self, shutdown: Option<Duration>) -> impl Future<Output = ()> + Send;
}

pub(crate) struct Plugin {
    pub(crate) handle: PluginHandle,
    pub(crate) site: Arc<Site>,
    place: Place,
}

impl Plugin {
    pub(crate) fn new(site: &Arc<Site>, place: Place) -> Self {
        Self::over(place.handle(site), site, place)
    }

    pub(crate) fn over(handle: PluginHandle, site: &Arc<Site>, place: Place) -> Self {
        Self { handle, site: Arc::clone(site), place }
    }
}

impl Target for Plugin {
    fn name(&self) -> &str {
        &self.site.name
    }

    fn contexts(&self) -> Contexts {
        self.site.contexts
    }

    fn timeout(&self) -> Duration {
        self.handle.config().policy().timeout()
    }

    fn resends(&self) -> bool {
        self.handle.config().policy().retry() == RetryPolicy::Resend
    }

    fn proves_unstarted(&self) -> bool {
        matches!(self.place, Place::Grpc(_))
    }

    async fn call(&self, asked: &Asked, plan: &Plan, context: &mut PluginContext) -> Told {
        let mut options = CallOptions::new();
        if let Some(timeout) = plan.timeout {
            options = options.timeout(timeout);
        }
        if plan.refuse {
            options = options.overload(Overload::Refuse);
        }
        if plan.may_repeat {
            options = options.retry(RetryPolicy::Resend);
        }
        // Callers share a plugin by clones of its handle.
        let handle = self.handle.with(options);
        if plan.dynamic {
            let args = json!({"marker": asked.marker.to_string(), "filler": asked.filler});
            let payload = json!({"name": "chaos", "args": args});
            let result = handle.invoke_hook_json(Work::NAME, &payload, context).await;
            return result.map(typed);
        }
        let question = Question::new(asked.marker, asked.filler);
        handle.invoke_hook::<Work>(&question, context).await
    }

    async fn ask_for_config(&self) -> (&'static str, Option<Wrong>) {
        match self.handle.plugin_config().await {
            Ok(Some(config)) if config.get("name") == Some(&self.name().into()) => ("config", None),
            // A "not found" is an empty frame. Where replies get lost on the way it may
            // be one that was meant for a hook call, and nothing on the wire shows it.
            Ok(None) if self.site.misleads() => ("config_unprovable", None),
            Ok(config) => {
                let found = config.map_or("nothing".to_owned(), |config| format!("{config:?}"));
                let what = format!("asked for its configuration, and was told {found}");
                ("config", Some(Wrong::Mismatched(what)))
            }
            Err(error) if error.kind() == ErrorKind::Plugin => {
                ("config_failed", Some(Wrong::Mismatched(error.to_string())))
            }
            Err(_) => ("config_failed", None),
        }
    }

    fn replaced_at(&self, version: usize) -> Option<Instant> {
        self.site.replaced_at(version)
    }

    fn short_lived(&self) -> Option<Self> {
        Some(Self::new(&self.site, self.place.clone()))
    }

    async fn part(self, shutdown: Option<Duration>) {
        if let Some(timeout) = shutdown {
            self.handle.shutdown(timeout).await;
        }
    }
}

fn typed(result: PluginResult<Value>) -> PluginResult<Answer> {
    let read = |answer: Value| {
        let text = answer.to_string();
        let unreadable = Answer { marker: text, number: String::new(), filler: None };
        serde_json::from_value(answer).unwrap_or(unreadable)
    };
    match result.into_verdict() {
        Verdict::Allowed(None) => PluginResult::allow(),
        Verdict::Allowed(Some(answer)) => PluginResult::modify(read(answer)),
        Verdict::Denied(violation) => PluginResult::deny(*violation.unwrap_or_else(unexplained)),
    }
}

/// No plugin of ours denies without a violation: the judge takes it for another's.
fn unexplained() -> Box<PluginViolation> {
    Box::new(PluginViolation::new(""))
}
