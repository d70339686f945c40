//! One test, over both transports: `#[apply(both)]` above `async fn name(over: Over)` makes it
//! `name::over_a_socket` and, with the feature `grpc`, `name::over_grpc`.
//!
//! The same script plays the server's side of both; `knobs(&server)` leads to it.

pub(crate) use fault_server::Over;
pub(crate) use macro_rules_attribute::apply;

macro_rules! both {
    ($(#[$attribute:meta])* async fn $name:ident($over:ident: Over) $body:block) => {
        common::over::over!([flavor = "multi_thread", worker_threads = 2] $(#[$attribute])* $name $over $body);
    };
}

/// On one thread, where who runs when is known.
macro_rules! both_on_one_thread {
    ($(#[$attribute:meta])* async fn $name:ident($over:ident: Over) $body:block) => {
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
