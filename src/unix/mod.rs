//! Plugins over Unix sockets: from an encoded request to its encoded reply.
//!
//! ```text
//! a caller ──▶ dispatch ────────────────▶ socket task ──▶ kernel
//!              one value for each plugin:   one for each open socket: requests in
//!              which socket takes what      flight, bytes in and out
//!                   ▲
//!              supervisor
//!              one task for each plugin: opens sockets, waits between attempts
//! ```
//!
//! | file | role |
//! |---|---|
//! | `plugin` | the way in, for calls |
//! | `message` | what callers and tasks hand to each other |
//! | `connections` | what a plugin's callers and tasks share |
//! | `listening` | who hears what the server tells of the plugin |
//! | `dispatch`, `reconnect`, `questions`, `in_flight`, `age` | pure: values without a task, a socket or a clock |
//! | `place` | where the path leads, and when that is looked at |
//! | `supervisor`, `asking`, `socket_task`, `due`, `retire`, `teardown`, `tell` | the tasks around them |
//! | `socket`, `write_queue`, `connect` | bytes in and out |
//! | `slot` | counters of a connection, and what was found out about its replies |
//! | `closed` | why a socket closed |
//! | `gauges` | what statistics are told |

use std::time::Duration;

mod age;
mod asking;
pub(crate) mod closed;
pub(crate) mod connect;
pub(crate) mod connections;
pub(crate) mod dispatch;
mod due;
mod gauges;
pub(crate) mod in_flight;
pub(crate) mod listening;
pub(crate) mod message;
pub(crate) mod place;
pub(crate) mod plugin;
pub(crate) mod questions;
pub(crate) mod reconnect;
mod retire;
pub(crate) mod slot;
pub(crate) mod socket;
mod socket_task;
mod supervisor;
mod teardown;
mod tell;
pub(crate) mod write_queue;

/// Far enough away to mean "no timer".
pub(crate) const NEVER: Duration = Duration::from_secs(86_400 * 365);
