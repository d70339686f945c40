//! What a plugin's server says, or does not.

use fault_server::{FaultServer, Request, config_reply, frame};
use hookwire::config::{OnError, PluginMode};
use hookwire::server::PluginInfo;
use serde_json::json;

use super::{GUARD, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h29_a_server_whose_mode_or_on_error_lets_pass_is_told_with_both_values() {
    let site = Site::new();
    let info = PluginInfo::new("Guard").with_mode(PluginMode::Audit).with_on_error(OnError::Ignore);
    let _server = site.serve(info).await;
    let diagnosis = site.guard(GUARD).await;
    diagnosis.fails(&[
        "`sequential` here and `audit` on the server",
        "set `mode: sequential` in the server's own entry",
    ]);
    diagnosis.fails(&[
        "`fail` here and `ignore` on the server",
        "set `on_error: fail` in the server's own entry",
    ]);
    assert!(diagnosis.plain.stdout.ends_with("\n1 guard would not guard\n"));
}

/// The gateway would refuse every call: what it refuses them for is told, not only that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h29_a_strict_entry_is_told_what_makes_its_server_weaker() {
    let site = Site::new();
    let _server = site.serve(PluginInfo::new("Guard").with_mode(PluginMode::Transform)).await;
    site.guard_with(GUARD, "verify: strict")
        .await
        .fails(&["`sequential` here and `transform` on the server", "set `mode: sequential`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_user_who_is_not_expected_is_told() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    site.guard_with(GUARD, "peer_uids: [54321]").await.fails(&[
        "the plugin's server is not trusted",
        "expected 54321",
        "`peer_uids`",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h30_a_server_that_does_not_answer_the_question_is_told() {
    let deaf = FaultServer::deaf();
    Site::new().guard_at(&deaf.path(), GUARD).await.fails(&[
        "the server's own entry is not known",
        "no reply within 1s",
        "see whether the server hangs",
    ]);
    let closing = FaultServer::start(|mut connection| async move {
        connection.request().await?;
        Ok(())
    });
    Site::new().guard_at(&closing.path(), GUARD).await.fails(&[
        "the server's own entry is not known",
        "the connection was lost",
        "look at the server's log",
    ]);
}

/// It answers as every server does to what it does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_for_the_question_is_told() {
    let old = FaultServer::start(|mut connection| async move {
        loop {
            connection.request().await?;
            connection.answer(&Request::Unknown(Vec::new())).await?;
        }
    });
    Site::new().guard_at(&old.path(), GUARD).await.fails(&[
        "the server tells of no plugin at all: it has none, or is too old to know the question",
        "update the server",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_speaks_something_else_is_told() {
    let other = FaultServer::start(|mut connection| async move {
        connection.bytes(4).await?;
        connection.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        connection.stall().await
    });
    Site::new()
        .guard_at(&other.path(), GUARD)
        .await
        .fails(&["the server's own entry is not known", "see that a plugin server listens there"]);
}

/// "Not found", with an entry all the same: the reference server could not write all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h33_an_entry_that_the_server_could_not_write_in_full_is_told() {
    let server = FaultServer::start(|mut connection| async move {
        loop {
            connection.request().await?;
            // Without `found`, which is its first field.
            let found = config_reply("Guard", &["tool_pre_invoke"]);
            connection.raw(&frame(&found[2..])).await?;
        }
    });
    let diagnosis = Site::new().guard_at(&server.path(), GUARD).await;
    diagnosis.tells("WARN", &["could not write a value of the plugin's own `config`", "in quotes"]);
    diagnosis
        .fails(&["the server's own value, which acts first, could not be read", "look at `mode`"]);
    // What is not asked for here cannot be weaker there.
    let diagnosis = Site::new().guard_at(&server.path(), "tags: []").await;
    diagnosis.tells("WARN", &["could not write a value"]);
    assert_eq!(diagnosis.plain.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_another_case_is_told_with_the_servers() {
    let site = Site::new();
    let _server = site.serve("guard").await;
    site.guard(GUARD)
        .await
        .fails(&["knows this plugin as `guard`", "write the name as the server has it"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_the_server_does_not_know_is_told_with_those_that_it_does() {
    let site = Site::new();
    let _server = site.serve("Other").await;
    site.guard(GUARD).await.fails(&[
        "does not know the plugin",
        "it has `Other`",
        "correct `name` here",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misspelt_hook_is_told_with_the_one_that_was_meant() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    site.guard("hooks: [tool_pre_invok]")
        .await
        .fails(&["`hooks` names `tool_pre_invok` here", "write `tool_pre_invoke` under `hooks`"]);
    site.guard("hooks: [tool_post_invoke]")
        .await
        .fails(&["`hooks` names `tool_post_invoke` here", "let the plugin serve it"]);
}

/// The server knows the plugin, and tells nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misspelt_hook_is_told_where_the_server_does_not_tell_its_own() {
    let server = FaultServer::start(|mut connection| async move {
        loop {
            connection.request().await?;
            connection.raw(&frame(&[0x08, 0x01])).await?;
        }
    });
    Site::new()
        .guard_at(&server.path(), "hooks: [tool_pre_invok]")
        .await
        .fails(&["no such hook is registered", "write `tool_pre_invoke` under `hooks`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_deny_is_warned_of_what_its_server_does_not_serve() {
    let site = Site::new();
    let _server = site.serve("Guard").await;
    let diagnosis = site.guard("mode: audit, hooks: [tool_post_invoke]").await;
    diagnosis.tells("WARN", &["`hooks` names `tool_post_invoke` here"]);
    assert_eq!(diagnosis.plain.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_without_hooks_is_told() {
    let site = Site::new();
    let _server = site.serve(PluginInfo::new("Guard").with_hooks(vec![])).await;
    site.guard("tags: []").await.fails(&["neither side names a hook", "name its `hooks`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_either_side_has_disabled_is_told() {
    let site = Site::new();
    let _server = site.serve(PluginInfo::new("Guard").with_mode(PluginMode::Disabled)).await;
    let diagnosis = site.guard(GUARD).await;
    diagnosis.fails(&[
        "`sequential` here and `disabled` on the server",
        "or write `mode: disabled` here too",
    ]);
    let told = diagnosis.json.json()["plugins"][0]["findings"].as_array().unwrap().len();
    assert_eq!(told, 1, "{:?}", diagnosis.json);
    site.guard("tags: []").await.fails(&["disabled on its server", "set its mode on the server"]);
    // Both sides agree.
    let diagnosis = site.guard("mode: disabled").await;
    diagnosis.tells("note", &["`mode` is `disabled` here"]);
    assert_eq!(diagnosis.plain.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_on_the_server_are_not_shown() {
    let site = Site::new();
    let config = json!({"key": "hunter2"}).as_object().cloned().unwrap();
    let info = PluginInfo::new("Guard").with_mode(PluginMode::Audit).with_config(config);
    let _server = site.serve(info).await;
    let diagnosis = site.guard(GUARD).await;
    diagnosis.fails(&["never lets it deny"]);
    for run in [&diagnosis.plain, &diagnosis.json] {
        assert!(!format!("{run:?}").contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_on_the_server_is_noted() {
    let site = Site::new();
    let _server = site.serve(PluginInfo::new("Guard").with_version("2.0")).await;
    let diagnosis = site.guard("version: '1.0'").await;
    diagnosis.tells("note", &["is for version 1.0, on the server is 2.0", "correct `version`"]);
    assert_eq!(diagnosis.plain.code, Some(0));
    assert!(site.guard("version: '2.0'").await.has_no_findings());
}
