//! For a gateway's own tests: plugins that do as they are told, without a server, and errors
//! to order. Feature `testing`, for `[dev-dependencies]`.
//!
//! - [`Double`]: a plugin behind a real [`PluginHandle`](crate::PluginHandle). It answers by
//!   functions or by a script, remembers who called, and can go down.
//! - [`Answer`]: what it says: a verdict, an error, late or never, or what only a server says
//!   that is broken: half a reply, garbage, the reply to another call.
//! - [`error`]: a [`PluginError`](crate::PluginError) of any kind and reason, for code that
//!   takes errors and makes no calls.
//!
//! What is between a gateway and its double is all that is between it and a plugin, but for the
//! socket: encoding, deadlines, retries, the circuit breaker, the checks on replies. So a test
//! finds what would happen, and in paused time (Tokio's feature `test-util`) within milliseconds.
//! What a double leaves out are the socket and its file: paths, permissions, and who runs the
//! server. For those there is [`PluginServer`](crate::server::PluginServer).
//!
//! A gateway that asks a plugin about each tool call, and its tests:
//!
//! ```
//! use std::time::Duration;
//!
//! use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
//! use hookwire::testing::{Answer, Double};
//! use hookwire::{ErrorKind, PluginContext, PluginHandle, PluginViolation, Stopped};
//!
//! /// The status that the gateway answers a tool call with.
//! async fn call_tool(guard: &PluginHandle, tool: &str) -> u16 {
//!     let payload = ToolPreInvokePayload::new(tool);
//!     let mut context = PluginContext::new("request-1");
//!     match guard.enforce::<ToolPreInvoke>(payload, &mut context).await {
//!         Ok(_payload) => 200, // It would call the tool here.
//!         Err(Stopped::Denied(_)) => 403,
//!         Err(Stopped::Failed(error)) if error.kind() == ErrorKind::Timeout => 504,
//!         Err(Stopped::Failed(_)) => 503,
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     // In a test all of this is `#[tokio::test(start_paused = true)]`.
//!     tokio::time::pause();
//!     let guard = Double::named("Guard").build();
//!     let handle = guard.handle();
//!
//!     assert_eq!(call_tool(&handle, "search").await, 200);
//!
//!     guard.then(Answer::deny(PluginViolation::new("NO_SHELL")));
//!     assert_eq!(call_tool(&handle, "shell").await, 403);
//!
//!     // 35 s of the gateway's time, and none of the test's.
//!     guard.then(Answer::silence());
//!     assert_eq!(call_tool(&handle, "search").await, 504);
//!
//!     // What comes too late is nobody's: neither this call's nor the next one's.
//!     guard.then(Answer::allow().after(Duration::from_secs(40)));
//!     assert_eq!(call_tool(&handle, "search").await, 504);
//!
//!     guard.then(Answer::of_another_call());
//!     assert_eq!(call_tool(&handle, "search").await, 503);
//!
//!     guard.down();
//!     assert_eq!(call_tool(&handle, "search").await, 503);
//!
//!     // Who asked what: the call that found the plugin down is not among them.
//!     let calls = guard.calls();
//!     assert_eq!(calls.len(), 5);
//!     assert_eq!(calls[1].payload["name"], "shell");
//!     assert_eq!(calls[1].request_id(), "request-1");
//! }
//! ```

// Tests are told by a panic what is wrong with them.
#![allow(clippy::panic)]

mod answer;
mod builder;
mod cause;
mod details;
mod double;
mod error;
mod line;
mod received;
mod serve;
mod state;

pub use answer::Answer;
pub use builder::DoubleBuilder;
pub use double::Double;
pub use error::{ErrorBuilder, error};
pub use received::ReceivedCall;

/// Where doubles are, in errors and logs.
const IN_MEMORY: &str = "/in-memory";
