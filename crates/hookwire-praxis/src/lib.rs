//! TODO
mod context;
mod denial;
mod errors;
mod factory;
mod handler;
mod hook;
mod instance;
mod payload;
mod runtime;
mod settings;
mod shared;

pub use factory::{HookwireFactory, KINDS};
