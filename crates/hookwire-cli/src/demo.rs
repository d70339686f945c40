//! `hookwire demo`: the main job in one go, for somebody who has never seen it.

mod crowd;
mod failover;
mod outage;
mod plugins;
mod scene;
mod servers;
mod table;

use std::process::ExitCode;

use clap::Args;

use crate::failure::{Failure, print};
use scene::Scene;

const INTRODUCTION: &str = "\
hookwire demo

A gateway (for AI tools, say) asks plugins before and after it does something:
may this go on, and with which content? The plugins run in a process of their
own; hookwire calls them over a Unix socket, or over gRPC on other machines.
This demo starts plugin servers, calls them, kills some and starts them again,
and checks every reply.";

const WHAT_NEXT: &str =
    "  hookwire serve --socket /tmp/plugins.sock  these three plugins, to be called
  hookwire serve --grpc 127.0.0.1:50051      the same, over gRPC
  hookwire invoke --help                     one call from the shell
  hookwire bench --help                      many calls, measured
  README.md, examples/                       the library: quick start, a plugin
  docs/gateway.md                            a whole gateway, with its plugins";

/// Show the main job in one go.
///
/// On a temporary socket: typed calls through three plugins, 1,000 tasks sharing one
/// handle, the server killed and restarted under load; then three servers over gRPC, of which
/// one is killed and restarted; and a table at the end. Takes less than 15 seconds.
///
/// Exit code 1 if a reply reached the wrong caller, or calls did not recover.
#[derive(Debug, Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let mut scene = Scene::new()?;
        tokio::select! {
            outcome = show(&mut scene) => outcome,
            // The scene is cleared away when this returns.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::FAILURE),
        }
    }
}

async fn show(scene: &mut Scene) -> Result<ExitCode, Failure> {
    print(INTRODUCTION)?;
    scene.start().await?;
    print(format_args!("\nA plugin server listens on {}", scene.socket().display()))?;

    let plugins = plugins::show(scene).await?;
    let crowd = crowd::show(scene).await?;
    let (outage, recovered) = outage::show(scene).await?;
    scene.stop().await;
    let (failover, taken_over) = failover::show().await?;

    heading("In numbers")?;
    let columns = [
        ("3 plugins", plugins),
        ("1000 tasks", crowd),
        ("outage", outage),
        ("3 servers", failover),
    ];
    let (table, mismatched) = table::draw(&columns)?;
    print(table)?;
    heading("What next")?;
    print(WHAT_NEXT)?;
    let fine = recovered && taken_over && mismatched == 0;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn heading(text: &str) -> Result<(), Failure> {
    print(format_args!("\n== {text} =="))
}
