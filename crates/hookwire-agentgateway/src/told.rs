//! What the gateway's configuration tells about a request (`metadata`), beside the request.

use hookwire::GlobalContext;
use hookwire::model::{Object, User};
use hookwire_gateway::RequestContext;
use prost_types::value::Kind;
use prost_types::{Struct, Value as ProtoValue};
use serde_json::{Number, Value};

use crate::refusal::Refusal;

/// The key of the ticket, both where the bridge gives it to the gateway with a request, and where
/// the gateway's configuration gives it back with the result.
const TICKET: &str = "hookwire";

/// The keys that fill a field of the context; all others are its metadata.
const REQUEST_ID: &str = "request_id";
const USER: &str = "user";
const TENANT_ID: &str = "tenant_id";

/// Beyond it, neighbouring integers are one float.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

const NOT_TEXT: Refusal = Refusal::Misconfigured("`request_id` or `tenant_id` is no text");
const NO_USER: Refusal = Refusal::Misconfigured("`user` is neither a text nor an object");

/// What plugins know of a request.
pub(crate) fn context(
    services: &[String],
    told: Option<Struct>,
) -> Result<RequestContext, Refusal> {
    let mut told = told.map(object).unwrap_or_default();
    told.remove(TICKET);
    let request_id = text(told.remove(REQUEST_ID))?;
    let mut global =
        GlobalContext::new(request_id.unwrap_or_else(|| format!("{:032x}", fastrand::u128(..))));
    global.tenant_id = text(told.remove(TENANT_ID))?;
    global.user = match told.remove(USER) {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(User::Name(name)),
        Some(Value::Object(details)) => Some(User::Details(details)),
        Some(_) => return Err(NO_USER),
    };
    if let [service] = services {
        global.server_id = Some(service.clone());
    }
    global.metadata = told;
    Ok(global.into())
}

/// The ticket of the request that this is the result of.
pub(crate) fn ticket(told: Option<&Struct>) -> Option<&str> {
    match told?.fields.get(TICKET)?.kind.as_ref()? {
        Kind::StringValue(ticket) => Some(ticket),
        _ => None,
    }
}

pub(crate) fn with_ticket(ticket: String) -> Struct {
    let value = ProtoValue { kind: Some(Kind::StringValue(ticket)) };
    Struct { fields: [(TICKET.to_owned(), value)].into() }
}

fn text(value: Option<Value>) -> Result<Option<String>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(NOT_TEXT),
    }
}

fn object(told: Struct) -> Object {
    told.fields.into_iter().map(|(key, value)| (key, json(value))).collect()
}

fn json(value: ProtoValue) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => number(value),
        Some(Kind::StringValue(value)) => value.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(value)) => Value::Object(object(value)),
    }
}

/// All numbers come as floats; what was an integer is one again.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= MAX_EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(value: Value) -> Option<Struct> {
        fn proto(value: Value) -> ProtoValue {
            let kind = match value {
                Value::Null => Kind::NullValue(0),
                Value::Bool(value) => Kind::BoolValue(value),
                Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
                Value::String(value) => Kind::StringValue(value),
                Value::Array(values) => Kind::ListValue(prost_types::ListValue {
                    values: values.into_iter().map(proto).collect(),
                }),
                Value::Object(fields) => Kind::StructValue(Struct {
                    fields: fields.into_iter().map(|(key, value)| (key, proto(value))).collect(),
                }),
            };
            ProtoValue { kind: Some(kind) }
        }
        match proto(value).kind {
            Some(Kind::StructValue(told)) => Some(told),
            _ => None,
        }
    }

    #[test]
    fn what_the_gateway_tells_is_in_the_context_of_plugins() {
        let told = told(json!({
            "request_id": "r-1", "tenant_id": 7, "user": {"name": "ada"}, "hookwire": "ticket",
            "level": 3, "share": 0.5, "tags": ["a", null, true],
        }));
        assert_eq!(ticket(told.as_ref()), Some("ticket"));
        let context = context(&["files".to_owned()], told).unwrap();
        let global = context.global();
        assert_eq!(global.request_id, "r-1");
        assert_eq!(global.tenant_id.as_deref(), Some("7"));
        assert_eq!(global.server_id.as_deref(), Some("files"));
        assert_eq!(serde_json::to_value(&global.user).unwrap(), json!({"name": "ada"}));
        assert_eq!(
            Value::Object(global.metadata.clone()),
            json!({"level": 3, "share": 0.5, "tags": ["a", null, true]})
        );
    }

    #[test]
    fn without_an_id_each_request_has_one_of_its_own() {
        let id = || context(&[], None).unwrap().global().request_id.clone();
        assert!(id().len() == 32 && id() != id());
        let empty = context(&[], told(json!({"request_id": "", "user": null}))).unwrap();
        assert_eq!((empty.global().request_id.len(), &empty.global().user), (32, &None));
    }

    /// Conditions go by these: a plugin must not be left out because nobody can read them.
    #[test]
    fn what_cannot_be_read_is_refused() {
        for wrong in [json!({"tenant_id": ["a"]}), json!({"request_id": {}}), json!({"user": 7})] {
            assert!(context(&[], told(wrong.clone())).is_err(), "{wrong}");
        }
    }
}
