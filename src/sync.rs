//! The atomics that handles and connection tasks share: the standard ones, or
//! loom's, under which the tests of `connection/handover_tests.rs` try every
//! interleaving, and every value that a load may see (`.ci/loom`).

#[cfg(not(all(test, hookwire_loom)))]
pub(crate) use {futures::task::AtomicWaker, std::sync::atomic};

#[cfg(all(test, hookwire_loom))]
pub(crate) use {explored::AtomicWaker, loom::sync::atomic};

#[cfg(all(test, hookwire_loom))]
mod explored {
    /// loom's, with the signature of that of futures.
    #[derive(Debug, Default)]
    pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(crate) fn register(&self, waker: &std::task::Waker) {
            self.0.register_by_ref(waker);
        }

        pub(crate) fn wake(&self) {
            self.0.wake();
        }
    }
}
