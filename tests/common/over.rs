//! One test, over both transports: `#[apply(both)]` above `async fn name(over: Over)` makes it
//! `name::over_a_socket` and, with the feature `grpc`, `name::over_grpc`.
//!
//! The same script plays the server's side of both; `knobs(&server)` leads to it.

use std::path::Path;

use fault_server::FaultServer;
pub(crate) use fault_server::Over;
#[cfg(feature = "grpc")]
use hookwire::GrpcConfig;
pub(crate) use macro_rules_attribute::apply;

use super::knobs::Knobs;

impl Knobs {
    /// Those of the way to this server.
    pub(crate) fn to(server: &FaultServer) -> Self {
        match server.over() {
            Over::Socket => Self::new(server.path()),
            #[cfg(feature = "grpc")]
            Over::Grpc => Self::grpc(GrpcConfig::builder().uds(server.path())),
            #[cfg(feature = "grpc")]
            Over::Tcp => Self::grpc(GrpcConfig::builder().target(server.address().to_string())),
            #[cfg(not(feature = "grpc"))]
            over => panic!("{over:?} needs the feature `grpc`"),
        }
    }
}

macro_rules! both {
    ($(#[$attribute:meta])* async fn $name:ident($over:ident: Over $(,)?) $body:block) => {
        common::over::over!([flavor = "multi_thread", worker_threads = 2] $(#[$attribute])* $name $over $body);
    };
}

/// On one thread, where who runs when is known.
macro_rules! both_on_one_thread {
    ($(#[$attribute:meta])* async fn $name:ident($over:ident: Over $(,)?) $body:block) => {
        common::over::over!([] $(#[$attribute])* $name $over $body);
    };
}

macro_rules! over {
    ([$($runtime:tt)*] $(#[$attribute:meta])* $name:ident $over:ident $body:block) => {
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn test($over: common::over::Over) $body

            #[tokio::test($($runtime)*)]
            async fn over_a_socket() {
                test(common::over::Over::Socket).await;
            }

            #[cfg(feature = "grpc")]
            #[tokio::test($($runtime)*)]
            async fn over_grpc() {
                test(common::over::Over::Grpc).await;
            }
        }
    };
}

pub(crate) use {both, both_on_one_thread, over};
