//! `hookwire serve`: the embedded server with three demo plugins.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire::UnixSocketConfig;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{self, Failure, note};
use crate::{input, plugins, text};

/// What calls under way get after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// Serve the demo plugins Replace, Deny and Echo until SIGINT or SIGTERM.
///
/// Prints READY on stdout when it listens. A socket file that nobody listens on is
/// replaced; the new one is for its owner only (mode 0600).
#[derive(Debug, Args)]
#[command(after_long_help = plugins::description())]
pub(crate) struct Serve {
    /// Where to listen, as an absolute path.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The longest message in both directions, in bytes. Default: 16 MiB.
    #[arg(long, value_name = "BYTES", value_parser = input::whole::<usize>(input::FRAME_LEN), allow_negative_numbers = true)]
    max_frame_len: Option<usize>,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        // What no client could be configured for is not served either.
        UnixSocketConfig::builder(&self.socket).build()?;
        // Before READY: whoever reads it may send a signal at once.
        let listen = |kind| signal(kind).map_err(Failure::io("listen to signals"));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;

        let mut server = plugins::server();
        if let Some(bytes) = self.max_frame_len {
            server = server.max_frame_len(bytes);
        }
        let server = server.bind(&self.socket).await.map_err(Failure::server)?;
        note(plugins::description());
        failure::print("READY")?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let served = text::count(server.stats().requests);
        server.shutdown(GRACE).await;
        note(format_args!("stopped after {served} requests"));
        Ok(ExitCode::SUCCESS)
    }
}
