//! Makes a plugin server behind a Unix socket a plugin of the policy engine `praxis-policy`.
//!
//! The engine knows entries of the kind `external` by name only. [`HookwireFactory`] makes
//! plugins of them: each of their hooks asks a plugin server through
//! [`hookwire`](https://docs.rs/hookwire), and the engine acts on its answer as on that of a
//! plugin in its own process.
//!
//! ```yaml
//! plugins:
//!   - name: Guard
//!     kind: external                # or `hookwire`
//!     hooks: [cmf.tool_pre_invoke, cmf.tool_post_invoke]
//!     config:
//!       unix_socket: {path: /run/plugins/guard.sock, timeout: 5}
//! ```
//!
//! | key below `config` | default | meaning |
//! |---|---|---|
//! | `unix_socket` | needed | the section of hookwire's own entries, with all its keys; `timeout` is 10 s here |
//! | `grpc` | | the same for servers over gRPC, in its place (feature `grpc`) |
//! | `payload` | `auto` | `cmf`: the engine's messages as they are; `legacy`: the payloads from before there were messages; `auto`: as the server's list of hooks tells, messages first |
//! | `namespace` | `refuse` | what becomes of a tool's namespace, which a legacy payload cannot say: `refuse` or `drop` |
//! | `name` | the entry's | the plugin's name on its server |
//! | `start` | `eager` | `initialize` fails where the server is not there within 5 s (or `timeout`), or does not serve the hooks; `lazy`: the first call connects and asks |
//!
//! Any other key is an error. A `unix_socket` beside `config` is one too, for it is missing
//! below: the engine drops what it does not know.
//!
//! # What it holds to
//!
//! - **Nothing passes by failing.** A message that cannot be said, an answer that cannot be
//!   put into the message, a server that is away are errors, which reach `on_error`. What the
//!   engine makes of them is its configuration's: only `sequential` and `concurrent` plugins
//!   with `on_error: fail` stop a request.
//! - **Connections outlive runtimes.** They live on one thread of this crate, so a host may
//!   initialise an engine on a runtime that it throws away.
//! - **Engines share.** Plugins that are configured alike have one handle in the process; the
//!   last engine to be shut down, or dropped, closes it. A reload is a new engine, and then a
//!   shutdown of the old one.
//! - **State is copied.** The engine drops a call at its own time limit, and goes on with what
//!   the call leaves behind: all that was there before.
//! - **A host may show what it is told.** Errors are constant sentences, without a path and
//!   without the words of a plugin; `code` and `details` have the kind, the reason and whether
//!   the call was sent.
//!
//! [docs/engines.md] has the steps, what is refused and why, and all decisions with their
//! tests.
//!
//! [docs/engines.md]: https://docs.rs/crate/hookwire-praxis/latest

mod context;
mod denial;
mod errors;
mod factory;
mod form;
mod handler;
mod hook;
mod instance;
mod payload;
mod runtime;
mod settings;
mod shared;

pub use factory::{HookwireFactory, KINDS};
