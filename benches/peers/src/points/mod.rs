//! What hookwire is to reach, a file for each point.

pub mod allocations;
pub mod arrivals;
pub mod callers;
pub mod calls;
pub mod codec;
pub mod grpc;
pub mod large;
pub mod latency;
pub mod many;
pub mod reference;
pub mod waiting;

use std::cell::OnceCell;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::common::null_server::{Answer, NullServer};
use crate::common::sample;
use crate::contenders::embedded;
use crate::contenders::ours::{Dynamic, Typed};
use crate::contenders::raw::Raw;
use crate::contenders::tarpc::{self, Tarpc};
use crate::contenders::tonic::{self, Tonic};
use crate::load::{self, Rounds};

/// What the points share.
pub struct Bench {
    pub runtime: Runtime,
    pub rounds: Rounds,
    callers: OnceCell<Callers>,
}

/// A caller of each contender, each over one connection of its own.
pub struct Callers {
    pub typed: Typed,
    pub dynamic: Dynamic,
    pub raw: Raw,
    pub raw_gathering: Raw,
    pub tarpc: Tarpc,
    pub tonic: Tonic,
    /// On the embedded server, which is of the kind of tarpc's and tonic's.
    pub typed_alike: Typed,
    _server: NullServer,
    _dir: TempDir,
}

impl Bench {
    pub fn new(workers: usize, rounds: Rounds) -> Self {
        Self { runtime: load::runtime(workers), rounds, callers: OnceCell::new() }
    }

    /// The callers of the small call, connected when they are first asked for.
    pub fn callers(&self) -> &Callers {
        self.callers.get_or_init(|| {
            let payload = sample::payload();
            let server = NullServer::threads("calls", Answer::new(&sample::reply_frame(&payload)));
            let dir = tempfile::tempdir().expect("a temporary directory");
            let (tarpc, tonic) = (dir.path().join("tarpc.sock"), dir.path().join("tonic.sock"));
            tarpc::serve(tarpc.clone());
            tonic::serve(tonic.clone());
            let alike = dir.path().join("embedded.sock");
            embedded::serve(alike.clone());
            let message = Bytes::from(sample::request_frame(&payload)).slice(4..);
            self.runtime.block_on(async {
                let raw = async |gathers| {
                    let raw = Raw::connect(server.path(), message.clone(), gathers).await;
                    raw.expect("the server listens")
                };
                Callers {
                    typed: Typed::new(sample::handle(server.path(), 1)),
                    dynamic: Dynamic::new(sample::handle(server.path(), 1)),
                    raw: raw(false).await,
                    raw_gathering: raw(true).await,
                    tarpc: Tarpc::connect(&tarpc).await,
                    tonic: Tonic::connect(&tonic).await,
                    typed_alike: Typed::new(sample::handle(&alike, 1)),
                    _server: server,
                    _dir: dir,
                }
            })
        })
    }
}
