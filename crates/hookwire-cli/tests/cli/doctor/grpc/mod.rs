//! Entries that are reached over gRPC: each of their servers is looked at.

mod flags;
mod proxy;
mod tls;

use std::net::TcpListener;

use hookwire::PluginResult;
use hookwire::config::PluginMode;
use hookwire::server::grpc::{GrpcServer, GrpcServerConfig, ServerTlsConfig};
use hookwire::server::{Handlers, PluginInfo, PluginServer};
use serde_json::{Value, json};

use super::{Diagnosis, GUARD, Site};
use crate::grpc::{Certificates, nobody};
use crate::harness::Run;

async fn serve(info: impl Into<PluginInfo>, config: GrpcServerConfig) -> GrpcServer {
    let plugin =
        Handlers::new().on_json("tool_pre_invoke", |_, _| async { Ok(PluginResult::allow()) });
    PluginServer::builder().plugin(info, plugin).bind_grpc(config).await.unwrap()
}

fn on_loopback() -> GrpcServerConfig {
    GrpcServerConfig::tcp("127.0.0.1:0".parse().unwrap())
}

fn address(server: &GrpcServer) -> String {
    server.local_addr().unwrap().to_string()
}

/// What the doctor says of a guard whose section `grpc` is this.
async fn guard(section: &Value) -> Diagnosis {
    guard_with(GUARD, section).await
}

async fn guard_with(keys: &str, section: &Value) -> Diagnosis {
    Site::new().file(&format!("plugins:\n- {{name: Guard, {keys}, grpc: {section}}}\n")).await
}

/// The lines of a table as one.
fn joined(run: &Run) -> String {
    run.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_in_order_is_a_row_with_its_server_and_without_a_finding() {
    let certificates = Certificates::for_server("127.0.0.1");
    let ((cert, key), (own, own_key)) = (&certificates.server, &certificates.client);
    let tls =
        ServerTlsConfig::new(cert, key).require_clients(&certificates.ca, ["gateway.internal"]);
    let server = serve("Guard", on_loopback().tls(tls)).await;
    let address = address(&server);
    let diagnosis = guard(&json!({
        "target": address,
        "tls": {"ca_bundle": certificates.ca, "certfile": own, "keyfile": own_key},
    }))
    .await;
    assert_eq!(diagnosis.plain.code, Some(0), "{:?}", diagnosis.plain);
    assert!(diagnosis.has_no_findings(), "{:?}", diagnosis.plain);
    let told = joined(&diagnosis.plain);
    let row = format!(
        "ok Guard 2 sequential fail 1 {address} ok {address}: TLS 1.3, certificate for 127.0.0.1 from `CN=Plugins CA`, "
    );
    assert!(told.contains(&row), "{told}");
    assert!(told.contains("client certificate asked for and shown; health check answered"));
    assert!(diagnosis.plain.stdout.ends_with("\nevery guard would guard\n"));

    let server = &diagnosis.json.result()["plugins"][0]["servers"][0];
    assert_eq!([&server["server"], &server["state"]], [address.as_str(), "ok"]);
    assert_eq!(server["certificate"]["names"], json!(["127.0.0.1"]));
    assert_eq!(server["certificate"]["issuer"], "CN=Plugins CA");
    assert!(server["certificate"]["expires"].is_string(), "{server}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_of_several_that_is_down_is_warned_of_and_all_of_them_fail() {
    let server = serve("Guard", on_loopback()).await;
    let (there, down) = (address(&server), nobody());
    let diagnosis = guard(&json!({"targets": [there, down]})).await;
    let told = format!("{down}: nobody listens there");
    diagnosis.tells("WARN", &[&told, "start the plugin's server, or correct `target`"]);
    assert_eq!(diagnosis.plain.code, Some(0), "{:?}", diagnosis.plain);
    let states: Vec<_> = diagnosis.json.json()["plugins"][0]["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| server["state"].clone())
        .collect();
    assert_eq!(states, ["ok", "warn"]);

    let diagnosis = guard(&json!({"targets": [down, nobody()]})).await;
    diagnosis.fails(&["all 2 servers: nobody listens there"]);
    assert!(diagnosis.plain.stdout.ends_with("\n1 guard would not guard\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_looked_up_and_each_of_its_addresses_is_a_server() {
    let server = serve("Guard", on_loopback()).await;
    let port = server.local_addr().unwrap().port();
    let target = format!("localhost:{port}");
    let diagnosis = guard(&json!({"target": target, "plaintext": true})).await;
    let told = joined(&diagnosis.plain);
    let seen = format!("ok 127.0.0.1:{port} (localhost): plaintext; health check answered");
    assert!(told.contains(&seen), "{told}");

    let diagnosis = guard(&json!({"target": "no-such-host.invalid:1", "tls": {}})).await;
    diagnosis.fails(&[
        "the name `no-such-host.invalid` cannot be resolved",
        "`getent hosts no-such-host.invalid`",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_own_entry_is_weaker_than_that_of_the_others_is_told_by_its_name() {
    let fine = serve(PluginInfo::new("Guard").with_mode(PluginMode::Sequential), on_loopback());
    let weak = serve(PluginInfo::new("Guard").with_mode(PluginMode::Audit), on_loopback());
    let (fine, weak) = tokio::join!(fine, weak);
    let (fine, weak) = (address(&fine), (address(&weak), weak));
    let named = format!("{}: `mode` is `sequential` here and `audit` on the server", weak.0);
    guard(&json!({"targets": [fine, weak.0]})).await.fails(&[&named, "set `mode: sequential`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_the_same_of_all_servers_is_told_once() {
    let one = serve(PluginInfo::new("Guard").with_mode(PluginMode::Audit), on_loopback()).await;
    let two = serve(PluginInfo::new("Guard").with_mode(PluginMode::Audit), on_loopback()).await;
    let diagnosis = guard(&json!({"targets": [address(&one), address(&two)]})).await;
    diagnosis.fails(&["all 2 servers: `mode` is `sequential` here and `audit`"]);
    let findings = diagnosis.json.json()["plugins"][0]["findings"].clone();
    assert_eq!(findings.as_array().unwrap().len(), 1, "{findings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_hooks_are_compared_as_over_a_socket() {
    let server = serve("guard", on_loopback()).await;
    let section = json!({"target": address(&server)});
    guard(&section).await.fails(&["knows this plugin as `guard`", "write the name as the server"]);
    let server = serve("Other", on_loopback()).await;
    let section = json!({"target": address(&server)});
    guard(&section).await.fails(&["does not know the plugin", "it has `Other`"]);
    let server = serve("Guard", on_loopback()).await;
    let section = json!({"target": address(&server)});
    guard_with("hooks: [tool_pre_invok]", &section)
        .await
        .fails(&["`hooks` names `tool_pre_invok` here", "write `tool_pre_invoke` under `hooks`"]);
    // What may not deny fails nothing.
    let diagnosis = guard_with("mode: audit", &json!({"target": nobody()})).await;
    diagnosis.tells("WARN", &["nobody listens there"]);
    assert_eq!(diagnosis.plain.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_or_that_it_does_not_serve_is_told() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    guard(&json!({"target": target})).await.fails(&[
        "connected, and no answer",
        "see whether the server hangs, or something else listens there",
    ]);
    let server = serve("Guard", on_loopback()).await;
    server.set_serving(false);
    guard(&json!({"target": address(&server)}))
        .await
        .fails(&["the server says that it is not serving", "see why on the server"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_speaks_grpc_is_looked_at_as_a_socket_too() {
    let site = Site::new();
    let socket = site.socket();
    let section = json!({"uds": socket});
    guard(&section).await.fails(&["there is no /", "correct `grpc.uds`"]);
    let _server = serve("Guard", GrpcServerConfig::unix(&socket)).await;
    let diagnosis = guard(&section).await;
    assert!(diagnosis.has_no_findings(), "{:?}", diagnosis.plain);
    assert_eq!(diagnosis.json.json()["plugins"][0]["owner"]["mode"], "0600");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_of_the_section_is_told_by_its_line() {
    let diagnosis = guard(&json!({"target": "guard:1"})).await;
    let told = diagnosis.plain.failure(2);
    assert!(told.contains("gateway.yaml:2: plugin `Guard`: grpc.target = \"guard:1\""), "{told}");
}
