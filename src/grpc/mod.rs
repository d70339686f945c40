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
//!              one task for each plugin: takes part in a connection to every server
//! ```
//!
//! All down to the connection is each plugin's own. The connection is too, or it is shared by all
//! plugins whose way to a server is equal: whoever needs it first makes it, and the last one closes
//! it.
//!
//! | file | role |
//! |---|---|
//! | `plugin` | the way in, for calls |
//! | `target` | where a server is, from text; pure |
//! | `configured` | what the configuration says, as the transport takes it |
//! | `way` | from a target to servers, and how they are connected to |
//! | `settings` | what connections are held to, and which servers they lead to |
//! | `remote` | one server, the way to it, and what decides that two ways are one |
//! | `shared`, `members`, `server`, `state` | what a plugin's callers and tasks share |
//! | `seat` | a place for one call, and a stream for it |
//! | `admission`, `choice` | pure: values without a task, a connection or a clock |
//! | `supervisor`, `find`, `keep` | the task that finds servers, and looks after them and each connection |
//! | `down` | why servers cannot be reached, and when the plugin is down for that |
//! | `pool`, `subchannel` | ways to servers, each once for all plugins that share, and the connection there |
//! | `open`, `session`, `streams` | how a connection begins, what drives it, and its streams, for all who use it |
//! | `sender` | the way into a connection, and the stream of one call |
//! | `check`, `flight` | whether a server is there; work that several want at once, done once |
//! | `asking`, `listening` | what it asks the servers about the plugin, and who hears that |
//! | `attempt`, `call`, `status` | one call on one stream, and what its end means |
//! | `deadline` | when a call's time is over |
//! | `gauges` | what all that tells, for statistics |
//! | `connect` | a byte stream to one server |
//! | `in_memory` | the same in memory, for the simulation (feature `testing`) |
//! | `names` | the servers that names lead to |
//! | `tls`, `tls_error`, `certificate_error` | TLS to a server, and why it failed, for people |
//! | `client_certificate` | what this client shows of itself in TLS |
//! | `pem` | certificates and keys from files |
//! | `resolve` | names to addresses |
//! | `met` | what was met where no gRPC is spoken; pure |
//! | `last_read` | a stream that is read to its end, also when it cannot be written to |
//! | `link` | bytes in and out, counted, and cut where a connection must end |
//! | `turn` | how much is read at a time; pure |
//!
//! HTTP/2 has what the Unix socket lacks: a reply finds its request by the number of its
//! stream, and a call that ends early takes its request back. So nothing here keeps order,
//! and nothing waits for replies that nobody wants any more.

mod admission;
mod asking;
mod attempt;
pub(crate) mod call;
mod certificate_error;
mod check;
mod choice;
mod client_certificate;
pub(crate) mod configured;
pub(crate) mod connect;
mod deadline;
mod down;
mod find;
mod flight;
mod gauges;
#[cfg(feature = "testing")]
pub(crate) mod in_memory;
mod keep;
mod last_read;
mod link;
mod listening;
mod members;
mod met;
mod names;
mod open;
pub(crate) mod pem;
pub(crate) mod plugin;
pub(crate) mod pool;
pub(crate) mod remote;
pub(crate) mod resolve;
mod seat;
pub(crate) mod sender;
mod server;
mod session;
pub(crate) mod settings;
pub(crate) mod shared;
mod state;
pub(crate) mod status;
mod streams;
mod subchannel;
mod supervisor;
pub(crate) mod target;
// The tests of the command line have this file too.
#[allow(dead_code)]
#[cfg(test)]
pub(crate) mod test_certificates;
pub(crate) mod tls;
mod tls_error;
pub(crate) mod turn;
mod way;
