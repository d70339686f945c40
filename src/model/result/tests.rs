use std::time::Duration;

use serde_json::json;

use super::*;

fn read(json: Value) -> Result<PluginResult<Value>, serde_json::Error> {
    serde_json::from_value(json)
}

#[test]
fn a_missing_continue_processing_is_an_error() {
    let error = read(json!({"modified_payload": {}})).unwrap_err();
    assert!(error.to_string().contains("continue_processing"), "{error}");
}

#[test]
fn a_null_continue_processing_is_an_error() {
    assert!(read(json!({"continue_processing": null})).is_err());
}

#[test]
fn a_continue_processing_that_is_no_boolean_is_an_error() {
    for wrong in [json!(1), json!("true"), json!({})] {
        assert!(read(json!({"continue_processing": wrong})).is_err());
    }
}

#[test]
fn other_keys_may_be_absent() {
    assert_eq!(read(json!({"continue_processing": true})).unwrap(), PluginResult::allow());
}

#[test]
fn other_keys_may_be_null() {
    let read = read(json!({
        "continue_processing": true, "modified_payload": null, "modified_extensions": null,
        "violation": null, "metadata": null, "denial_metadata": null, "http_headers": null,
        "retry_delay_ms": null, "executions": null,
    }));
    assert_eq!(read.unwrap(), PluginResult::allow());
}

#[test]
fn unknown_keys_are_ignored() {
    let read = read(json!({"continue_processing": true, "added_later": [1]}));
    assert_eq!(read.unwrap(), PluginResult::allow());
}

#[test]
fn every_key_of_the_reference_is_written() {
    assert_eq!(
        serde_json::to_value(PluginResult::<Value>::allow()).unwrap(),
        json!({
            "continue_processing": true, "modified_payload": null, "modified_extensions": null,
            "violation": null, "metadata": {}, "denial_metadata": null, "http_headers": null,
            "retry_delay_ms": 0, "executions": [],
        })
    );
}

#[test]
fn a_full_result_survives_json() {
    let mut result =
        PluginResult::deny(PluginViolation::new("C").with_reason("r").with_description("d"))
            .with_metadata([("k".to_owned(), json!(1))].into_iter().collect())
            .with_denial_metadata([("hits", 3_i64)].into_iter().collect())
            .with_http_headers([("X".to_owned(), "y".to_owned())].into())
            .with_modified_extensions(json!({"labels": ["pii"]}))
            .with_retry_delay(Duration::from_millis(250));
    result.modified_payload = Some(json!({"name": "search"}));
    result.executions = vec![json!({"status": "ok"})];
    assert_eq!(read(serde_json::to_value(&result).unwrap()).unwrap(), result);
}

#[test]
fn only_continue_processing_decides_whether_a_request_may_go_on() {
    assert!(PluginResult::<()>::allow().is_allowed());
    assert!(PluginResult::modify(1).is_allowed());
    assert!(
        !PluginResult::<()>::deny(PluginViolation::new("C").with_reason("r").with_description("d"))
            .is_allowed()
    );
    let silent_denial = read(json!({"continue_processing": false})).unwrap();
    assert!(!silent_denial.is_allowed());
}

#[test]
fn bad_metrics_do_not_spoil_a_verdict() {
    let read = read(json!({"continue_processing": false, "denial_metadata": "nonsense"})).unwrap();
    assert!(read.denial_metadata.unwrap().is_empty());
}

#[test]
fn debug_output_shows_the_verdict_and_sizes_only() {
    let mut result =
        PluginResult::modify(json!("hunter2")).with_modified_extensions(json!({"a": "hunter2"}));
    result.metadata.insert("hunter2".to_owned(), Value::Null);
    assert_eq!(
        format!("{result:?}"),
        "PluginResult { continue_processing: true, modified: true, violation: None, \
         retry_delay_ms: 0, denial_metadata: None, metadata: 1 key, http_headers: None, \
         modified_extensions: 1 key, executions: 0 items }"
    );
}

#[test]
fn an_overruled_denial_allows_and_keeps_its_change_but_no_violation() {
    let denied = read(json!({
        "continue_processing": false, "modified_payload": 7, "violation": {"code": "NO"},
        "metadata": {"k": 1},
    }));
    let expected = PluginResult::modify(json!(7))
        .with_metadata([("k".to_owned(), json!(1))].into_iter().collect());
    assert_eq!(denied.unwrap().overrule(), expected);
}
