//! Real servers, of this crate, over TCP and TLS.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use prost::Message as _;

use super::{
    Arc, Breaker, CallPolicy, Cause, Duration, Gate, GrpcPlugin, Identity, Method, Outbound,
    Remote, Scheme, Sent, Servers, Settings, failed, outbound,
};
use crate::PluginResult;
use crate::grpc::connect::{Security, to_address};
use crate::grpc::test_certificates::{Authority, Files, Signed};
use crate::grpc::tls::TlsConfig;
use crate::hooks::ToolPreInvoke;
use crate::server::grpc::{GrpcServer, GrpcServerConfig, ServerTlsConfig};
use crate::server::{Handlers, PluginServer};
use crate::unix::reconnect::ConnectionState;
use crate::wire::proto::InvokeHookRequest;

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

struct Setup {
    files: Files,
    ca: Authority,
    /// How often the hook has begun, on all servers.
    runs: Arc<AtomicUsize>,
}

impl Setup {
    fn new() -> Self {
        let setup = Self { files: Files::new(), ca: Authority::new("CA"), runs: Arc::default() };
        setup.files.write("ca.crt", &setup.ca.pem());
        setup
    }

    /// A server that lets in the clients of this authority.
    async fn serve(&self, address: SocketAddr) -> GrpcServer {
        let (certfile, keyfile) = self.files.identity("server", &self.ca.server("127.0.0.1"));
        let tls = ServerTlsConfig::new(certfile, keyfile)
            .require_clients(self.files.path("ca.crt"), ["gateway"]);
        let runs = Arc::clone(&self.runs);
        let handlers = Handlers::new().on::<ToolPreInvoke>(move |_, _| {
            runs.fetch_add(1, SeqCst);
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(PluginResult::allow())
            }
        });
        let builder = PluginServer::builder().plugin("P", handlers);
        builder.bind_grpc(GrpcServerConfig::tcp(address).tls(tls)).await.unwrap()
    }

    /// A plugin on these servers, with what its client shows of itself.
    fn plugin(&self, addresses: &[SocketAddr], identity: Option<&Signed>) -> Arc<GrpcPlugin> {
        let config = TlsConfig {
            ca_bundle: Some(self.files.path("ca.crt")),
            certfile_and_keyfile: identity.map(|signed| self.files.identity("client", signed)),
            server_name: None,
        };
        let security = Security::Tls(Arc::new(config));
        let authority = http::uri::Authority::from_static("plugins.test:50051");
        let remote = |&address: &SocketAddr| {
            let connector = to_address(address, None, &security).unwrap();
            Remote::new(address.to_string(), Scheme::HTTPS, &authority, connector)
        };
        let policy = CallPolicy::builder().build().unwrap();
        let identity = Arc::new(Identity::new("P".into(), std::path::Path::new("/p").into()));
        let (threshold, rest) = (policy.breaker_threshold(), policy.breaker_max_open());
        let breaker = Breaker::new(threshold, rest, policy.timeout());
        let gate = Arc::new(Gate::new(Arc::clone(&identity), breaker));
        let remotes = Servers::Known(addresses.iter().map(remote).collect());
        let settings = Settings::default();
        Arc::new(GrpcPlugin::new(identity, settings, &policy, gate, remotes, None, None))
    }
}

fn local() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn call() -> Outbound {
    let request = InvokeHookRequest {
        hook_type: "tool_pre_invoke".into(),
        plugin_name: "P".into(),
        payload: Some(prost_types::Struct {
            fields: [(
                "name".to_owned(),
                prost_types::Value {
                    kind: Some(prost_types::value::Kind::StringValue("t".into())),
                },
            )]
            .into(),
        }),
        context: None,
    };
    outbound(Method::InvokeHook, &request.encode_to_vec(), LIMIT)
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("in time")
}

#[tokio::test]
async fn a_call_is_answered_over_tls_and_a_client_that_is_not_let_in_is_told() {
    let setup = Setup::new();
    let server = setup.serve(local()).await;
    let address = server.local_addr().unwrap();
    let good = setup.plugin(&[address], Some(&setup.ca.client("gateway")));
    within(good.exchange(call())).await.map(drop).unwrap();

    let nameless = setup.plugin(&[address], None);
    let (cause, sent) = failed(within(nameless.exchange(call())).await);
    assert!(matches!(cause, Cause::Untrusted { .. }), "{cause:?}");
    assert_eq!(sent, Sent::No);
    assert_eq!(server.stats().requests, 1);
}

#[tokio::test]
async fn servers_that_are_stopped_one_after_the_other_lose_no_call_that_has_begun() {
    let setup = Setup::new();
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(setup.serve(local()).await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.local_addr().unwrap()).collect();
    let plugin = setup.plugin(&addresses, Some(&setup.ca.client("gateway")));
    within(plugin.exchange(call())).await.map(drop).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (plugin, stop) = (Arc::clone(&plugin), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut good, mut bad) = (0, Vec::new());
                while !stop.load(SeqCst) {
                    match plugin.exchange(call()).await {
                        Ok(_) => good += 1,
                        Err(failure) => bad.push((failure.cause.to_string(), failure.sent)),
                    }
                }
                (good, bad)
            })
        })
        .collect();
    for &address in &addresses {
        let server = servers.remove(0);
        within(server.shutdown(LIMIT)).await;
        // Its successor has new certificates, in the same files.
        let server = setup.serve(address).await;
        within(async {
            while server.stats().requests < 50 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        servers.push(server);
    }
    stop.store(true, SeqCst);
    let mut total = 0;
    for caller in callers {
        let (good, bad) = within(caller).await.unwrap();
        total += good;
        // What a call's own retry takes up again.
        let lost: Vec<_> = bad.iter().filter(|(_, sent)| *sent == Sent::Maybe).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    assert!(total >= 150, "{total}");
    assert_eq!(setup.runs.load(SeqCst), 1 + total, "no hook has run for nobody, or twice");
    assert_eq!(plugin.state(), ConnectionState::Ready);
}
