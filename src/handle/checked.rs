//! What the server's answers make of a plugin's configuration, and whether the plugin may be
//! called as it is configured. The last answer counts.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::effective::{EffectiveConfig, Hooks, View};
use crate::config::{Difference, PluginConfig, PluginMode, ServerEntry, Verify};
use crate::error::Cause;
use crate::hooks::HookRegistry;
use crate::identity::Identity;
use crate::unix::listening::{Heard, Listener};
use crate::wire::reply::{Reported, config_reply};

pub(super) struct Checked {
    pub(super) local: Arc<PluginConfig>,
    pub(super) registry: Arc<HookRegistry>,
    allow_no_hooks: bool,
    identity: Arc<Identity>,
    current: watch::Sender<EffectiveConfig>,
    /// There is a refusal in `current`: all that a call looks at.
    barred: AtomicBool,
    /// The server that is called may be another one than the one that has answered.
    stale: AtomicBool,
    /// What the log was warned of.
    warned: Mutex<Vec<Difference>>,
    answers: AtomicU64,
    changes: AtomicU64,
}

/// What is known of the plugin on its server.
enum Told {
    /// It was not asked, or has not answered.
    Nothing,
    NotKnown,
    Entry(ServerEntry),
}

impl Checked {
    pub(super) fn new(
        local: PluginConfig,
        registry: Arc<HookRegistry>,
        allow_no_hooks: bool,
        identity: Arc<Identity>,
    ) -> Self {
        let local = Arc::new(local);
        let (view, _) = view(&local, &registry, Told::Nothing);
        Self {
            barred: AtomicBool::new(view.refusal.is_some()),
            current: watch::Sender::new(EffectiveConfig::new(view)),
            local,
            registry,
            allow_no_hooks,
            identity,
            stale: AtomicBool::new(false),
            warned: Mutex::default(),
            answers: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        }
    }

    pub(super) fn current(&self) -> EffectiveConfig {
        self.current.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<EffectiveConfig> {
        self.current.subscribe()
    }

    /// Why no call may be made, if that is so.
    pub(super) fn refusal(&self) -> Option<Cause> {
        if !self.barred.load(Acquire) {
            return None;
        }
        self.current.borrow().view().refusal.clone()
    }

    /// The server that is called has answered.
    pub(super) fn is_fresh(&self) -> bool {
        !self.stale.load(Acquire) && self.current.borrow().view().answered
    }

    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Relaxed)
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// Whether calls may be made although the server has not answered.
    pub(super) fn may_do_without(&self) -> bool {
        let has_hooks = self.allow_no_hooks || !self.local.hooks().is_empty();
        has_hooks && self.local.policy().verify() != Verify::Strict
    }

    /// Goes on without the server's word, for it is not asked.
    pub(super) fn settle(&self) -> Result<(), Cause> {
        let (view, _) = view(&self.local, &self.registry, Told::Nothing);
        self.conclude(view)
    }

    /// Takes over what the server has answered.
    pub(super) fn learn(&self, reported: Option<Reported>) -> Result<(), Cause> {
        let told = match reported {
            Some(Reported { entry, complete }) => Told::Entry(ServerEntry::new(entry, complete)),
            None => Told::NotKnown,
        };
        let (view, notes) = view(&self.local, &self.registry, told);
        if self.current.borrow().view().server != view.server {
            self.identity.log(|identity| {
                let (plugin, socket) = (&identity.plugin, &identity.endpoint);
                for note in &notes {
                    tracing::warn!(%plugin, %socket, note, "a part of the server's configuration was left out");
                }
            });
        }
        let outcome = self.conclude(view);
        // After it is published: whoever sees that it is checked sees what was answered.
        self.stale.store(false, Release);
        self.answers.fetch_add(1, Relaxed);
        outcome
    }

    /// Publishes what was found out. A plugin that is disabled is in order.
    fn conclude(&self, mut view: View) -> Result<(), Cause> {
        if view.refusal.is_none() && view.merged.hooks().is_empty() && !self.allow_no_hooks {
            view.refusal = Some(Cause::NoHooks);
        }
        self.warn(&view.differences);
        let before = self.current();
        if before.view().answered && view.answered {
            self.tell_changes(before.view(), &view);
        }
        let refusal = view.refusal.clone();
        self.current.send_if_modified(|current| {
            // Together with what it stands for: two answers may be concluded from at once.
            self.barred.store(refusal.is_some(), Release);
            let is_new = !same(current.view(), &view);
            if is_new {
                *current = EffectiveConfig::new(view);
            }
            is_new
        });
        match refusal {
            None | Some(Cause::Disabled) => Ok(()),
            Some(cause) => Err(cause),
        }
    }

    /// Warns of what is known without the server's word.
    pub(super) fn warn_of_current(&self) {
        self.warn(self.current().differences());
    }

    /// One line for each contradiction that was not there before.
    fn warn(&self, differences: &[Difference]) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *warned, differences.to_vec());
        drop(warned);
        for difference in differences.iter().filter(|difference| !before.contains(difference)) {
            self.identity.log(|identity| {
                let (plugin, socket) = (&identity.plugin, &identity.endpoint);
                tracing::warn!(%plugin, %socket, "{difference}");
            });
        }
    }

    /// One line that names what changed, by its keys: values may be secrets.
    fn tell_changes(&self, before: &View, after: &View) {
        let changed = match (&before.server, &after.server) {
            (Some(before), Some(after)) => after.changes(before).join(", "),
            (None, None) => return,
            _ => "whether it knows the plugin".to_owned(),
        };
        if before.server != after.server {
            self.changes.fetch_add(1, Relaxed);
            self.identity.log(|identity| {
                let (plugin, socket) = (&identity.plugin, &identity.endpoint);
                tracing::info!(%plugin, %socket, changed, "the plugin's configuration on its server has changed");
            });
        }
        if before.refusal.is_none()
            && let Some(reason) = &after.refusal
        {
            self.identity.log(|identity| {
                let (plugin, socket) = (&identity.plugin, &identity.endpoint);
                tracing::warn!(%plugin, %socket, %reason, "the plugin is called no more");
            });
        }
    }
}

/// What holds, given what the server has told; and notes on what could not be read of that.
fn view(local: &Arc<PluginConfig>, registry: &HookRegistry, told: Told) -> (View, Vec<String>) {
    let mut view = View {
        merged: Arc::clone(local),
        server: None,
        differences: Vec::new(),
        hooks: Hooks::Unknown,
        hooks_in_doubt: false,
        answered: !matches!(told, Told::Nothing),
        refusal: None,
    };
    let mut notes = Vec::new();
    let strict = local.policy().verify() == Verify::Strict;
    match told {
        Told::Nothing => {
            view.differences = Difference::within(local, registry);
            view.refusal = strict.then_some(Cause::Unchecked);
        }
        Told::NotKnown => {
            view.differences = Difference::within(local, registry);
            view.differences.insert(0, Difference::Unknown);
        }
        Told::Entry(entry) => {
            view.differences = Difference::between(local, &entry, registry);
            view.refusal = other_name(local.name(), &entry);
            let (merged, left_out) = local.merged_with_remote(entry.as_object());
            (view.merged, notes) = (Arc::new(merged), left_out);
            view.server = Some(entry);
        }
    }
    if view.merged.names_hooks() {
        view.hooks = Hooks::Known(view.merged.hooks().into());
    }
    let hooks = view.merged.hooks();
    view.hooks_in_doubt = hooks.is_empty() || hooks.iter().any(|hook| !registry.contains(hook));
    if strict && view.answered && view.refusal.is_none() {
        let weaker = view.differences.iter().find(|difference| difference.is_weaker());
        view.refusal = weaker.map(|difference| Cause::WeakerServer(difference.to_string().into()));
    }
    // Whatever else is wrong with it: it is not to be called.
    if view.merged.mode() == PluginMode::Disabled {
        view.refusal = Some(Cause::Disabled);
    }
    (view, notes)
}

fn other_name(configured: &str, entry: &ServerEntry) -> Option<Cause> {
    let found = entry.name().filter(|found| *found != configured)?;
    Some(Cause::NameMismatch { configured: configured.to_owned(), found: found.to_owned() })
}

fn same(before: &View, after: &View) -> bool {
    before.answered == after.answered
        && before.server == after.server
        && before.differences == after.differences
        && before.refusal.is_some() == after.refusal.is_some()
}

impl Listener for Checked {
    fn answer(&self, message: &[u8]) -> Heard {
        let Ok(reported) = config_reply(message) else { return Heard::NoAnswer };
        // It is in the log, and calls are refused with it.
        let _ = self.learn(reported);
        if self.barred.load(Acquire) { Heard::Barred } else { Heard::Understood }
    }

    fn stale(&self) {
        self.stale.store(true, Relaxed);
    }
}
