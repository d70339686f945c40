//! What happens in a run, as the judge sees it: a run is the list of these.

/// A call's number, unique in its run.
pub type Call = u32;
/// A connection's number, unique in its run.
pub type Conn = u32;
/// Milliseconds since the run began.
pub type Millis = u64;

/// How a plugin is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Over {
    /// Frames on a socket.
    #[default]
    Socket,
    /// gRPC, on one connection to each server.
    Grpc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Hook,
    Question,
}

/// What a failed call was told of its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    No,
    Unstarted,
    Maybe,
}

/// What a plugin does with a request: worked out of the call's number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Allow,
    Deny,
    /// An error of the plugin's own.
    Fault,
}

/// The verdict for a call, and a number that no other call has.
pub fn work(call: Call) -> (Verdict, u64) {
    let number = u64::from(call).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let verdict = match number % 10 {
        0 => Verdict::Fault,
        1..=3 => Verdict::Deny,
        _ => Verdict::Allow,
    };
    (verdict, number)
}

/// What a caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The reply of a hook, as it came: to which call, over which connection.
    Hook { verdict: Verdict, call: Call, conn: Conn, number: u64 },
    /// A question was answered.
    Config,
    /// `reason` is the stable word of the error.
    Failed { reason: &'static str, sent: Sent },
}

/// The settings that the judge needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    pub over: Over,
    /// Plugins with the same settings, which share their connections if they are several.
    pub plugins: usize,
    /// Over gRPC that is the number of servers.
    pub max_connections: usize,
    pub max_in_flight: usize,
    pub queue_capacity: usize,
    pub connect_timeout: Millis,
    pub keep_alive: bool,
    pub max_connection_age: Option<Millis>,
    /// The log's subscriber panics now and then.
    pub log_panics: bool,
}

/// How a server damages a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Damage {
    /// Bytes that are no frame: nothing after them may be taken for a reply.
    Framing,
    /// A reply too many: those behind it are in the wrong place.
    Shifted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Client,
    Server,
}

/// Gauges, at any moment; of several plugins, those of the fullest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sample {
    pub waiting: usize,
    pub queued: usize,
    pub in_flight: usize,
    /// The most that one connection has, queued and in flight.
    pub fullest: usize,
    /// Of the plugin that has the fewest.
    pub connections: usize,
    /// Every breaker is.
    pub breaker_closed: bool,
    /// Every plugin is.
    pub shut_down: bool,
    /// Streams of hooks, over gRPC, that a server has not seen the end of.
    pub streams: usize,
}

/// Counters, those of all plugins together, when nobody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counters {
    pub calls: u64,
    pub ok: u64,
    pub violations: u64,
    pub plugin_errors: u64,
    /// All other ends of a call.
    pub failures: u64,
    pub panics: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A new handle.
    Handle(Bounds),
    /// A call is polled for the first time.
    Asked {
        call: Call,
        kind: Kind,
        deadline: Millis,
        may_rerun: bool,
    },
    Answered {
        call: Call,
        outcome: Outcome,
    },
    /// The caller dropped its call.
    Left {
        call: Call,
    },
    /// Code that is not the client's panicked in the call.
    Panicked {
        call: Call,
    },
    /// An attempt to connect begins.
    Connecting,
    /// It failed, or the client gave it up.
    ConnectFailed,
    Connected {
        conn: Conn,
    },
    /// Another server has the plugin's path. Connections to the one before stay open.
    TakenOver,
    /// Bytes of a request reached the kernel.
    Written {
        conn: Conn,
        call: Call,
    },
    /// The server begins a hook.
    Began {
        conn: Conn,
        call: Call,
    },
    /// All of a right reply is in the kernel.
    Replied {
        conn: Conn,
        call: Call,
        kind: Kind,
    },
    /// Another frame is in the kernel in its place: the call's reply, but not a right one.
    Misanswered {
        conn: Conn,
        call: Call,
    },
    /// The stream of a call ended without a reply: by a status, or reset.
    Declined {
        conn: Conn,
        call: Call,
    },
    /// The server says that the time of a call is over.
    SaidLate {
        call: Call,
    },
    /// The server's answer to whether it is there, the first one on a connection.
    Greeted {
        conn: Conn,
    },
    /// No call that is new to the server will be looked at on this connection.
    GoneAway {
        conn: Conn,
    },
    Damaged {
        conn: Conn,
        damage: Damage,
    },
    Closed {
        conn: Conn,
        by: Side,
    },
    /// A shutdown with this deadline was asked for.
    Stopping {
        by: Millis,
    },
    /// The last handle is gone.
    Released,
    Sampled(Sample),
    /// The plugin answers, and everybody has had the time to notice.
    Recovered,
    /// Nobody has called for longer than anything may take.
    Rested(Sample, Counters),
    /// Everything was asked to end, and the run ends here.
    Ended,
}
