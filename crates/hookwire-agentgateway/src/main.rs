//! `hookwire-agentgateway --config plugins.yaml --listen unix:/run/hookwire/agentgateway.sock`:
//! the plugins of a configuration file behind agentgateway. It reloads at SIGHUP, and ends at
//! SIGTERM or Ctrl-C.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hookwire::PluginConfig;
use hookwire_agentgateway::{Address, Bridge, serve};
use hookwire_gateway::{Chain, Gateway, GatewayConfig, GatewayConfigError};
use tokio::signal::unix::{SignalKind, signal};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How long requests and plugins have at the end, together.
const END: Duration = Duration::from_secs(10);

/// hookwire's plugins behind agentgateway.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// The file with the plugins: their entries as the gateway of hookwire reads them.
    #[arg(long)]
    config: PathBuf,
    /// `unix:/PATH`, or a loopback address and a port.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: Address,
    /// Who may connect to the socket file, in octal.
    #[arg(long, default_value = "600", value_parser = |mode: &str| u32::from_str_radix(mode, 8))]
    socket_mode: u32,
    /// The time that all plugins have together to answer agentgateway, in seconds: it waits 10 s.
    #[arg(long, default_value = "9")]
    timeout: u64,
    /// The largest payload that plugins are asked about, in bytes of JSON; others are refused.
    #[arg(long, default_value = "1048576")]
    max_payload: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        // Returned from `main` it would be shown as `Debug`, which is for developers.
        Err(error) => {
            eprintln!("hookwire-agentgateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Error> {
    let time = Duration::from_secs(options.timeout);
    let settings = Chain::builder().timeout(time).max_payload(options.max_payload);
    let plugins = load(&options.config)?;
    let (gateway, applied) = Gateway::builder().settings(settings).start(plugins).await?;
    applied.changes().iter().for_each(|change| eprintln!("{change}"));
    let file = options.config.clone();
    let _on_signal = gateway.reload_on_sighup(move || std::future::ready(load(&file)))?;

    // Before anybody can connect, so that no signal is missed.
    let (told, too_late) = (told_to_end()?, told_to_end()?);
    let listener = options.listen.listen(options.socket_mode).await?;
    println!("listening on {listener}");
    let requests = serve(Bridge::new(gateway.clone(), time), listener, told);

    // First the requests, then the calls in the background and the connections.
    let orderly = async {
        let served = requests.await;
        gateway.shutdown(END).await;
        served
    };
    let too_late = async {
        too_late.await;
        tokio::time::sleep(END).await;
    };
    tokio::select! { ended = orderly => ended?, () = too_late => {} }
    gateway.shutdown(Duration::ZERO).await;
    Ok(())
}

fn load(file: &Path) -> Result<Vec<PluginConfig>, GatewayConfigError> {
    let config = GatewayConfig::from_path(file)?;
    config.left_out().iter().for_each(|plugin| eprintln!("not run by this bridge: {plugin}"));
    config.warnings().iter().for_each(|warning| eprintln!("{warning}"));
    Ok(config.into_plugins())
}

fn told_to_end() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
    })
}
