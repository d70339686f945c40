//! What a plugin's answer means for the request: by its mode, its verdict, and `on_error`.

use hookwire::config::{OnError, PluginMode};
use hookwire::{ErrorKind, Hook, PluginError, PluginResult, PluginViolation, Stage, Verdict};

/// What a verdict means.
#[derive(Debug, PartialEq)]
pub(crate) enum Weighed<M> {
    /// The request must stop.
    Deny(Option<Box<PluginViolation>>),
    /// It goes on, with this change. A denial that does not count is `overruled`.
    GoOn { modified: Option<M>, overruled: bool },
}

/// Weighs a verdict.
///
/// In `transform` a plugin may not deny, but an answer that is a
/// [refusal](Hook::refusal) by itself (a permission that is not granted) cannot be taken for
/// one that is none: it denies there, too.
pub(crate) fn weigh<H: Hook>(
    mode: PluginMode,
    result: PluginResult<H::Modified>,
) -> Weighed<H::Modified> {
    let overruled = !result.is_allowed();
    match mode {
        PluginMode::Audit | PluginMode::FireAndForget => {
            Weighed::GoOn { modified: None, overruled }
        }
        PluginMode::Transform => match result.overrule().into_verdict() {
            Verdict::Allowed(modified) => match modified.as_ref().and_then(H::refusal) {
                Some(violation) => Weighed::Deny(Some(Box::new(violation))),
                None => Weighed::GoOn { modified, overruled },
            },
            Verdict::Denied(violation) => Weighed::Deny(violation),
        },
        PluginMode::Concurrent => match result.into_verdict() {
            Verdict::Allowed(_) => Weighed::GoOn { modified: None, overruled: false },
            Verdict::Denied(violation) => Weighed::Deny(violation),
        },
        // `sequential`, and any that is not known here: the strictest.
        _ => match result.into_verdict() {
            Verdict::Allowed(modified) => Weighed::GoOn { modified, overruled: false },
            Verdict::Denied(violation) => Weighed::Deny(violation),
        },
    }
}

/// A failed call, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The plugin has denied, although its call failed.
    pub(crate) denied: bool,
    /// The time of the whole chain is over.
    pub(crate) out_of_time: bool,
    pub(crate) of: Of,
}

/// What a failed call tells something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Plugin,
    /// The request: no plugin could be asked about it.
    Request,
    /// The gateway: it calls more often than it may, has closed the plugin, or makes no call,
    /// for the plugin cannot be used as it is configured.
    Gateway,
}

impl Of {
    pub(crate) fn error(error: &PluginError) -> Self {
        match error.kind() {
            ErrorKind::InvalidRequest => Self::Request,
            ErrorKind::Overloaded | ErrorKind::Closed | ErrorKind::Config | ErrorKind::Disabled => {
                Self::Gateway
            }
            ErrorKind::Timeout if error.stage() == Some(Stage::Admission) => Self::Gateway,
            _ => Self::Plugin,
        }
    }
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// The request must stop, by the plugin's verdict.
    Deny,
    /// The request must stop: there is no time for the other plugins either.
    OutOfTime,
    /// The request must stop: it was not checked.
    Fail,
    /// It goes on without this plugin's verdict, as it is configured.
    GoOn,
    /// The same, and the plugin is left out from now on.
    Disable,
}

/// Decides about a failed call. No other way lets a request go on without a verdict than
/// `on_error`, by one of two words; and not even those let one go past a plugin that acts on
/// requests, where it is the request that keeps it from being asked: whoever sends it would
/// choose whether it is checked.
pub(crate) fn on_failure(mode: PluginMode, on_error: OnError, failure: Failure) -> Consequence {
    // Where a plugin may not deny, its error is one as any other: `fail` stops the request.
    let may_deny =
        !matches!(mode, PluginMode::Transform | PluginMode::Audit | PluginMode::FireAndForget);
    if failure.denied && may_deny {
        return Consequence::Deny;
    }
    // The others' fault, perhaps: it says nothing about this plugin.
    if failure.out_of_time {
        return Consequence::OutOfTime;
    }
    if failure.of == Of::Request && !matches!(mode, PluginMode::Audit | PluginMode::FireAndForget) {
        return Consequence::Fail;
    }
    match on_error {
        OnError::Ignore => Consequence::GoOn,
        OnError::Disable if failure.of == Of::Plugin => Consequence::Disable,
        OnError::Disable => Consequence::GoOn,
        _ => Consequence::Fail,
    }
}

#[cfg(test)]
mod tests {
    use PluginMode::{Audit, Concurrent, FireAndForget, Sequential, Transform};
    use hookwire::hooks::ToolPreInvokePayload;
    use hookwire::hooks::{HttpAuthCheckPermission, PermissionDecision, ToolPreInvoke};
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::json;

    use super::*;

    const MODES: [PluginMode; 5] = [Sequential, Transform, Audit, Concurrent, FireAndForget];

    fn denial() -> PluginResult<ToolPreInvokePayload> {
        PluginResult::deny(PluginViolation::new("NO"))
    }

    /// As it may come over the wire.
    fn denial_with<P: Serialize + DeserializeOwned>(change: &P) -> PluginResult<P> {
        let result = json!({"continue_processing": false, "modified_payload": change});
        serde_json::from_value(result).unwrap()
    }

    fn change() -> ToolPreInvokePayload {
        ToolPreInvokePayload::new("changed")
    }

    #[test]
    fn sequential_and_concurrent_plugins_deny_and_no_others() {
        for mode in MODES {
            let denies = match weigh::<ToolPreInvoke>(mode, denial()) {
                Weighed::Deny(violation) => violation.is_some_and(|why| why.code == "NO"),
                Weighed::GoOn { modified, overruled } => {
                    assert!(modified.is_none() && overruled, "{mode}");
                    false
                }
            };
            assert_eq!(denies, matches!(mode, Sequential | Concurrent), "{mode}");
        }
    }

    #[test]
    fn sequential_and_transform_plugins_change_the_payload_and_no_others() {
        for mode in MODES {
            let weighed = weigh::<ToolPreInvoke>(mode, PluginResult::modify(change()));
            let Weighed::GoOn { modified, overruled: false } = weighed else { panic!("{mode}") };
            assert_eq!(modified.is_some(), matches!(mode, Sequential | Transform), "{mode}");
        }
    }

    #[test]
    fn a_transform_plugin_that_denies_still_changes_the_payload() {
        let both = denial_with(&change());
        let weighed = weigh::<ToolPreInvoke>(Transform, both);
        assert_eq!(weighed, Weighed::GoOn { modified: Some(change()), overruled: true });
    }

    /// It may come as a denial already, for the client looks at refusals too.
    #[test]
    fn a_refusal_denies_wherever_a_plugin_may_change_or_deny() {
        let refused = || PermissionDecision::new(false);
        for mode in MODES {
            let denial = denial_with(&refused());
            let denies = matches!(weigh::<HttpAuthCheckPermission>(mode, denial), Weighed::Deny(_));
            assert_eq!(denies, matches!(mode, Sequential | Transform | Concurrent), "{mode}");
        }
    }

    #[test]
    fn only_two_words_let_a_request_go_on_without_a_verdict() {
        let failure = Failure { denied: false, out_of_time: false, of: Of::Plugin };
        for mode in MODES {
            assert_eq!(on_failure(mode, OnError::Fail, failure), Consequence::Fail);
            assert_eq!(on_failure(mode, OnError::Ignore, failure), Consequence::GoOn);
            assert_eq!(on_failure(mode, OnError::Disable, failure), Consequence::Disable);
        }
    }

    #[test]
    fn what_tells_nothing_of_a_plugin_disables_none() {
        let failed = |of| Failure { denied: false, out_of_time: false, of };
        for mode in MODES {
            let acts = matches!(mode, Sequential | Transform | Concurrent);
            for on_error in [OnError::Ignore, OnError::Disable] {
                let expected = if acts { Consequence::Fail } else { Consequence::GoOn };
                assert_eq!(on_failure(mode, on_error, failed(Of::Request)), expected, "{mode}");
                let gone_on = on_failure(mode, on_error, failed(Of::Gateway));
                assert_eq!(gone_on, Consequence::GoOn, "{mode}");
            }
            for of in [Of::Request, Of::Gateway] {
                assert_eq!(on_failure(mode, OnError::Fail, failed(of)), Consequence::Fail);
            }
        }
    }

    #[test]
    fn a_denial_inside_an_error_is_a_denial_whatever_on_error_says() {
        for out_of_time in [false, true] {
            let failure = Failure { denied: true, out_of_time, of: Of::Plugin };
            for on_error in [OnError::Fail, OnError::Ignore, OnError::Disable] {
                assert_eq!(on_failure(Sequential, on_error, failure), Consequence::Deny);
                assert_eq!(on_failure(Concurrent, on_error, failure), Consequence::Deny);
            }
        }
    }

    #[test]
    fn a_denial_inside_an_error_of_a_plugin_that_may_not_deny_is_an_error() {
        let failure = Failure { denied: true, out_of_time: false, of: Of::Plugin };
        for mode in [Transform, Audit] {
            assert_eq!(on_failure(mode, OnError::Fail, failure), Consequence::Fail);
            assert_eq!(on_failure(mode, OnError::Ignore, failure), Consequence::GoOn);
        }
    }

    #[test]
    fn when_the_time_of_the_chain_is_over_no_word_lets_the_request_go_on() {
        let failure = Failure { denied: false, out_of_time: true, of: Of::Plugin };
        for mode in MODES {
            for on_error in [OnError::Fail, OnError::Ignore, OnError::Disable] {
                assert_eq!(on_failure(mode, on_error, failure), Consequence::OutOfTime);
            }
        }
    }
}
