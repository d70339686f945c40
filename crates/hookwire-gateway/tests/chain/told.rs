//! What log lines and spans tell of failures.

use hookwire::PluginViolation;
use hookwire::server::HandlerError;
use hookwire::testing::{Answer, Double};
use hookwire_gateway::Chain;
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::log::Log;
use crate::world::{config, run};

/// The lines of one run, and of the ends of its spans.
async fn lines(mode: &str, on_error: &str, answer: Answer) -> String {
    let entry = json!({"mode": mode, "on_error": on_error, "hooks": ["tool_pre_invoke"]});
    let entry = config("Guard", &json!({"path": "/run/plugins.sock"}), entry);
    let guard = Double::of(entry).then(answer).build();
    let chain = Chain::builder().plugin(guard.handle()).build().unwrap();
    let (log, _logging) = Log::start_with(LevelFilter::INFO, FmtSpan::CLOSE);
    let _ = run(&chain).await;
    assert!(chain.background_idle(crate::world::LIMIT).await);
    log.text()
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_heeded_is_logged_without_the_plugins_words() {
    for (mode, on_error) in
        [("sequential", "ignore"), ("sequential", "disable"), ("fire_and_forget", "fail")]
    {
        let told = lines(mode, on_error, Answer::fail(HandlerError::new("hunter2"))).await;
        assert!(!told.contains("hunter2"), "{told}");
        let warning = told.lines().find(|line| line.contains(" WARN ")).unwrap();
        for part in ["plugin=\"Guard\"", "hook=\"tool_pre_invoke\"", "reason=\"plugin_error\""] {
            assert!(warning.contains(part), "{warning}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_inside_an_error_is_no_error_in_the_spans() {
    let answer =
        || Answer::deny_beside_error(PluginViolation::new("NO"), HandlerError::new("broken"));
    let told = lines("sequential", "fail", answer()).await;
    assert!(told.contains("outcome=\"denied\""), "{told}");
    assert!(!told.contains("ERROR") && !told.contains("error.type"), "{told}");
}
