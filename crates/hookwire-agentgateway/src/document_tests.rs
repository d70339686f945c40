use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

/// What `text` becomes where a plugin that saw it answers `answer`.
fn updated(text: &str, answer: Value) -> (String, bool) {
    let mut document = Document::parse(text.as_bytes()).unwrap();
    let before = document.to_object().unwrap();
    let changed = document.update(&before, object(answer)).unwrap();
    (String::from_utf8(document.to_bytes().unwrap().into()).unwrap(), changed)
}

#[test]
fn what_nobody_changed_stays_byte_for_byte() {
    let text = r#"{"z":1.0,"a":{"y":1e3,"x":"\u0041"},"b":9007199254740993,"q":"old"}"#;
    let (same, changed) = updated(
        text,
        json!({"z": 1, "a": {"y": 1000, "x": "A"}, "b": 9_007_199_254_740_992_u64, "q": "old"}),
    );
    assert_eq!((same.as_str(), changed), (text, false));
    let (new, changed) = updated(
        text,
        json!({"z": 1, "a": {"y": 1000, "x": "A"}, "b": 9_007_199_254_740_992_u64, "q": "new"}),
    );
    assert_eq!(new, text.replace("old", "new"));
    assert!(changed);
}

#[test]
fn fields_come_and_go() {
    let (text, changed) = updated(r#"{"a":1,"b":2}"#, json!({"b": 2, "c": 3}));
    assert_eq!((text.as_str(), changed), (r#"{"b":2,"c":3}"#, true));
    assert_eq!(updated(r#"{"a":1,"b":2}"#, json!({"b": 2})), (r#"{"b":2}"#.to_owned(), true));
}

#[test]
fn inside_a_changed_field_numbers_that_a_plugin_left_alone_keep_their_digits() {
    let (text, _) = updated(
        r#"{"a":[{"id":9007199254740993,"f":3.0,"t":"old"}]}"#,
        json!({"a": [{"id": 9_007_199_254_740_992_u64, "f": 3, "t": "new"}]}),
    );
    let a: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(a, json!({"a": [{"id": 9_007_199_254_740_993_u64, "f": 3.0, "t": "new"}]}));
    // Of a list that is longer or shorter, nobody can tell.
    let (text, _) = updated(r#"{"a":[1.0,2.0]}"#, json!({"a": [2]}));
    assert_eq!(text, r#"{"a":[2]}"#);
}

#[test]
fn an_object_with_a_field_twice_is_no_object() {
    let error = Document::parse(br#"{"name":"search","name":"shell"}"#).unwrap_err();
    assert!(error.to_string().starts_with("a field twice"));
    for text in ["[]", "1", "\"a\"", "null", "", "{", "{}{}"] {
        assert!(Document::parse(text.as_bytes()).is_err(), "{text}");
    }
}
