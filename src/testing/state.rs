//! What a double was told, and what it has heard.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::{Answer, Choose};
use super::line::Switch;
use super::received::{Log, ReceivedCall};
use crate::config::{PluginConfig, Transport};
use crate::server::{Handlers, PluginInfo, PluginServer, PluginService};

pub(super) struct State {
    pub(super) config: PluginConfig,
    handlers: Arc<Handlers>,
    /// The handlers, and what is told about the plugin.
    service: Mutex<PluginService>,
    pub(super) switch: Switch,
    script: Mutex<Script>,
    pub(super) calls: Log,
}

pub(super) struct Script {
    pub(super) next: VecDeque<Answer>,
    pub(super) choose: Choose,
}

impl State {
    pub(super) fn new(
        config: PluginConfig,
        handlers: Handlers,
        info: PluginInfo,
        script: Script,
    ) -> Self {
        let handlers = Arc::new(handlers);
        let service = Mutex::new(service(&config, &handlers, info));
        let (script, switch, calls) = (Mutex::new(script), Switch::up(), Log::default());
        Self { config, handlers, service, switch, script, calls }
    }

    /// From the next connection on this is told about the plugin.
    pub(super) fn tell(&self, info: PluginInfo) {
        *locked(&self.service) = service(&self.config, &self.handlers, info);
    }

    pub(super) fn service(&self) -> PluginService {
        locked(&self.service).clone()
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        locked(&self.script)
    }

    /// What is said to this call.
    pub(super) fn answer_to(&self, call: &ReceivedCall) -> Answer {
        let mut script = self.script();
        if let Some(next) = script.next.pop_front() {
            return next;
        }
        let choose = Arc::clone(&script.choose);
        // It is the test's own function, and may have more to say to the double.
        drop(script);
        choose(call)
    }

    /// As large as its callers write.
    pub(super) fn max_frame_len(&self) -> usize {
        max_frame_len(&self.config)
    }
}

fn service(config: &PluginConfig, handlers: &Arc<Handlers>, info: PluginInfo) -> PluginService {
    PluginServer::builder()
        .plugin(info, Arc::clone(handlers))
        .max_frame_len(max_frame_len(config))
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn max_frame_len(config: &PluginConfig) -> usize {
    match config.transport() {
        Transport::Unix(socket) => socket.max_frame_len(),
        #[cfg(feature = "grpc")]
        Transport::Grpc(grpc) => grpc.max_message_len().max(grpc.max_reply_len()),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
