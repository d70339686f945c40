//! Which plugins a hook is for, and in which order they are asked.

use hookwire::config::{OnError, PluginMode};

use super::record::Status;

/// A plugin of the chain that serves the hook, as it is configured now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its place in the chain.
    pub(crate) index: usize,
    pub(crate) mode: PluginMode,
    pub(crate) on_error: OnError,
    pub(crate) priority: i32,
    pub(crate) standing: Standing,
}

/// Whether a plugin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Disabled,
    ConditionsUnmet,
    Asked,
}

impl Standing {
    pub(crate) fn of(
        mode: PluginMode,
        conditions_met: impl FnOnce() -> bool,
        may_pass: impl FnOnce() -> bool,
    ) -> Self {
        if mode == PluginMode::Disabled {
            return Self::Disabled;
        }
        if !conditions_met() {
            return Self::ConditionsUnmet;
        }
        if may_pass() { Self::Asked } else { Self::Disabled }
    }
}

/// A plugin that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) index: usize,
    pub(crate) mode: PluginMode,
    pub(crate) on_error: OnError,
    priority: i32,
}

/// The parts of a run, in their order; each by priority, equal ones by their place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Of all parts.
    steps: Vec<Step>,
    /// Not asked.
    pub(crate) left_out: Vec<(usize, PluginMode, Status)>,
}

impl Plan {
    pub(crate) fn of(candidates: impl Iterator<Item = Candidate>) -> Self {
        let most = candidates.size_hint().1.unwrap_or_default();
        let mut plan = Self { steps: Vec::with_capacity(most), left_out: Vec::new() };
        for candidate in candidates {
            let Candidate { index, mode, on_error, priority, standing } = candidate;
            match standing {
                Standing::Disabled => plan.left_out.push((index, mode, Status::Disabled)),
                Standing::ConditionsUnmet => plan.left_out.push((index, mode, Status::Skipped)),
                Standing::Asked => plan.steps.push(Step { index, mode, on_error, priority }),
            }
        }
        plan.steps.sort_by_key(|step| (phase(step.mode), step.priority, step.index));
        plan
    }

    /// All that are asked.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// One after the other: `sequential`, then `transform`, then `audit`.
    pub(crate) fn serial(&self) -> &[Step] {
        &self.steps[..self.begin_of(PluginMode::Concurrent)]
    }

    /// Side by side.
    pub(crate) fn concurrent(&self) -> &[Step] {
        let end = self.begin_of(PluginMode::FireAndForget);
        &self.steps[self.begin_of(PluginMode::Concurrent)..end]
    }

    /// Those that are waited for: one after the other, and side by side.
    pub(crate) fn waited_for(&self) -> &[Step] {
        &self.steps[..self.begin_of(PluginMode::FireAndForget)]
    }

    /// Not waited for.
    pub(crate) fn background(&self) -> &[Step] {
        &self.steps[self.begin_of(PluginMode::FireAndForget)..]
    }

    fn begin_of(&self, mode: PluginMode) -> usize {
        self.steps.partition_point(|step| phase(step.mode) < phase(mode))
    }
}

/// A mode that is not known here is taken for the strictest.
fn phase(mode: PluginMode) -> u8 {
    match mode {
        PluginMode::Transform => 1,
        PluginMode::Audit => 2,
        PluginMode::Concurrent => 3,
        PluginMode::FireAndForget => 4,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use PluginMode::{Audit, Concurrent, Disabled, FireAndForget, Sequential, Transform};

    use super::*;

    fn candidate(index: usize, mode: PluginMode, priority: i32) -> Candidate {
        let standing = Standing::of(mode, || true, || true);
        Candidate { index, mode, on_error: OnError::Fail, priority, standing }
    }

    fn places(steps: &[Step]) -> Vec<usize> {
        steps.iter().map(|step| step.index).collect()
    }

    #[test]
    fn the_phases_come_in_their_order_whatever_the_priorities() {
        let modes = [FireAndForget, Concurrent, Audit, Transform, Sequential];
        let candidates = modes.into_iter().enumerate();
        let plan = Plan::of(candidates.map(|(index, mode)| candidate(index, mode, index as i32)));
        assert_eq!(places(plan.serial()), [4, 3, 2]);
        assert_eq!(places(plan.concurrent()), [1]);
        assert_eq!(places(plan.background()), [0]);
    }

    #[test]
    fn in_a_phase_the_lower_priority_comes_first_and_equal_ones_keep_their_order() {
        let priorities = [5, -1, 5, i32::MIN, 0, -1];
        for mode in [Sequential, Transform, Audit, Concurrent, FireAndForget] {
            let candidates = priorities.into_iter().enumerate();
            let plan =
                Plan::of(candidates.map(|(index, priority)| candidate(index, mode, priority)));
            assert_eq!(places(plan.steps()), [3, 1, 5, 4, 0, 2], "{mode}");
        }
    }

    #[test]
    fn what_is_left_out_is_told_with_the_reason() {
        let unmet = Standing::of(Audit, || false, || panic!("its switch is not asked"));
        let off = Standing::of(Transform, || true, || false);
        let disabled = Standing::of(Disabled, || panic!("nor are its conditions"), || true);
        let candidates = [(0, Audit, unmet), (1, Transform, off), (2, Disabled, disabled)];
        let plan =
            Plan::of(candidates.into_iter().map(|(index, mode, standing)| Candidate {
                standing,
                ..candidate(index, mode, 0)
            }));
        assert_eq!(
            plan.left_out,
            [
                (0, Audit, Status::Skipped),
                (1, Transform, Status::Disabled),
                (2, Disabled, Status::Disabled)
            ]
        );
        assert!(
            plan.serial().is_empty()
                && plan.concurrent().is_empty()
                && plan.background().is_empty()
        );
    }
}
