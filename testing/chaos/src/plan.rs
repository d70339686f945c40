//! What a call is like: how large, how long it may take, when its caller leaves.

use std::time::Duration;

use crate::dice::Dice;
use crate::work::{LARGEST, text};

/// When a caller drops its call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Leave {
    Never,
    After(Duration),
    /// After so many polls: at whatever await point it has come to.
    AtPoll(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) filler: &'static str,
    /// `None`: what the plugin is configured to have.
    pub(crate) timeout: Option<Duration>,
    pub(crate) leave: Leave,
    /// By name, with JSON, and not with types.
    pub(crate) dynamic: bool,
    /// Does not wait for a place.
    pub(crate) refuse: bool,
    pub(crate) may_repeat: bool,
    /// Asks for the plugin's configuration, and calls no hook.
    pub(crate) asks_for_config: bool,
}

impl Plan {
    pub(crate) fn roll(dice: &mut Dice) -> Self {
        // Small ones most of the time; a megabyte for each would only measure memory.
        let most = match dice.below(500) {
            0 => LARGEST,
            1..=20 => LARGEST / 16,
            _ => 512,
        };
        let size = dice.below(most + 1);
        let from = dice.below(LARGEST);
        let leave = match dice.below(10) {
            0 => Leave::After(dice.millis(0.05, 30.0)),
            1 => Leave::AtPoll(dice.below(8)),
            _ => Leave::Never,
        };
        Self {
            filler: &text()[from..from + size],
            timeout: Some(dice.millis(2.0, 2_000.0)).filter(|_| !dice.one_in(8)),
            leave,
            dynamic: dice.one_in(8),
            refuse: dice.one_in(20),
            may_repeat: dice.one_in(20),
            asks_for_config: dice.one_in(200),
        }
    }

    /// A small call with much time, for those who want it to succeed.
    pub(crate) fn plain() -> Self {
        Self {
            filler: &text()[..64],
            timeout: Some(Duration::from_secs(2)),
            leave: Leave::Never,
            dynamic: false,
            refuse: false,
            may_repeat: false,
            asks_for_config: false,
        }
    }
}
