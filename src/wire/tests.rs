//! prost is the judge: what ours writes it reads, what it writes ours reads.

mod errors;

use proptest::prelude::*;
use prost::Message as _;
use prost_types::value::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::structpb::ser::write_struct;
use super::structpb::writer::Writer;
use super::{BigIntegers, Budget, DecodeError, EncodeError, read_any_layout};
use crate::model::Object;

#[cfg(feature = "compile-schema")]
#[test]
fn the_messages_that_are_kept_are_those_of_the_schema() {
    let compiled = include_str!(concat!(env!("OUT_DIR"), "/cpex.rs"));
    expect_test::expect_file!["proto.rs"].assert_eq(compiled);
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    encode_with(value, BigIntegers::Refuse)
}

fn encode_with<T: Serialize + ?Sized>(
    value: &T,
    big_integers: BigIntegers,
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_capacity(0);
    writer.big_integers(big_integers);
    // As a payload stands in its request: one level down.
    writer.begin(0x1a)?;
    write_struct(&mut writer, value)?;
    writer.end(1);
    let message = writer.into_message();
    let request = super::proto::InvokeHookRequest::decode(&message[..]).unwrap();
    Ok(request.payload.unwrap_or_default().encode_to_vec())
}

fn encode_raw(value: &Value) -> Vec<u8> {
    let mut writer = Writer::with_capacity(0);
    write_struct(&mut writer, value).unwrap();
    writer.into_message()
}

fn decode<T: serde::de::DeserializeOwned>(message: &[u8]) -> Result<T, DecodeError> {
    read_any_layout::<prost_types::Struct, _>(message, |message, budget| {
        super::structpb::de::read_struct(message, budget)
    })
}

/// The layout must be the usual one.
fn read_struct<'de, T: Deserialize<'de>>(message: &'de [u8]) -> Result<T, DecodeError> {
    super::structpb::de::read_struct(message, &Budget::of(message.len()))
}

fn to_prost(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
        Value::String(value) => Kind::StringValue(value.clone()),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.iter().map(to_prost).collect(),
        }),
        Value::Object(object) => Kind::StructValue(to_prost_struct(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn to_prost_struct(object: &Map<String, Value>) -> prost_types::Struct {
    prost_types::Struct {
        fields: object.iter().map(|(key, value)| (key.clone(), to_prost(value))).collect(),
    }
}

/// Numbers as the wire has them: 5.0 and 5 are the same.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().unwrap();
            let exact = float.trunc() == float && float.abs() <= 9_007_199_254_740_992.0;
            if exact && !(float == 0.0 && float.is_sign_negative()) {
                json!(float as i64)
            } else {
                json!(float)
            }
        }
        Value::Array(values) => values.iter().map(normal).collect(),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(k, v)| (k.clone(), normal(v))).collect())
        }
        other => other.clone(),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..=1 << 53).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        (120_usize..140).prop_map(|n| Value::from("x".repeat(n))),
        Just(Value::from("long".repeat(5000))),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::btree_map(prop_oneof![any_key(), ".{0,6}"], inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Keys are short; but nothing keeps a caller from long ones.
fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z]{0,6}",
        1 => (100_usize..150).prop_map(|n| "k".repeat(n)),
        1 => prop_oneof![2040_usize..2060, 16_370_usize..16_390].prop_map(|n| "k".repeat(n)),
    ]
}

fn any_object() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(any_key(), any_json(), 0..8)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn any_object_survives_the_way_there_and_back(object in any_object()) {
        let back: Value = read_struct(&encode_raw(&object)).unwrap();
        prop_assert_eq!(back, normal(&object));
    }

    #[test]
    fn prost_reads_what_ours_writes(object in any_object()) {
        let ours = prost_types::Struct::decode(&encode_raw(&object)[..]).unwrap();
        prop_assert_eq!(ours, to_prost_struct(object.as_object().unwrap()));
    }

    #[test]
    fn ours_reads_what_prost_writes(object in any_object()) {
        let theirs = to_prost_struct(object.as_object().unwrap()).encode_to_vec();
        prop_assert_eq!(decode::<Value>(&theirs).unwrap(), normal(&object));
    }

    /// Two encodings one after the other are, in protobuf, their merger: keys of
    /// the second win. prost says what that is.
    #[test]
    fn a_concatenation_is_read_as_the_merger(first in any_object(), second in any_object()) {
        let bytes = [encode_raw(&first), encode_raw(&second)].concat();
        let merged = prost_types::Struct::decode(&bytes[..]).unwrap();
        let expected: Value = read_struct(&merged.encode_to_vec()).unwrap();
        prop_assert_eq!(decode::<Value>(&bytes).unwrap(), expected);
    }

    /// Bytes are accepted or refused, without panic; and where prost accepts
    /// them too, both mean the same.
    #[test]
    fn arbitrary_bytes_mean_what_prost_says_or_nothing(bytes: Vec<u8>) {
        if let (Ok(ours), Ok(theirs)) =
            (decode::<Value>(&bytes), prost_types::Struct::decode(&bytes[..]))
        {
            let expected: Value = read_struct(&theirs.encode_to_vec()).unwrap();
            prop_assert_eq!(ours, expected);
        }
    }

    #[test]
    fn a_message_with_one_byte_changed_does_no_harm(
        object in any_object(), at: prop::sample::Index, byte: u8,
    ) {
        let mut bytes = encode_raw(&object);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode::<Value>(&bytes);
            let _ = decode::<Value>(&bytes[..at]);
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: i8,
    large: u64,
    float: f32,
    letter: char,
    text: String,
    nothing: Option<i32>,
    something: Option<i32>,
    unit: (),
    pair: (u8, String),
    list: Vec<Choice>,
    by_number: std::collections::BTreeMap<u16, bool>,
    wrapped: Wrapper,
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapper(i64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: Option<Box<Choice>> },
}

#[test]
fn every_shape_of_serde_survives_and_reads_like_json() {
    let value = Everything {
        flag: true,
        small: -7,
        large: 1 << 53,
        float: 0.5,
        letter: 'ß',
        text: "x".repeat(3000),
        nothing: None,
        something: Some(5),
        unit: (),
        pair: (1, String::new()),
        list: vec![
            Choice::Unit,
            Choice::Newtype(1),
            Choice::Tuple(1, 2),
            Choice::Struct { a: Some(Box::new(Choice::Struct { a: None })) },
        ],
        by_number: [(7, true)].into(),
        wrapped: Wrapper(-1),
        bytes: vec![0, 255],
    };
    let bytes = encode(&value).unwrap();
    assert_eq!(decode::<Everything>(&bytes).unwrap(), value);
    let json = serde_json::to_value(&value).unwrap();
    assert_eq!(decode::<Value>(&bytes).unwrap(), normal(&json));
}

#[test]
fn an_integral_double_is_an_integer_for_who_wants_one() {
    let bytes = to_prost_struct(json!({"n": 5.0}).as_object().unwrap()).encode_to_vec();
    #[derive(Deserialize)]
    struct Integer {
        n: i64,
    }
    assert_eq!(decode::<Integer>(&bytes).unwrap().n, 5);
    assert_eq!(decode::<Value>(&bytes).unwrap().to_string(), r#"{"n":5}"#);
}

#[test]
fn nan_and_infinities_are_refused() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(
            encode(&[("n", number)].into_iter().collect::<Floats>()),
            Err(EncodeError::NotFinite)
        );
    }
}

type Floats = std::collections::BTreeMap<&'static str, f64>;

#[test]
fn integers_beyond_2_to_the_53_are_refused_unless_rounding_is_allowed() {
    for integer in [json!((1_i64 << 53) + 1), json!(-(1_i64 << 53) - 1), json!(u64::MAX)] {
        let object = json!({"n": integer});
        assert_eq!(encode(&object), Err(EncodeError::BigInteger));
        let rounded = encode_with(&object, BigIntegers::Round).unwrap();
        let back: Object = decode(&rounded).unwrap();
        assert_eq!(back["n"].as_f64(), integer.as_f64());
    }
}

#[test]
fn only_an_object_can_be_a_payload() {
    for value in [json!(null), json!(1), json!("x"), json!([])] {
        assert_eq!(encode(&value), Err(EncodeError::NotAnObject));
    }
}

fn nest(levels: usize, leaf: Value) -> Value {
    (0..levels).fold(leaf, |inner, _| json!({"k": inner}))
}

#[test]
fn objects_nest_31_deep_below_the_top_level_field_and_not_32() {
    for leaf in [json!(1), json!("x"), json!({})] {
        let innermost = usize::from(leaf.is_object());
        let payload = |below: usize| json!({"args": nest(below + 1 - innermost, leaf.clone())});
        assert!(encode(&payload(31)).is_ok());
        let Err(EncodeError::TooDeep { depth, limit }) = encode(&payload(32)) else {
            panic!("32 objects below args were accepted");
        };
        assert_eq!((depth, limit), (32, 100));
    }
}

#[test]
fn lists_nest_47_deep_in_args_and_not_48() {
    let lists = |count| (0..count).fold(json!(1), |inner, _| json!([inner]));
    assert!(encode(&json!({"args": {"k": lists(47)}})).is_ok());
    assert!(matches!(encode(&json!({"args": {"k": lists(48)}})), Err(EncodeError::TooDeep { .. })));
}

#[test]
fn a_reply_may_nest_deeper_than_a_request_but_not_without_end() {
    let nested = |levels| {
        let mut bytes = Vec::new();
        for _ in 0..levels {
            let mut value = vec![0x2a];
            prost::encoding::encode_varint(bytes.len() as u64, &mut value);
            value.extend_from_slice(&bytes);
            let mut entry = vec![0x12];
            prost::encoding::encode_varint(value.len() as u64, &mut entry);
            entry.extend_from_slice(&value);
            bytes = vec![0x0a];
            prost::encoding::encode_varint(entry.len() as u64, &mut bytes);
            bytes.extend_from_slice(&entry);
        }
        bytes
    };
    assert!(read_struct::<Value>(&nested(50)).is_ok());
    assert_eq!(read_struct::<Value>(&nested(10_000)), Err(DecodeError::TooDeep));
}

#[test]
fn unknown_fields_are_skipped_and_overlong_varints_are_read() {
    // {"a": true}, the entry's length in an overlong form, an unknown field 9 behind it.
    let bytes = [0x0a, 0x87, 0x00, 0x0a, 0x01, b'a', 0x12, 0x02, 0x20, 0x01, 0x48, 0x05];
    assert_eq!(decode::<Value>(&bytes), Ok(json!({"a": true})));
}

/// The place of an entry was taken down before its long key moved it.
#[test]
fn a_long_key_at_any_depth_is_read_back() {
    for length in [127, 128, 2047, 2048, 5000, 16_383, 16_384, 70_000] {
        let key = "k".repeat(length);
        let object = json!({"a": {&key: {"b": {&key: 1}}}, &key: [{&key: "x"}], "z": 1});
        let bytes = encode(&object).unwrap();
        assert_eq!(decode::<Value>(&bytes).unwrap(), object, "{length}");
    }
}

/// The last entry of a key wins, also over one that would not fit.
// Promise: C5
#[test]
fn of_two_entries_with_one_key_the_last_counts_whatever_the_first_was() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Counted {
        count: u32,
        name: String,
    }
    let misfit = encode(&json!({"count": "many", "name": "x"})).unwrap();
    let fits = encode(&json!({"name": "y", "count": 3})).unwrap();
    let both = [misfit.clone(), fits].concat();
    assert_eq!(decode::<Counted>(&both), Ok(Counted { count: 3, name: "y".into() }));
    assert!(matches!(decode::<Counted>(&misfit), Err(DecodeError::Shape(_))));
}

/// The last member of a oneof wins, also over a null before it.
#[test]
fn an_option_is_none_only_where_prost_says_null() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Optional {
        o: Option<String>,
    }
    let read = |value: &[u8]| {
        let mut bytes = vec![0x0a, value.len() as u8 + 5, 0x0a, 1, b'o', 0x12, value.len() as u8];
        bytes.extend_from_slice(value);
        decode::<Optional>(&bytes)
    };
    assert_eq!(read(&[0x08, 0]), Ok(Optional { o: None }));
    assert_eq!(read(&[]), Ok(Optional { o: None }));
    assert_eq!(read(&[0x08, 0, 0x1a, 1, b'x']), Ok(Optional { o: Some("x".into()) }));
    assert!(read(&[0x08, 0x80]).is_err());
}
