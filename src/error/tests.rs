use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::model::{PluginResult, PluginViolation};
use crate::wire::{DecodeError, EncodeError};

fn io_error() -> Arc<io::Error> {
    Arc::new(io::Error::other("/run/secret"))
}

/// One of each, with foreign words wherever there is room for them.
fn every_cause() -> Vec<Cause> {
    let secret = || "/run/secret".to_owned();
    let fault = PluginFault {
        message: secret(),
        plugin_name: secret(),
        code: secret(),
        details: serde_json::Map::new(),
        mcp_error_code: -32603,
        refusal: None,
    };
    let denied = PluginFault {
        refusal: Some(Box::new(PluginResult::deny(PluginViolation::new(secret())))),
        ..fault.clone()
    };
    let DecodeError::Custom(wrong_type) = serde::de::Error::custom("/run/secret") else {
        panic!("it is the type's own message");
    };
    vec![
        Cause::NameMismatch { configured: secret(), found: secret() },
        Cause::Disabled,
        Cause::WeakerServer(secret().into()),
        Cause::Unchecked,
        Cause::NoHooks,
        Cause::ConnectorOverGrpc,
        Cause::UnregisteredHook { name: secret(), nearest: None },
        Cause::InvalidRequest(EncodeError::Custom(wrong_type.clone())),
        Cause::RequestTooLarge { size: 2, limit: 1 },
        #[cfg(feature = "grpc")]
        Cause::MessageTooLarge { size: 2, limit: Some(1) },
        Cause::Overloaded { places: 1, waiting: 0, queue_capacity: None, slots: Slots::OfSockets },
        Cause::Unavailable { attempts: 1, error: io_error(), retry_after: None },
        Cause::Unresponsive { missing: 5, retry_after: None },
        Cause::Untrusted { attempts: 1, error: io_error(), retry_after: None },
        Cause::Disconnected(io_error()),
        Cause::ClosedAfterFault("of another call's reply"),
        Cause::RetryBudgetSpent(Box::new(Cause::Disconnected(io_error()))),
        Cause::Timeout {
            timeout: Duration::from_secs(1),
            stage: Stage::Queued,
            last_error: Some(io_error()),
        },
        Cause::Framing(io_error()),
        Cause::Mismatch { field: "plugin_name" },
        Cause::Unproven,
        Cause::Undecodable(secret()),
        Cause::RefusedByType(wrong_type),
        Cause::EmptyReply,
        Cause::Plugin(Box::new(fault)),
        Cause::Plugin(Box::new(denied)),
        Cause::Shutdown,
        Cause::TaskGone,
        Cause::Unimplemented("/run/secret".into()),
    ]
}

fn error(sent: Sent, cause: Cause) -> PluginError {
    let path: Arc<Path> = Path::new("/run/secret").into();
    PluginError::new("Secret".into(), path, Errand::Hook, (sent, cause))
}

#[test]
fn the_kinds_list_every_reason_once() {
    let listed: Vec<_> = ErrorKind::ALL.iter().flat_map(|kind| kind.reasons()).copied().collect();
    let given: BTreeSet<_> = every_cause().iter().map(Cause::reason).collect();
    assert_eq!(listed.len(), given.len(), "none is there twice");
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), given);
}

#[test]
fn a_reason_is_one_of_its_kind() {
    for cause in every_cause() {
        let error = error(Sent::No, cause);
        assert!(error.kind().reasons().contains(&error.reason()), "{error}");
    }
    let words: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), 10);
}

#[test]
fn a_public_message_has_no_name_and_no_foreign_words() {
    for cause in every_cause() {
        let error = error(Sent::Maybe, cause);
        assert!(error.to_string().contains("/run/secret"), "{error}");
        let public = error.public_message().to_lowercase();
        assert!(!public.contains("secret") && !public.contains('/'), "{public}");
    }
}

#[test]
fn display_tells_whether_the_hook_can_have_run() {
    let told = |sent| error(sent, Cause::Disconnected(io_error())).to_string();
    let start = "plugin `Secret` at /run/secret: the connection was lost: /run/secret";
    assert_eq!(told(Sent::No), format!("{start} [not sent: the hook did not run]"));
    assert_eq!(
        told(Sent::Unstarted),
        format!(
            "{start} [sent behind an unanswered call: a server that works in order has not begun it]"
        )
    );
    assert_eq!(told(Sent::Maybe), format!("{start} [sent: the hook may have run]"));
}

#[cfg(feature = "grpc")]
#[test]
fn display_tells_over_grpc_who_has_not_run_the_hook() {
    let targets = [crate::config::Target::Host { host: "guard".into(), port: 1 }];
    let cause = Cause::Disconnected(io_error());
    let error =
        PluginError::new("Secret".into(), &targets[..], Errand::Hook, (Sent::Unstarted, cause));
    let end = "[sent, and passed over by a server that stops: the hook did not run]";
    assert!(error.to_string().ends_with(end), "{error}");
}

#[test]
fn when_a_plugin_is_tried_again_is_told_where_somebody_tries_it() {
    let retry_after = Some(Duration::from_secs(1));
    let down = Cause::Unavailable { attempts: 2, error: io_error(), retry_after };
    let error = error(Sent::No, down);
    let start =
        "plugin `Secret` at /run/secret: cannot connect (2 attempts in a row failed): /run/secret";
    let end = "[not sent: the hook did not run]";
    assert_eq!(error.to_string(), format!("{start}; the next attempt is due in 1.000 s {end}"));
    assert_eq!(format!("{error:#}"), format!("{start} {end}"));
    assert_eq!(error.retry_after(), retry_after);

    // One that was asked and does not let us in is there.
    let refused = Cause::Untrusted { attempts: 1, error: io_error(), retry_after: None };
    let refused = self::error(Sent::Maybe, refused).to_string();
    assert!(!refused.contains("attempt is"), "{refused}");

    let given_up = error.given_up();
    assert_eq!(given_up.to_string(), start);
    assert_eq!(given_up.retry_after(), None);
}

#[test]
fn a_question_about_all_plugins_names_the_server() {
    let path: Arc<Path> = Path::new("/run/secret").into();
    let failure = (Sent::Maybe, Cause::EmptyReply);
    let error = PluginError::new("Secret".into(), path, Errand::Server, failure);
    assert!(error.to_string().starts_with("the server at /run/secret: the reply"), "{error}");
}

#[test]
fn a_plugins_error_is_told_without_what_it_does_not_have() {
    let told = |message: &str, code: &str| {
        let (message, code, plugin_name) = (message.to_owned(), code.to_owned(), String::new());
        let details = serde_json::Map::new();
        let refusal = None;
        let mcp_error_code = -32603;
        let fault = PluginFault { message, plugin_name, code, details, mcp_error_code, refusal };
        Cause::Plugin(Box::new(fault)).to_string()
    };
    let start = "the plugin reported an error";
    assert_eq!(told("no", "E1"), format!("{start}: no (code `E1`, mcp_error_code -32603)"));
    assert_eq!(told("no", ""), format!("{start}: no (mcp_error_code -32603)"));
    assert_eq!(told("", ""), format!("{start} without a message (mcp_error_code -32603)"));
}

#[test]
fn only_what_was_certainly_not_sent_may_be_called_again() {
    for sent in [Sent::No, Sent::Unstarted, Sent::Maybe] {
        let lost = error(sent, Cause::Disconnected(io_error()));
        assert_eq!(lost.is_retryable(), sent == Sent::No, "{sent}");
    }
    assert!(!error(Sent::No, Cause::NoHooks).is_retryable());
}

#[test]
fn a_spent_retry_budget_is_a_lost_connection_whose_error_is_still_told() {
    let spent = Cause::RetryBudgetSpent(Box::new(Cause::Disconnected(io_error())));
    let error = error(Sent::Maybe, spent);
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Disconnected, "retry_budget_spent"));
    assert_eq!(error.io_error().map(ToString::to_string).as_deref(), Some("/run/secret"));
}
