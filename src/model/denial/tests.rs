use serde_json::json;

use super::*;

fn read(json: Value) -> DenialMetadata {
    serde_json::from_value(json).unwrap()
}

fn numbered(count: i64) -> impl Iterator<Item = (String, i64)> {
    (0..count).map(|n| (format!("m{n}"), n))
}

#[test]
fn sixteen_metrics_are_kept_and_seventeen_dropped_as_a_whole() {
    assert_eq!(numbered(16).collect::<DenialMetadata>().len(), 16);
    assert!(numbered(17).collect::<DenialMetadata>().is_empty());
}

/// The limit counts what arrived, not what is left: as the reference does.
#[test]
fn invalid_entries_count_towards_the_limit() {
    let mut map: crate::model::Object = numbered(16).map(|(k, v)| (k, json!(v))).collect();
    map.insert("text".to_owned(), json!("x"));
    assert!(read(Value::Object(map)).is_empty());
}

#[test]
fn an_invalid_entry_is_dropped_alone() {
    let metrics = read(json!({"ok": 1, "text": "x", "null": null, "list": [1], "map": {}}));
    assert_eq!(metrics, [("ok", 1)].into_iter().collect());
}

#[test]
fn a_name_is_1_to_64_of_the_allowed_characters() {
    let longest = "a".repeat(64);
    for good in ["a", "A-Z.a_z-09", longest.as_str()] {
        assert_eq!([(good, true)].into_iter().collect::<DenialMetadata>().len(), 1, "{good}");
    }
    let too_long = "a".repeat(65);
    for bad in ["", "a b", "a/b", "é", "a\n", too_long.as_str()] {
        assert!([(bad, true)].into_iter().collect::<DenialMetadata>().is_empty(), "{bad:?}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_dropped() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!([("m", bad)].into_iter().collect::<DenialMetadata>().is_empty());
    }
}

#[test]
fn an_integer_beyond_64_signed_bits_is_dropped() {
    assert!(read(json!({"m": u64::MAX})).is_empty());
    assert_eq!(read(json!({"m": i64::MIN})).get("m"), Some(DenialMetric::Integer(i64::MIN)));
}

#[test]
fn an_entry_without_a_value_is_dropped() {
    let entries = [("a".to_owned(), None), ("b".to_owned(), Some(true.into()))].into();
    assert_eq!(DenialMetadata::sanitize(entries), [("b", true)].into_iter().collect());
}

#[test]
fn what_is_no_map_is_read_as_no_metrics() {
    for wrong in [json!("x"), json!([1]), json!(1)] {
        assert!(read(wrong).is_empty());
    }
}

#[test]
fn metrics_keep_their_types_over_json() {
    let metrics: DenialMetadata = [
        ("b", DenialMetric::Boolean(true)),
        ("f", DenialMetric::Floating(0.5)),
        ("i", DenialMetric::Integer(i64::MAX)),
    ]
    .into_iter()
    .collect();
    let json = serde_json::to_value(&metrics).unwrap();
    assert_eq!(json, json!({"b": true, "f": 0.5, "i": i64::MAX}));
    assert_eq!(read(json), metrics);
    assert_eq!(metrics.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "f", "i"]);
}

#[test]
fn debug_output_shows_how_many_metrics_there_are() {
    let metrics: DenialMetadata = numbered(2).collect();
    assert_eq!(format!("{metrics:?}"), "DenialMetadata(2 keys)");
}
