//! One plugin of the run: how it is called, and what its server does to its callers.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookwire::{CallPolicy, PluginConfig, PluginHandle, RetryPolicy, UnixSocketConfig};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::fault::{Fault, Faults};
use crate::ledger::Ledger;
use crate::work::Marker;
use fault_server::{Request, argument};

/// What a reply brings back beside its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contexts {
    /// The call's own context with its request id, which tells it from others.
    Returned,
    /// The call's own context. All calls are of one request, so that only their stamps
    /// tell them apart.
    Stamped,
    /// None.
    None,
}

/// What the servers of a run have in common.
pub(crate) struct Rules {
    pub(crate) seed: u64,
    /// The faults of connections and of servers.
    pub(crate) faults: Vec<Fault>,
    /// Honest requests between two faults of connections, on average.
    pub(crate) gap: f64,
    /// Replies go to other requests also where nothing shows it, and servers over gRPC refuse
    /// streams whose hook has run.
    pub(crate) misled: bool,
}

pub(crate) struct Site {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) contexts: Contexts,
    pub(crate) faults: Arc<Faults>,
    pub(crate) ledger: Arc<Ledger>,
    rules: Arc<Rules>,
    /// The kinds that are possible here.
    kinds: Vec<Fault>,
    /// No faults now: the server has just come back, or the run is over.
    calm: watch::Sender<bool>,
    frozen: watch::Sender<bool>,
    questions: AtomicU64,
    /// When each version of its server was replaced.
    replaced: Mutex<Vec<Instant>>,
}

/// Connections of the plugins: every size from 1 to 16 is there after two rounds of eight.
const POOLS: [usize; 16] = [1, 4, 16, 2, 8, 1, 3, 12, 5, 6, 7, 9, 10, 11, 13, 14];

/// One plugin in so many sends each call again whose connection broke.
const RESENDS: usize = 8;

impl Site {
    pub(crate) fn new(
        index: usize,
        contexts: Contexts,
        rules: Arc<Rules>,
        faults: Arc<Faults>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let shown = rules.misled || contexts != Contexts::None;
        let possible = |fault: &Fault| shown || !fault.misleads();
        let kinds = rules.faults.iter().copied().filter(possible).collect();
        let name = format!("Plugin{index}");
        let (calm, frozen) = (watch::Sender::new(false), watch::Sender::new(false));
        let (questions, replaced) = (AtomicU64::new(0), Mutex::default());
        Self {
            index,
            name,
            contexts,
            faults,
            ledger,
            rules,
            kinds,
            calm,
            frozen,
            questions,
            replaced,
        }
    }

    /// The faults of its connections.
    pub(crate) fn connection_faults(&self) -> Vec<Fault> {
        self.kinds.iter().copied().filter(|fault| !fault.is_outage()).collect()
    }

    /// The faults of the whole server.
    pub(crate) fn outages(&self) -> Vec<Fault> {
        self.kinds.iter().copied().filter(|fault| fault.is_outage()).collect()
    }

    /// The dice for a turn of connection `number` of its server, from one fault to the next.
    pub(crate) fn dice(&self, version: usize, number: usize, turn: u32) -> Dice {
        let connection = (version as u64) << 48 | (number as u64) << 32 | u64::from(turn);
        Dice::new(self.rules.seed, [self.index as u64 + 1, connection])
    }

    /// The dice for how it is called.
    pub(crate) fn own_dice(&self) -> Dice {
        Dice::new(self.rules.seed, [0, self.index as u64])
    }

    /// Its replies may go to other requests than they belong to.
    pub(crate) fn misleads(&self) -> bool {
        self.kinds.iter().any(|fault| fault.misleads())
    }

    /// What its servers say of hooks that have not run is not true.
    pub(crate) fn lies(&self) -> bool {
        self.rules.misled
    }

    pub(crate) fn gap(&self) -> f64 {
        self.rules.gap
    }

    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.send_replace(calm);
    }

    pub(crate) fn is_calm(&self) -> bool {
        *self.calm.borrow()
    }

    /// Waits until there are to be no faults.
    pub(crate) async fn calmed(&self) {
        // The sender is ours.
        let _ = self.calm.subscribe().wait_for(|calm| *calm).await;
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Waits while the server is frozen.
    pub(crate) async fn thawed(&self) {
        if *self.frozen.borrow() {
            // The sender is ours.
            let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
        }
    }

    /// A server that has read this request runs the hook.
    pub(crate) fn run(&self, request: &Request) {
        if let Some(marker) = marker(request) {
            self.ledger.ran(marker);
        }
    }

    /// Its server was asked for a configuration, and answers.
    pub(crate) fn asked(&self) {
        self.questions.fetch_add(1, Relaxed);
    }

    pub(crate) fn questions(&self) -> u64 {
        self.questions.load(Relaxed)
    }

    /// How the plugin is called. Bounds are small and waits are short, so that all
    /// of them are reached.
    pub(crate) fn handle(&self, path: &Path) -> PluginHandle {
        let mut dice = self.own_dice();
        let base = dice.millis(5.0, 100.0);
        let mut socket = UnixSocketConfig::builder(path)
            .max_connections(POOLS[self.index % POOLS.len()])
            .max_in_flight(dice.between(2, 16));
        let mut policy = CallPolicy::builder()
            .queue_capacity(dice.between(64, 1024))
            // So some calls have more time than the plugin, and most have less.
            .timeout(dice.millis(300.0, 2_000.0));
        socket = socket
            .connect_timeout(Duration::from_millis(500))
            .stall_limit(dice.millis(50.0, 300.0))
            .reconnect_attempts(dice.between(1, 4) as u32)
            .reconnect_delay(base);
        policy = policy
            .breaker_threshold(dice.between(1, 5) as u32)
            .retry_budget(dice.pick(&[0, 5, 20]))
            .stamp(self.contexts == Contexts::Stamped);
        // Some close so soon that it happens all the time; of the others, most look
        // after their server before that.
        if dice.one_in(3) {
            socket = socket.idle_timeout(dice.millis(2.0, 20.0));
        } else {
            socket = socket.idle_timeout(dice.millis(500.0, 5e3));
            if !dice.one_in(4) {
                socket = socket.keep_alive(Some(dice.millis(5.0, 100.0)));
            }
        }
        if dice.one_in(2) {
            policy = policy.breaker_max_open(dice.millis(50.0, 2_000.0));
        }
        if self.index % RESENDS == RESENDS - 1 {
            policy = policy.retry(RetryPolicy::Resend);
        }
        let config = PluginConfig::builder(&self.name).hook("tool_pre_invoke");
        let config = config.unix_socket(socket).policy(policy);
        PluginHandle::connect_lazy(config.build().expect("a valid configuration"))
    }

    /// The server of the next version, which `make` makes of that, takes over from the one before.
    pub(crate) fn replace<T>(&self, make: impl FnOnce(usize) -> T) -> T {
        let mut replaced = self.replaced();
        let successor = make(replaced.len() + 1);
        replaced.push(Instant::now());
        successor
    }

    /// When this version of its server was replaced, if it was.
    pub(crate) fn replaced_at(&self, version: usize) -> Option<Instant> {
        self.replaced().get(version).copied()
    }

    fn replaced(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose call it is; `None` if it is no call of ours.
pub(crate) fn marker(request: &Request) -> Option<Marker> {
    request.marker().parse().ok()
}

/// The text that a call came with.
pub(crate) fn filler(request: &Request) -> &str {
    match request {
        Request::Hook(hook) => argument(hook, "filler").unwrap_or_default(),
        _ => "",
    }
}
