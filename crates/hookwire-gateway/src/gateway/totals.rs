//! What the plugins counted, by name, over all handles that a name has had.

use std::collections::BTreeMap;

use hookwire::{BreakerState, PluginHandle, PluginStats, WeakPluginHandle};

/// The part of the totals that belongs to handles which were taken out.
#[derive(Debug, Default)]
pub(super) struct Retired {
    /// Handles whose last calls may be under way still.
    closing: Vec<WeakPluginHandle>,
    closed: BTreeMap<String, PluginStats>,
}

impl Retired {
    /// To be called before the handle is let go.
    pub(super) fn add(&mut self, handle: &PluginHandle) {
        self.closing.push(handle.downgrade());
    }

    /// Those whose last calls may be under way still.
    pub(super) fn closing(&self) -> impl Iterator<Item = &WeakPluginHandle> {
        self.closing.iter()
    }

    /// The totals of all plugins that there ever were. Gauges, such as the breaker's state,
    /// are those of the last handle; where that is closed, they are at rest.
    pub(super) fn with(&mut self, present: &[PluginHandle]) -> BTreeMap<String, PluginStats> {
        self.settle();
        let mut totals = self.closed.clone();
        for handle in &self.closing {
            add(&mut totals, handle.name(), handle.stats());
        }
        for handle in present {
            add(&mut totals, handle.name(), handle.stats());
        }
        totals
    }

    /// Keeps only the counters of handles that are closed.
    pub(super) fn settle(&mut self) {
        for handle in self.closing.extract_if(.., |handle| handle.is_final()) {
            let mut stats = handle.stats();
            stats.connections.clear();
            // An outage that nobody sees the end of is over.
            stats.breaker = BreakerState::Closed;
            add(&mut self.closed, handle.name(), stats);
        }
    }
}

fn add(totals: &mut BTreeMap<String, PluginStats>, name: &str, stats: PluginStats) {
    match totals.get_mut(name) {
        Some(total) => *total += &stats,
        None => drop(totals.insert(name.to_owned(), stats)),
    }
}
