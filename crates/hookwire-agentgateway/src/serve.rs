//! The server of gRPC around the bridge.

use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::bridge::Bridge;
use crate::listen::{Listener, Open};
use crate::proto::ext_mcp_server::ExtMcpServer;

/// The largest message that is read, in bytes. It is far above what a chain takes
/// ([`max_payload`](hookwire_gateway::ChainBuilder::max_payload), 1 MiB by default): what is above
/// that, and below this, ends in an error. What is above this ends in a status, which is the
/// gateway's `failureMode`'s to judge.
pub const MAX_MESSAGE: usize = 64 << 20;

/// Serves until `told_to_end` is over, and then answers what has come.
///
/// # Errors
/// The connections' own are theirs alone; none is known that ends the server.
///
/// # Cancel safety
/// Dropped, it ends all connections, with no answer to what has come.
pub async fn serve(
    bridge: Bridge,
    listener: Listener,
    told_to_end: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    // An answer is about as large as its request, or smaller.
    let service = ExtMcpServer::new(bridge)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(usize::MAX);
    let router = Server::builder().add_service(service);
    match listener.0 {
        Open::Unix(listener, file) => {
            let connections = UnixListenerStream::new(listener);
            let told_to_end = async {
                told_to_end.await;
                // Nobody else connects, and another bridge may take the place.
                drop(file);
            };
            router.serve_with_incoming_shutdown(connections, told_to_end).await
        }
        Open::Loopback(listener) => {
            let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
            router.serve_with_incoming_shutdown(connections, told_to_end).await
        }
    }
}
