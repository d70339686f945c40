//! A plugin of a chain, and what the chain remembers of it.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use hookwire::PluginHandle;
use hookwire::config::{OnError, PluginConfig};
use hookwire::model::Object;
use tokio::time::Instant;

use super::plan::{Candidate, Standing};
use super::switch::{Pass, Switch};
use crate::conditions::{ConditionError, Conditions, Subject};
use crate::context::RequestContext;

pub(crate) struct Member {
    pub(crate) handle: PluginHandle,
    pub(crate) name: Arc<str>,
    pub(crate) switch: Arc<Switch>,
    /// Those of the entry as it was when the chain was made, read.
    conditions: Conditions,
    read_from: Vec<Object>,
}

impl Member {
    pub(crate) fn new(handle: PluginHandle) -> Result<Self, ConditionError> {
        // The gateway's own must be in order. What the server told must not keep a new
        // configuration from being taken over.
        Conditions::parse(handle.local_config().conditions())?;
        let read_from = handle.config().conditions().to_vec();
        Ok(Self {
            name: handle.name().into(),
            switch: Arc::default(),
            conditions: Conditions::parse(&read_from).unwrap_or_default(),
            read_from,
            handle,
        })
    }

    /// The plugin as it is configured now; `None` if it does not serve this hook.
    pub(crate) fn candidate(
        &self,
        index: usize,
        hook: &str,
        payload: &(dyn Any + Send + Sync),
        request: &RequestContext,
        times: Times,
    ) -> Option<Candidate> {
        // One look, for it may change at any time.
        let config = self.handle.config();
        // True also if neither side has told its hooks yet, and where what they tell is of no
        // use: the call is refused then.
        if !config.may_serve(hook) {
            return None;
        }
        let mode = config.mode();
        let met = || {
            let conditions = self.conditions(&config);
            conditions.is_empty() || conditions.are_met(request, Subject::of(hook, payload))
        };
        // Requests that stop for it now do so although it was left out before.
        let may_pass = || {
            config.on_error() != OnError::Disable
                || self.switch.may_pass(|| times.now(), times.rest)
        };
        Some(Candidate {
            index,
            mode,
            on_error: config.on_error(),
            priority: config.priority(),
            standing: Standing::of(mode, met, may_pass),
        })
    }

    /// Whether it is left out because of an error.
    pub(crate) fn is_left_out(&self) -> bool {
        self.switch.is_off() && self.handle.config().on_error() == OnError::Disable
    }

    /// Leave to call it, taken when the call is made; `None` if it is left out.
    pub(crate) fn pass(&self, on_error: OnError, times: Times) -> Option<Pass> {
        match self.switch.ask(|| times.now(), times.rest) {
            None if on_error != OnError::Disable => Some(Pass::default()),
            pass => pass,
        }
    }

    /// The plugin's server may have told others since. Those that cannot be read leave it out
    /// of nothing.
    fn conditions(&self, config: &PluginConfig) -> Cow<'_, Conditions> {
        if config.conditions() == self.read_from {
            return Cow::Borrowed(&self.conditions);
        }
        Cow::Owned(Conditions::parse(config.conditions()).unwrap_or_default())
    }
}

/// The time as switches have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    begin: Instant,
    /// How long a plugin is left out after an error; `None` is until it is reset.
    rest: Option<u64>,
}

impl Times {
    pub(crate) fn new(rest: Option<Duration>) -> Self {
        Self { begin: Instant::now(), rest: rest.map(micros) }
    }

    fn now(self) -> u64 {
        micros(self.begin.elapsed())
    }

    pub(crate) fn turn_off(self, switch: &Switch, pass: Pass) {
        switch.turn_off(pass, self.now(), self.rest);
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}
