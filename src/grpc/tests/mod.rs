//! Calls over HTTP/2 to servers in memory, in paused time.

mod asking;
mod deadlines;
mod fake;
mod frames;
mod goaway;
mod names;
#[cfg(feature = "server")]
mod real;
mod replies;
mod servers;
mod serving;
mod sharing;
mod sharing_ends;
mod sharing_streams;
mod stopping;
mod storm;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::fake::{Connector, Fake};
use super::GrpcPlugin;
use crate::breaker::{Breaker, Gate};
use crate::config::CallPolicy;
use crate::error::{Cause, Sent};
use crate::grpc::pool::Pool;
use crate::grpc::remote::Remote;
use crate::grpc::settings::{Servers, Settings};
use crate::identity::Identity;
use crate::unix::message::{Failure, Method, Reply};
use crate::unix::plugin::Outbound;

/// As long as a call may take, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(35);

struct Bench {
    plugin: Arc<GrpcPlugin>,
    gate: Arc<Gate>,
    servers: Vec<Fake>,
}

impl Bench {
    fn new(servers: usize) -> Self {
        Self::with(servers, Settings::default(), CallPolicy::builder().build().unwrap())
    }

    fn with(servers: usize, settings: Settings, policy: CallPolicy) -> Self {
        let servers = (0..servers).map(|_| Fake::new()).collect();
        Self::over_with(servers, known, settings, policy)
    }

    /// With `found` of these servers.
    fn over(
        servers: Vec<Fake>,
        found: impl FnOnce(&[Fake]) -> Servers,
        settings: Settings,
    ) -> Self {
        Self::over_with(servers, found, settings, CallPolicy::builder().build().unwrap())
    }

    fn over_with(
        servers: Vec<Fake>,
        found: impl FnOnce(&[Fake]) -> Servers,
        settings: Settings,
        policy: CallPolicy,
    ) -> Self {
        let (plugin, gate) = plugin(found(&servers), settings, &policy, None);
        Self { plugin, gate, servers }
    }

    fn one(&mut self) -> &mut Fake {
        &mut self.servers[0]
    }

    async fn call(&self, text: &str) -> Result<Reply, Box<Failure>> {
        self.plugin.exchange(hook(text, TIMEOUT)).await
    }

    /// A call that is under way.
    fn begin(&self, request: Outbound) -> JoinHandle<Result<Reply, Box<Failure>>> {
        let plugin = Arc::clone(&self.plugin);
        tokio::spawn(async move { plugin.exchange(request).await })
    }

    /// What failed, and whether it was sent.
    async fn failure(&self, text: &str) -> (Cause, Sent) {
        failed(self.call(text).await)
    }

    /// As the calls of a handle: the breaker is asked before.
    async fn gated(&self, text: &str, timeout: Duration) -> Result<Reply, Box<Failure>> {
        let _permit =
            self.gate.admit().map_err(|cause| Box::new(Failure { cause, sent: Sent::No }))?;
        self.plugin.exchange(hook(text, timeout)).await
    }
}

/// A plugin on these servers.
fn plugin(
    servers: Servers,
    settings: Settings,
    policy: &CallPolicy,
    pool: Option<Pool>,
) -> (Arc<GrpcPlugin>, Arc<Gate>) {
    let identity = Arc::new(Identity::new("P".into(), std::path::Path::new("/p").into()));
    let (threshold, rest) = (policy.breaker_threshold(), policy.breaker_max_open());
    let breaker = Breaker::new(threshold, rest, policy.timeout());
    let gate = Arc::new(Gate::new(Arc::clone(&identity), breaker));
    let health = Arc::clone(&gate);
    let plugin = GrpcPlugin::new(identity, settings, policy, health, servers, None, pool);
    (Arc::new(plugin), gate)
}

/// All of them.
fn known(servers: &[Fake]) -> Servers {
    let remotes = servers.iter().enumerate();
    Servers::Known(remotes.map(|(index, server)| remote(index, server)).collect())
}

fn remote(index: usize, server: &Fake) -> Remote {
    let authority = Authority::from_static("plugins.test:50051");
    let connector = Arc::new(Connector(Arc::clone(&server.inner)));
    Remote::new(format!("server {index}"), Scheme::HTTP, &authority, connector)
}

fn failed(answer: Result<Reply, Box<Failure>>) -> (Cause, Sent) {
    let failure = *answer.unwrap_err();
    (failure.cause, failure.sent)
}

fn hook(text: &str, timeout: Duration) -> Outbound {
    outbound(Method::InvokeHook, text.as_bytes(), timeout)
}

fn outbound(method: Method, message: &[u8], timeout: Duration) -> Outbound {
    let mut frame = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(message);
    Outbound { method, frame, deadline: Instant::now() + timeout, timeout, may_wait: true }
}

/// Lets everything happen that can without time going on.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
