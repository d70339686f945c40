//! What the errors of encoding and decoding say: where and what, never a value.

use serde::Deserialize;
use serde_json::json;

use super::{encode, encode_raw, read_struct};

#[test]
fn errors_never_quote_the_value() {
    let bytes = encode_raw(&json!({"n": "my secret"}));
    #[derive(Debug, Deserialize)]
    struct Integer {
        #[allow(dead_code)]
        n: i64,
    }
    let error = read_struct::<Integer>(&bytes).unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
    assert!(error.contains("a string"), "{error}");
}

/// `deny_unknown_fields` had serde quote a key of the reply.
#[test]
fn errors_never_quote_a_key_or_a_variant() {
    #[derive(Debug, Deserialize)]
    enum Word {
        Known,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Strict {
        word: Option<Word>,
        pair: Option<(u8, u8)>,
    }
    for (value, told) in [
        (json!({"secret": 1}), "found an unknown field, expected one of [\"word\", \"pair\"]"),
        (json!({"word": "secret"}), "found an unknown variant, expected one of [\"Known\"]"),
        (json!({"word": {"secret": 1}}), "found an unknown variant, expected one of [\"Known\"]"),
        (json!({"pair": [1]}), "found 1 items, expected a tuple of size 2"),
        (json!({"pair": [1, 2, 3]}), "found more than 2 items"),
    ] {
        let error = read_struct::<Strict>(&encode_raw(&value)).unwrap_err();
        assert_eq!(error.to_string(), told, "{error:?}");
    }
    assert!(matches!(
        read_struct::<Strict>(&encode_raw(&json!({"word": "Known"}))).unwrap().word,
        Some(Word::Known)
    ));
}

#[test]
fn a_types_own_message_is_passed_on_in_display_and_not_in_debug() {
    #[derive(Debug)]
    struct Picky;
    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("no `secret` here"))
        }
    }
    impl serde::Serialize for Picky {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no `secret` here"))
        }
    }
    let error = read_struct::<Picky>(&encode_raw(&json!({}))).unwrap_err();
    assert_eq!(error.to_string(), "its type's `Deserialize` failed: no `secret` here");
    assert_eq!(format!("{error:?}"), "Custom(16 bytes)");
    let error = encode(&Picky).unwrap_err();
    assert_eq!(error.to_string(), "its type's `Serialize` failed: no `secret` here");
    assert_eq!(format!("{error:?}"), "Custom(16 bytes)");
}
