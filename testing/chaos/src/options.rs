//! What can be asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::error::{Error, ErrorKind};

use crate::fault::{Fault, Transport};
use crate::rolling::Rolling;
use crate::run::Setup;
use crate::site::Contexts;

/// Thousands of callers, faulty plugin servers, and every single reply checked.
///
/// Exit code 1 if a promise was broken. A seed repeats what every caller, every turn of
/// a connection and every server decides; it cannot repeat the scheduler, so not when
/// they meet.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Options {
    /// Calls to make, at least.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Faults to make happen, at least.
    #[arg(long, default_value_t = 10_000)]
    faults: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The last line of the output is one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// A soak: goes on for so long instead, with faults as often as `--calls` and
    /// `--faults` say, and checks that nothing grows.
    #[arg(long)]
    minutes: Option<f64>,
    /// Another run, of so many minutes: 64 callers of one plugin whose server is replaced by
    /// another version every 2 s.
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["minutes", "only", "grpc"])]
    rolling: Option<f64>,
    /// Plugins over gRPC, each with three servers, and the faults of that.
    #[arg(long)]
    grpc: bool,
    /// Where the samples of each second go.
    #[arg(long)]
    pub(crate) csv: Option<PathBuf>,
    /// Where their chart goes.
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,
    /// Who calls at the same time. By default 2000, and 500 over gRPC, which costs more: on a
    /// machine that is full, all calls are late.
    #[arg(long)]
    callers: Option<u32>,
    #[arg(long, default_value_t = 16)]
    plugins: usize,
    /// These faults only.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Fault>,
}

impl Options {
    /// The run of rolling restarts, if it is that.
    pub(crate) fn rolling(&self) -> Option<Rolling> {
        self.rolling.map(|minutes| Rolling::new(self.seed, minutes))
    }

    fn transport(&self) -> Transport {
        if self.grpc { Transport::Grpc } else { Transport::Socket }
    }

    /// # Errors
    /// A fault that is not possible over the transport.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let possible: Vec<_> = Fault::drawn(self.transport()).collect();
        let Some(fault) = self.only.iter().find(|fault| !possible.contains(fault)) else {
            return Ok(());
        };
        let over = if self.grpc { "over gRPC" } else { "without --grpc" };
        let what = format!("there is no {} {over}\n", fault.name());
        Err(Error::raw(ErrorKind::InvalidValue, what))
    }

    /// The run that is asked for.
    pub(crate) fn setup(&self) -> Setup {
        let drawn = Fault::drawn(self.transport());
        let callers = if self.grpc { 500 } else { 2_000 };
        Setup {
            transport: self.transport(),
            seed: self.seed,
            calls: self.calls,
            faults: self.faults,
            callers: self.callers.unwrap_or(callers).max(1),
            plugins: self.plugins.max(1),
            kinds: if self.only.is_empty() { drawn.collect() } else { self.only.clone() },
            contexts: vec![Contexts::Returned, Contexts::Stamped, Contexts::None],
            misled: false,
            lasts: self.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
        }
    }
}
