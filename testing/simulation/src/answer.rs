//! What a hook is answered: right, in an odd type, or as no answer.

use fault_server::{Reply, Request, fields, frame};
use prost_types::value::Kind as Value;

use crate::event::{Call, Conn, Verdict, work};
use crate::tap;

fn text(text: impl ToString) -> Value {
    Value::StringValue(text.to_string())
}

/// The reply that the call is owed: worked out of its marker, and with the connection
/// that it came over.
pub fn right_reply(request: &Request, call: Call, conn: Conn) -> Reply {
    let (verdict, number) = work(call);
    match verdict {
        Verdict::Allow => {
            let args = [("marker", text(tap::marker(call))), ("number", text(number))];
            let mut args = fields(args);
            args.fields.insert("conn".into(), prost_types::Value { kind: Some(text(conn)) });
            let payload = [("name", text("t")), ("args", Value::StructValue(args))];
            let result = [
                ("continue_processing", Value::BoolValue(true)),
                ("modified_payload", Value::StructValue(fields(payload))),
            ];
            let mut reply = Reply::to(request);
            reply.0.result = Some(fields(result));
            reply
        }
        Verdict::Deny => {
            let violation = [
                ("reason", text(tap::marker(call))),
                ("description", text(conn)),
                ("code", text(number)),
            ];
            let result = [
                ("continue_processing", Value::BoolValue(false)),
                ("violation", Value::StructValue(fields(violation))),
            ];
            let mut reply = Reply::denial(request);
            reply.0.result = Some(fields(result));
            reply
        }
        Verdict::Fault => {
            let mut reply = Reply::error(request, &tap::marker(call));
            if let Some(error) = &mut reply.0.error {
                error.code = format!("{number}/{conn}");
            }
            reply
        }
    }
}

/// The payload's name is a number, which fits a JSON caller only.
pub fn odd(mut reply: Reply) -> Reply {
    let result = reply.0.result.get_or_insert_default();
    let payload = result.fields.get_mut("modified_payload");
    if let Some(Value::StructValue(payload)) = payload.and_then(|value| value.kind.as_mut()) {
        let number = prost_types::Value { kind: Some(Value::NumberValue(7.0)) };
        payload.fields.insert("name".into(), number);
    }
    reply
}

/// No answer to this call, and no other's. An error and a denial are what they are without a
/// verdict.
pub fn junk(right: Reply, verdict: Verdict, rng: &mut fastrand::Rng) -> Vec<u8> {
    match rng.u32(0..3) {
        _ if verdict != Verdict::Allow => frame(&[0xff; 9]),
        0 => frame(&[0xff; 9]),
        1 => right.with_verdict(None).frame(),
        _ => right.with_verdict(Some(Value::StringValue("yes".into()))).frame(),
    }
}
