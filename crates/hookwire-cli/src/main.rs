//! The command line: call a plugin, read configurations, measure, serve, show.
//!
//! One file per subcommand. Each ends in an exit code or in a [`Failure`], which
//! is printed here, once. Results go to stdout, everything else to stderr, so that
//! the output can be piped.

mod advice;
mod bench;
mod check;
mod configs;
mod demo;
mod doctor;
mod failure;
mod input;
mod invoke;
mod payload;
mod place;
mod plugins;
mod serve;
mod tally;
mod target;
mod text;
mod top;

use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use failure::Failure;

const EXIT_CODES: &str = "\
Exit code: 0 for a result (a denial is one, unless `invoke --exit-code` makes it 3), \
1 for a failed call or connection, \
2 for wrong usage: arguments, JSON, files, or a configuration that cannot be used.

Results go to stdout, everything else to stderr.";

/// Calls gateway plugins over Unix domain sockets and gRPC.
#[derive(Debug, Parser)]
#[command(name = "hookwire", version, after_help = EXIT_CODES)]
struct Cli {
    /// Print errors as a JSON object {kind, reason, message, sent} on stderr, and the
    /// result of `bench` and `doctor` as one on stdout; `invoke` and `configs` print JSON anyway.
    /// `sent` is "no" (the hook did not run), "unstarted" or "maybe".
    #[arg(long, global = true)]
    json: bool,
    /// Log to stderr what the connections do; twice for more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Invoke(invoke::Invoke),
    Configs(configs::Configs),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Top(top::Top),
    Bench(bench::Bench),
    Serve(serve::Serve),
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(&error),
    };
    log_to_stderr(cli.verbose);
    let json = cli.json;
    run(cli).unwrap_or_else(|failure| failure.print(json))
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Invoke(command) => one_thread()?.block_on(command.run(cli.json)),
        Command::Configs(command) => one_thread()?.block_on(command.run(cli.json)),
        Command::Check(command) => one_thread()?.block_on(command.run()),
        Command::Doctor(command) => one_thread()?.block_on(command.run(cli.json)),
        Command::Top(command) => one_thread()?.block_on(command.run(cli.json)),
        Command::Bench(command) => threads(command.threads())?.block_on(command.run(cli.json)),
        Command::Serve(command) => threads(None)?.block_on(command.run()),
        Command::Demo(command) => threads(None)?.block_on(command.run()),
    }
}

fn one_thread() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(Failure::io("start the runtime"))
}

/// As many threads as there are cores, unless told otherwise.
fn threads(count: Option<usize>) -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    if let Some(count) = count {
        builder.worker_threads(count);
    }
    builder.enable_all().build().map_err(Failure::io("start the runtime"))
}

/// Help and version are asked for and no failure. For the rest there is no parsed
/// `--json` yet, so it is looked for by hand.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let message = error.render().to_string();
        let first = message.split("\n\n").next().unwrap_or_default();
        return Failure::usage(first.trim_start_matches("error: ")).print(true);
    }
    // Fails only where nobody reads.
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).init();
}
