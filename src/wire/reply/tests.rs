//! Which reply fails its own call alone, and which puts its connection in doubt.

use prost::Message as _;
use serde_json::{Value, json};

use super::*;
use crate::hooks::ToolPreInvokePayload;
use crate::wire::BigIntegers;
use crate::wire::structpb::ser::write_struct;
use crate::wire::structpb::writer::Writer;

const PLUGIN: &str = "Guard";
const STAMP: (u64, u64) = (1, 0xa5);

fn structure(object: &Value) -> prost_types::Struct {
    let mut writer = Writer::with_capacity(256);
    writer.big_integers(BigIntegers::Round);
    write_struct(&mut writer, object).unwrap_or_else(|_| panic!("{object}"));
    prost_types::Struct::decode(&writer.into_message()[..]).unwrap()
}

fn reply(result: Option<&Value>) -> proto::InvokeHookResponse {
    proto::InvokeHookResponse {
        plugin_name: PLUGIN.into(),
        result: result.map(structure),
        ..Default::default()
    }
}

/// A result that allows, with `ornaments`.
fn allow(ornaments: &Value) -> Value {
    let mut result = json!({"continue_processing": true});
    result.as_object_mut().unwrap().extend(ornaments.as_object().unwrap().clone());
    result
}

fn error(error: proto::PluginError) -> proto::InvokeHookResponse {
    proto::InvokeHookResponse { error: Some(error), ..reply(None) }
}

/// The reply's context, of this request and with these metadata.
fn context(request_id: &str, metadata: &Value) -> Option<proto::PluginContext> {
    Some(proto::PluginContext {
        global_context: Some(proto::GlobalContext {
            request_id: request_id.into(),
            ..Default::default()
        }),
        metadata: Some(structure(metadata)),
        ..Default::default()
    })
}

fn read_with<P: DeserializeOwned>(
    reply: &proto::InvokeHookResponse,
    stamp: Option<&Stamp>,
) -> Result<HookReply<P>, ReplyFault> {
    hook_reply(&reply.encode_to_vec(), Expected { plugin: PLUGIN, request_id: "1", stamp })
}

fn read<P: DeserializeOwned>(
    reply: &proto::InvokeHookResponse,
) -> Result<HookReply<P>, ReplyFault> {
    read_with(reply, None)
}

fn is_unfit<P>(reply: &Result<HookReply<P>, ReplyFault>) -> bool {
    matches!(reply, Err(ReplyFault::Unfit(_)))
}

fn is_denied<P>(reply: &Result<HookReply<P>, ReplyFault>) -> bool {
    matches!(reply, Ok(HookReply::Result(result, _)) if !result.continue_processing)
}

/// What no plugin should put there, and what a type of the caller's then refuses.
const MISFITS: [&str; 6] = [
    r#"{"metadata": []}"#,
    r#"{"retry_delay_ms": 0.5}"#,
    r#"{"http_headers": {"Retry-After": 30}}"#,
    r#"{"violation": {"code": 1}}"#,
    r#"{"violation": "no"}"#,
    r#"{"executions": {}}"#,
];

fn misfits() -> impl Iterator<Item = Value> {
    MISFITS.iter().map(|misfit| serde_json::from_str(misfit).unwrap())
}

// Promise: H6
#[test]
fn h25_a_payload_of_another_type_fails_its_caller_alone() {
    for payload in [json!({"name": 7}), json!({"name": null}), json!([1]), json!({"args": {}})] {
        let odd = reply(Some(&allow(&json!({"modified_payload": payload}))));
        assert!(is_unfit(&read::<ToolPreInvokePayload>(&odd)), "{payload}");
        assert!(matches!(read::<Value>(&odd), Ok(HookReply::Result(..))), "{payload}");
    }
}

// Promise: H6
#[test]
fn h25_other_parts_of_another_type_fail_their_caller_alone_typed_and_by_name() {
    for misfit in misfits() {
        let odd = reply(Some(&allow(&misfit)));
        assert!(is_unfit(&read::<ToolPreInvokePayload>(&odd)), "{misfit}");
        assert!(is_unfit(&read::<Value>(&odd)), "{misfit}");
    }
}

// Promise: H6
#[test]
fn h25_a_denial_with_such_parts_stays_a_denial() {
    for misfit in misfits().chain([json!({"modified_payload": {"name": 7}})]) {
        let mut denial = allow(&misfit);
        denial["continue_processing"] = json!(false);
        let odd = reply(Some(&denial));
        assert!(is_denied(&read::<ToolPreInvokePayload>(&odd)), "{misfit}");
        assert!(is_denied(&read::<Value>(&odd)), "{misfit}");
    }
}

// Promise: H6
#[test]
fn h25_the_words_of_the_callers_type_are_kept() {
    #[derive(Debug)]
    struct Picky;
    impl<'de> serde::Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("never enough"))
        }
    }
    let fault = read::<Picky>(&reply(Some(&allow(&json!({"modified_payload": 1}))))).unwrap_err();
    let ReplyFault::Unfit(DecodeError::Custom(words)) = fault else { panic!("{fault:?}") };
    assert_eq!(words.to_string(), "never enough");
}

// Promise: H6
#[test]
fn a_misfit_without_a_verdict_puts_the_connection_in_doubt() {
    for verdict in [json!(null), json!("true"), json!(1)] {
        for misfit in misfits() {
            let mut result = allow(&misfit);
            result["continue_processing"] = verdict.clone();
            let odd = reply(Some(&result));
            for fault in
                [read::<ToolPreInvokePayload>(&odd).unwrap_err(), read::<Value>(&odd).unwrap_err()]
            {
                assert!(matches!(fault, ReplyFault::Undecodable(_)), "{verdict} {misfit}");
            }
        }
    }
    let silent = reply(Some(&json!({"modified_payload": {"name": 7}})));
    let fault = read::<ToolPreInvokePayload>(&silent).unwrap_err();
    assert!(matches!(fault, ReplyFault::Undecodable(_)), "{fault:?}");
}

// Promise: H6
#[test]
fn a_misfit_in_anothers_name_or_with_anothers_context_puts_the_connection_in_doubt() {
    let odd = reply(Some(&allow(&json!({"modified_payload": {"name": 7}}))));
    let named = proto::InvokeHookResponse { plugin_name: "Other".into(), ..odd.clone() };
    let fault = read::<ToolPreInvokePayload>(&named).unwrap_err();
    assert_eq!(fault, ReplyFault::Mismatch { field: "plugin_name" });
    let foreign = proto::InvokeHookResponse { context: context("2", &json!({})), ..odd.clone() };
    let fault = read::<ToolPreInvokePayload>(&foreign).unwrap_err();
    assert_eq!(fault, ReplyFault::Mismatch { field: "request_id" });
    let own = proto::InvokeHookResponse { context: context("1", &json!({})), ..odd };
    assert!(is_unfit(&read::<ToolPreInvokePayload>(&own)));
}

// Promise: H6
#[test]
fn a_misfit_must_bring_its_stamp_back_too() {
    let stamp = Stamp::new(STAMP.0, STAMP.1);
    let odd = reply(Some(&allow(&json!({"modified_payload": {"name": 7}}))));
    let with = |metadata: Value| {
        let reply = proto::InvokeHookResponse { context: context("1", &metadata), ..odd.clone() };
        read_with::<ToolPreInvokePayload>(&reply, Some(&stamp))
    };
    let own = json!({crate::model::STAMP_KEY: "000000000000000100000000000000a5"});
    let others = json!({crate::model::STAMP_KEY: "000000000000000200000000000000a5"});
    assert!(is_unfit(&with(own)));
    assert_eq!(with(others).unwrap_err(), ReplyFault::Mismatch { field: "stamp" });
    assert_eq!(with(json!({})).unwrap_err(), ReplyFault::Unproven);
    let bare = read_with::<ToolPreInvokePayload>(&odd, Some(&stamp)).unwrap_err();
    assert_eq!(bare, ReplyFault::Unproven);
}

/// A map of maps that nests deeper than anything that is read.
fn too_deep() -> prost_types::Struct {
    (0..80).fold(prost_types::Struct::default(), |inner, _| {
        let kind = Some(prost_types::value::Kind::StructValue(inner));
        let value = prost_types::Value { kind };
        prost_types::Struct { fields: [("in".to_owned(), value)].into() }
    })
}

/// The stamp may be in what was not read.
#[test]
fn a_context_that_is_a_misfit_proves_nothing_where_a_stamp_was_sent() {
    let stamp = Stamp::new(STAMP.0, STAMP.1);
    let mut odd = reply(Some(&allow(&json!({}))));
    odd.context = context("1", &json!({}));
    let context = odd.context.as_mut().unwrap();
    context.metadata = Some(too_deep());
    let unproven = read_with::<Value>(&odd, Some(&stamp)).unwrap_err();
    assert!(matches!(unproven, ReplyFault::Undecodable(_)), "{unproven:?}");
    assert!(is_unfit(&read::<Value>(&odd)), "without a stamp it is the plugin's answer");
}

/// The type gives up before it comes to them.
// Promise: H6
#[test]
fn a_misfit_before_bytes_that_are_no_protobuf_puts_the_connection_in_doubt() {
    let mut result = structure(&allow(&json!({"retry_delay_ms": "soon"}))).encode_to_vec();
    // The entry `z`, whose value is cut off.
    result.extend([0x0a, 7, 0x0a, 1, b'z', 0x12, 2, 0x1a, 9]);
    let mut message = vec![0x0a, 5];
    message.extend(PLUGIN.as_bytes());
    message.push(0x12);
    prost::encoding::encode_varint(result.len() as u64, &mut message);
    message.extend(result);
    let expected = Expected { plugin: PLUGIN, request_id: "1", stamp: None };
    let fault = hook_reply::<ToolPreInvokePayload>(&message, expected).unwrap_err();
    assert!(matches!(fault, ReplyFault::Undecodable(DecodeError::Malformed(_))), "{fault:?}");
}

/// The reference tells of a message that it does not know without a name; nothing else may come
/// so, and that not in another's.
#[test]
fn a_reply_without_a_name_is_this_plugins_only_where_the_message_was_not_known() {
    let unknown = proto::PluginError { code: UNKNOWN_MESSAGE.into(), ..Default::default() };
    let named = |name: &str, reply: proto::InvokeHookResponse| {
        read::<Value>(&proto::InvokeHookResponse { plugin_name: name.into(), ..reply })
    };
    assert!(matches!(named("", error(unknown.clone())), Ok(HookReply::Fault(_))));
    let mismatch = ReplyFault::Mismatch { field: "plugin_name" };
    assert_eq!(named("Other", error(unknown)).unwrap_err(), mismatch);
    assert_eq!(named("", reply(Some(&allow(&json!({}))))).unwrap_err(), mismatch);
    assert_eq!(named("", error(proto::PluginError::default())).unwrap_err(), mismatch);
}

/// It was an empty reply, whose code was lost and whose connection was closed.
// Promise: H6
#[test]
fn h25_an_error_with_an_empty_message_is_the_plugins_error_and_keeps_its_codes() {
    let coded = proto::PluginError {
        plugin_name: "Inner".into(),
        code: "E_QUOTA".into(),
        mcp_error_code: -32_000,
        details: Some(structure(&json!({"left": 0}))),
        ..Default::default()
    };
    let Ok(HookReply::Fault(fault)) = read::<Value>(&error(coded.clone())) else { panic!() };
    assert_eq!((&*fault.message, &*fault.code, fault.mcp_error_code), ("", "E_QUOTA", -32_000));
    assert_eq!((&*fault.plugin_name, fault.details["left"].as_i64()), ("Inner", Some(0)));
    let typed = read::<ToolPreInvokePayload>(&error(coded));
    assert!(matches!(typed, Ok(HookReply::Fault(typed)) if typed == fault));

    let bare = read::<Value>(&error(proto::PluginError::default()));
    let Ok(HookReply::Fault(bare)) = bare else { panic!() };
    assert_eq!((bare.mcp_error_code, &*bare.plugin_name), (-32_603, PLUGIN));
}

#[test]
fn an_error_with_an_empty_message_wins_over_a_result_that_allows() {
    let both = proto::InvokeHookResponse {
        error: Some(proto::PluginError::default()),
        ..reply(Some(&allow(&json!({}))))
    };
    assert!(matches!(read::<Value>(&both), Ok(HookReply::Fault(_))));
}

#[test]
fn neither_a_result_nor_an_error_is_an_empty_reply() {
    assert_eq!(read::<Value>(&reply(None)).unwrap_err(), ReplyFault::Empty);
    assert_eq!(read::<ToolPreInvokePayload>(&reply(None)).unwrap_err(), ReplyFault::Empty);
    let expected = Expected { plugin: PLUGIN, request_id: "1", stamp: None };
    assert_eq!(hook_reply::<Value>(b"", expected).unwrap_err(), ReplyFault::Empty);
}

/// Found by fuzzing: the result was judged first, so that the caller's type decided.
#[test]
fn metrics_that_are_no_protobuf_put_the_connection_in_doubt_whatever_the_type() {
    let odd = reply(Some(&allow(&json!({"modified_payload": {"name": 7}}))));
    // result_base, whose metrics are cut off.
    let message = [&odd.encode_to_vec()[..], &[0x2a, 2, 0x22, 9]].concat();
    let expected = Expected { plugin: PLUGIN, request_id: "1", stamp: None };
    for fault in [
        hook_reply::<ToolPreInvokePayload>(&message, expected).unwrap_err(),
        hook_reply::<Value>(&message, expected).unwrap_err(),
    ] {
        assert!(matches!(fault, ReplyFault::Undecodable(DecodeError::Malformed(_))), "{fault:?}");
    }
}

fn beside_an_error(result: &Value, details: &Value) -> proto::InvokeHookResponse {
    let error = proto::PluginError {
        message: "it cannot be written".into(),
        details: Some(structure(details)),
        ..Default::default()
    };
    proto::InvokeHookResponse { error: Some(error), ..reply(Some(result)) }
}

fn fault(message: &[u8]) -> PluginFault {
    let expected = Expected { plugin: PLUGIN, request_id: "1", stamp: None };
    let read = hook_reply::<ToolPreInvokePayload>(message, expected);
    let Ok(HookReply::Fault(fault)) = read else { panic!("{read:?}") };
    fault
}

#[test]
fn h34_half_a_denial_beside_an_error_is_kept_whatever_else_is_odd() {
    for misfit in misfits() {
        let mut denial = allow(&misfit);
        denial["continue_processing"] = json!(false);
        let fault = fault(&beside_an_error(&denial, &json!({})).encode_to_vec());
        assert!(fault.is_denial(), "{misfit}");
    }
    let deep = (0..70).fold(json!(1), |value, _| json!([value]));
    let denial = json!({"continue_processing": false});
    let mut reply = beside_an_error(&denial, &json!({}));
    let details = prost_types::Struct { fields: [("deep".to_owned(), to_value(&deep))].into() };
    reply.error.as_mut().unwrap().details = Some(details);
    let fault = fault(&reply.encode_to_vec());
    assert!(fault.is_denial() && fault.details.is_empty());
    // Where they are no ornaments of a denial, they are all there is to tell.
    reply.result = None;
    let unfit = read::<ToolPreInvokePayload>(&reply);
    assert!(matches!(unfit, Err(ReplyFault::Unfit(_))), "{unfit:?}");
}

fn to_value(value: &Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Array(items) => {
            Kind::ListValue(prost_types::ListValue { values: items.iter().map(to_value).collect() })
        }
        _ => Kind::NullValue(0),
    };
    prost_types::Value { kind: Some(kind) }
}

/// The verdict comes twice; of two entries with one key the last counts.
#[test]
fn h34_half_a_denial_that_is_laid_out_unusually_is_read_anew() {
    for (first, last, is_denial) in [(true, false, true), (false, true, false)] {
        let half =
            |verdict: bool| beside_an_error(&json!({"continue_processing": verdict}), &json!({}));
        let mut message = half(first).encode_to_vec();
        message.extend(reply(Some(&json!({"continue_processing": last}))).encode_to_vec());
        assert_eq!(fault(&message).is_denial(), is_denial, "{first} {last}");
    }
}

#[test]
fn h34_half_a_result_that_cannot_be_read_leaves_the_error_one() {
    let mut message =
        error(proto::PluginError { message: "m".into(), ..Default::default() }).encode_to_vec();
    // A result whose entry is cut off.
    message.extend([0x12, 2, 0x0a, 9]);
    let fault = fault(&message);
    assert!(!fault.is_denial() && fault.message == "m");
}

// Promise: H38
#[test]
fn a_number_that_json_does_not_have_is_null_and_told() {
    for (number, is_exact) in [(f64::NAN, false), (f64::INFINITY, false), (0.5, true)] {
        let mut odd = reply(Some(&allow(&json!({}))));
        let value =
            prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(number)) };
        odd.result.as_mut().unwrap().fields.insert("modified_payload".into(), value.clone());
        let Ok(HookReply::Result(result, None)) = read::<Value>(&odd) else { panic!("{number}") };
        assert_eq!(result.is_exact(), is_exact, "{number}");
        assert_eq!(result.modified_payload.unwrap().is_null(), !is_exact, "{number}");
        // A float takes it as it is.
        let Ok(HookReply::Result(result, None)) = read::<f64>(&odd) else { panic!("{number}") };
        assert!(result.is_exact());
        assert_eq!(result.modified_payload.unwrap().to_bits(), number.to_bits());

        let mut odd = reply(Some(&allow(&json!({}))));
        odd.context = context("1", &json!({}));
        let metadata = odd.context.as_mut().unwrap().metadata.as_mut().unwrap();
        metadata.fields.insert("n".into(), value);
        let Ok(HookReply::Result(result, Some(_))) = read::<Value>(&odd) else {
            panic!("{number}")
        };
        assert_eq!(result.is_exact(), is_exact, "{number} in the context");
    }
}
