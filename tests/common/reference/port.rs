//! Ports of this machine, for servers that are started again in the same place.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that nobody else is given while this lives. The server shares it, as most allow
/// that for themselves; connections come to sockets that listen, and this one does not.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _reserved: TcpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Servers share by the one or the other.
        socket.set_reuseaddr(true).expect("addresses can be shared");
        socket.set_reuseport(true).expect("ports can be shared");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        Self { address, _reserved: socket }
    }
}
