//! Errors to order: every kind, every reason.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use hookwire::server::HandlerError;
use hookwire::testing::{ErrorBuilder, error};
use hookwire::{ConnectError, ErrorKind, PluginConfig, PluginViolation, Plugins, Sent, Stage};

const SECOND: Duration = Duration::from_secs(1);

fn every_reason() -> impl Iterator<Item = (ErrorKind, &'static str)> {
    ErrorKind::ALL.iter().flat_map(|kind| kind.reasons().iter().map(|reason| (*kind, *reason)))
}

#[test]
fn every_reason_of_every_kind_can_be_had() {
    let mut texts = Vec::new();
    for (kind, reason) in every_reason() {
        let error = error("Guard", kind).reason(reason).socket("/run/guard.sock").build();
        assert_eq!((error.kind(), error.reason()), (kind, reason));
        assert_eq!(error.plugin(), "Guard");
        let text = error.to_string();
        assert!(text.starts_with("plugin `Guard` at /run/guard.sock: "), "{text}");
        assert!(!error.public_message().is_empty());
        texts.push(text);
    }
    let count = texts.len();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count, "each has words of its own");
}

#[test]
fn a_kind_alone_is_an_error_of_its_first_reason() {
    for kind in ErrorKind::ALL {
        let error = error("Guard", *kind).build();
        assert_eq!((error.kind(), error.reason()), (*kind, kind.reasons()[0]));
    }
}

#[test]
fn what_was_asked_for_is_what_the_error_tells() {
    let late = error("Guard", ErrorKind::Timeout).stage(Stage::Queued).timeout(SECOND).build();
    assert_eq!((late.stage(), late.timeout()), (Some(Stage::Queued), Some(SECOND)));
    assert_eq!(late.sent(), Sent::No);
    assert!(late.is_timeout() && late.is_retryable());

    let down = || error("Guard", ErrorKind::Unavailable).attempts(7).retry_after(3 * SECOND);
    for reason in ["unavailable", "untrusted"] {
        let down = down().reason(reason).sent(Sent::Maybe).build();
        assert_eq!((down.attempts(), down.retry_after()), (Some(7), Some(3 * SECOND)));
        assert!(!down.is_retryable());
        assert!(down.to_string().contains("due in 3.000 s"), "{down}");
    }

    let io_error = || io::Error::new(io::ErrorKind::ConnectionReset, "by peer");
    for (kind, reason) in [
        (ErrorKind::Unavailable, "unavailable"),
        (ErrorKind::Unavailable, "untrusted"),
        (ErrorKind::Disconnected, "disconnected"),
        (ErrorKind::Disconnected, "retry_budget_spent"),
        (ErrorKind::Timeout, "timeout"),
        (ErrorKind::BadReply, "framing"),
    ] {
        let error = error("Guard", kind).reason(reason).io_error(io_error()).build();
        let told = error.io_error().map(io::Error::kind);
        assert_eq!(told, Some(io::ErrorKind::ConnectionReset), "{reason}");
    }
}

#[test]
fn a_plugins_own_error_is_the_one_that_was_given() {
    let fault = HandlerError::new("out of disk").with_code("E28").with_mcp_error_code(-32000);
    let broken = error("Guard", ErrorKind::Plugin).fault(fault.clone()).build();
    assert!(broken.to_string().contains("out of disk (code `E28`, mcp_error_code -32000)"));
    assert!(!broken.is_denial());

    let denied = error("Guard", ErrorKind::Plugin)
        .reason("denied")
        .fault(fault)
        .violation(PluginViolation::new("NO_SHELL"))
        .build();
    assert!(denied.is_denial());
    assert_eq!(denied.plugin_fault().unwrap().violation().unwrap().code, "NO_SHELL");
    assert!(!format!("{denied:?}").contains("out of disk"));
}

/// What `build` says to an error that no call can fail with.
fn refusal(builder: ErrorBuilder) -> String {
    let refused = catch_unwind(AssertUnwindSafe(|| builder.build())).unwrap_err();
    *refused.downcast::<String>().unwrap()
}

#[test]
fn an_error_that_no_call_can_fail_with_is_not_made() {
    let stage = error("Guard", ErrorKind::Plugin).stage(Stage::Queued);
    assert_eq!(refusal(stage), "no error with the reason `plugin_error` has `stage`");
    let attempts = error("Guard", ErrorKind::Unavailable).reason("unresponsive").attempts(1);
    assert_eq!(refusal(attempts), "no error with the reason `unresponsive` has `attempts`");
    let violation = error("Guard", ErrorKind::Plugin).violation(PluginViolation::new("NO"));
    assert_eq!(refusal(violation), "no error with the reason `plugin_error` has `violation`");
    for (kind, sent) in [
        (ErrorKind::Config, Sent::Maybe),
        (ErrorKind::Disabled, Sent::Unstarted),
        (ErrorKind::InvalidRequest, Sent::Maybe),
        (ErrorKind::BadReply, Sent::No),
        (ErrorKind::Plugin, Sent::Unstarted),
    ] {
        let reason = kind.reasons()[0];
        let refused = refusal(error("Guard", kind).sent(sent));
        assert_eq!(refused, format!("no error with the reason `{reason}` has {sent:?}"));
    }
}

#[test]
#[should_panic(expected = "`timeout` is no reason of `closed`, which has [\"shutdown\"")]
fn a_reason_of_another_kind_is_refused() {
    let _ = error("Guard", ErrorKind::Closed).reason("timeout");
}

#[test]
#[should_panic(expected = "no error with the reason `unchecked` has Maybe")]
fn a_call_that_a_strict_entry_does_not_let_through_was_not_sent() {
    let unchecked = error("Guard", ErrorKind::Unavailable).reason("unchecked");
    let _ = unchecked.sent(Sent::Maybe).build();
}

/// Plugins that are not there need no double.
#[tokio::test(start_paused = true)]
async fn an_error_of_the_start_is_had_without_a_server() {
    let entry = |name| PluginConfig::builder(name).socket("/nowhere/plugin.sock").build().unwrap();
    let absent = Plugins::builder().plugin(entry("Guard")).connect().await.unwrap_err();
    let ConnectError::Failed(reports) = &absent else { panic!("{absent}") };
    assert_eq!(reports[0].outcome.as_ref().unwrap_err().kind(), ErrorKind::Unavailable);

    let twice = Plugins::builder().plugins([entry("Guard"), entry("Guard")]);
    let twice = twice.connect().await.unwrap_err();
    assert!(matches!(twice, ConnectError::Duplicate(name) if name == "Guard"));
    // The others hold nothing that a test could not give them.
    for error in [ConnectError::Unknown("Guard".to_owned()), ConnectError::NoRuntime] {
        assert!(!error.to_string().is_empty());
    }
}
