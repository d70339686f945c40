//! One test, over both transports: `#[apply(both)]` above `async fn name(over: Over)` makes it
//! `name::over_a_socket` and, with the feature `grpc`, `name::over_grpc`. Without `async` the
//! test makes its own runtimes.
//!
//! The same script plays the server's side of both; `knobs(&server)` leads to it.

pub(crate) use fault_server::Over;
pub(crate) use macro_rules_attribute::apply;

macro_rules! both {
    ($(#[$attribute:meta])* async fn $name:ident($over:ident: $type:ty $(,)?) $body:block) => {
        common::over::over!(
            [tokio::test(flavor = "multi_thread", worker_threads = 2)] [async] [.await]
            $(#[$attribute])* $name ($over: $type) $body
        );
    };
    ($(#[$attribute:meta])* fn $name:ident($over:ident: $type:ty $(,)?) $body:block) => {
        common::over::over!([test] [] [] $(#[$attribute])* $name ($over: $type) $body);
    };
}

/// On one thread, where who runs when is known.
macro_rules! both_on_one_thread {
    ($(#[$attribute:meta])* async fn $name:ident($over:ident: $type:ty $(,)?) $body:block) => {
        common::over::over!([tokio::test] [async] [.await] $(#[$attribute])* $name ($over: $type) $body);
    };
}

macro_rules! over {
    (
        [$($test:tt)*] [$($async:tt)?] [$($await:tt)*]
        $(#[$attribute:meta])* $name:ident ($over:ident: $type:ty) $body:block
    ) => {
        $(#[$attribute])*
        mod $name {
            use super::*;

            $($async)? fn test($over: $type) $body

            #[$($test)*]
            $($async)? fn over_a_socket() {
                test(common::over::Over::Socket)$($await)*;
            }

            #[cfg(feature = "grpc")]
            #[$($test)*]
            $($async)? fn over_grpc() {
                test(common::over::Over::Grpc)$($await)*;
            }
        }
    };
}

pub(crate) use {both, both_on_one_thread, over};

/// The name of the one that runs, for a process of its own.
pub(crate) fn name_of(test: &str, over: Over) -> String {
    format!("{test}::{}", if over == Over::Socket { "over_a_socket" } else { "over_grpc" })
}
