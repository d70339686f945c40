//! The chain that requests take now.

use arc_swap::ArcSwap;

use super::{Chain, Inner};

/// Swapped whole. Reading it takes no lock, and waits for nobody.
pub(crate) struct CurrentChain(ArcSwap<Inner>);

impl CurrentChain {
    pub(crate) fn new(chain: Chain) -> Self {
        Self(ArcSwap::new(chain.inner))
    }

    pub(crate) fn get(&self) -> Chain {
        Chain { inner: self.0.load_full() }
    }

    pub(crate) fn set(&self, chain: Chain) {
        self.0.store(chain.inner);
    }
}
