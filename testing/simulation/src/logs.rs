//! A log subscriber that listens, or does not, and panics now and then.

use std::cell::RefCell;
use std::panic::resume_unwind;

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::dice::chance;

/// What the subscriber of a run does.
#[derive(Debug, Clone)]
pub struct Manners {
    pub listens: bool,
    pub panics: Option<fastrand::Rng>,
}

thread_local! {
    static MANNERS: RefCell<Manners> = const { RefCell::new(Manners { listens: false, panics: None }) };
}

/// How this thread's subscriber behaves from now on.
pub fn behave(manners: Manners) {
    MANNERS.set(manners);
}

/// The subscriber of every thread that runs a simulation.
#[derive(Debug)]
pub struct Logs;

impl Logs {
    fn written() {
        let panics = MANNERS
            .with_borrow_mut(|manners| manners.panics.as_mut().is_some_and(|rng| chance(rng, 3)));
        // A second panic would abort, whoever caused it.
        if panics && !std::thread::panicking() {
            resume_unwind(Box::new("the reader of the log is gone"));
        }
    }
}

impl Subscriber for Logs {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    /// Only to hookwire: a panic within h2, that holds a lock there, takes its connection along,
    /// and whoever drops one of its streams.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hookwire") && MANNERS.with_borrow(|manners| manners.listens)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Self::written();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        Self::written();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
