//! Where a call was when its time ran out.

use std::fmt;

/// Where a call was when its deadline passed.
///
/// ```
/// # fn look(error: hookwire::PluginError) {
/// use hookwire::Stage;
///
/// match error.stage() {
///     Some(Stage::Admission) => println!("raise `max_connections`"),
///     Some(stage) => println!("too slow while {stage}"),
///     None => println!("no timeout: {error}"),
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Waiting for a slot: all connections were full.
    Admission,
    /// In the connection's queue: it was connecting, or busy.
    Queued,
    /// Handed to the socket, waiting for the reply.
    InFlight,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admission => "waiting for a free connection",
            Self::Queued => "waiting to be sent",
            Self::InFlight => "waiting for the plugin's reply",
        })
    }
}
