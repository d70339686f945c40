//! Plugins over gRPC, on this machine or another: from an encoded request to its encoded
//! reply.
//!
//! ```text
//! a caller ──▶ admission ──────────▶ a stream ──▶ the connection's task ──▶ bytes
//!              one value for each     reset when its
//!              plugin: which server   caller leaves
//!              takes what
//!                   ▲
//!              supervisor
//!              one task for each plugin: keeps a connection to every server
//! ```
//!
//! | file | role |
//! |---|---|
//! | `plugin` | the way in, for calls |
//! | `target` | where a server is, from text; pure |
//! | `configured` | what the configuration says, as the transport takes it |
//! | `settings` | what connections are held to, and where they lead |
//! | `shared`, `server` | what a plugin's callers and tasks share |
//! | `seat` | a place for one call, and what its end tells of the server |
//! | `admission`, `choice` | pure: values without a task, a connection or a clock |
//! | `supervisor`, `open` | the task that keeps connections, and how one begins |
//! | `asking` | what it asks the servers about the plugin |
//! | `members` | which servers there are, and who looks after each |
//! | `call`, `status` | one call on one stream, and what its end means |
//! | `deadline` | when a call's time is over |
//! | `gauges` | what all that tells, for statistics |
//! | `connect` | a byte stream to one server |
//! | `names` | the servers that names lead to |
//! | `tls`, `tls_error` | TLS to a server, and why it failed, for people |
//! | `pem` | certificates and keys from files |
//! | `resolve` | names to addresses |
//! | `link` | bytes in and out, counted, and cut where a connection must end |
//!
//! HTTP/2 has what the Unix socket lacks: a reply finds its request by the number of its
//! stream, and a call that ends early takes its request back. So nothing here keeps order,
//! and nothing waits for replies that nobody wants any more.

mod admission;
mod asking;
pub(crate) mod call;
mod check;
mod choice;
pub(crate) mod configured;
pub(crate) mod connect;
mod deadline;
mod flight;
mod gauges;
mod link;
mod members;
mod names;
mod open;
pub(crate) mod pem;
pub(crate) mod plugin;
pub(crate) mod pool;
pub(crate) mod resolve;
mod seat;
mod server;
mod session;
pub(crate) mod settings;
pub(crate) mod shared;
pub(crate) mod status;
mod streams;
mod subchannel;
mod supervisor;
pub(crate) mod target;
#[cfg(test)]
pub(crate) mod test_certificates;
pub(crate) mod tls;
mod tls_error;
