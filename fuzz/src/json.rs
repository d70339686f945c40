//! prost's reading of a Struct, as the JSON that ours must produce.

use prost_types::{Struct, Value as Wire, value::Kind};
use serde_json::{Map, Value};

/// The largest integer that a double carries exactly, with all below it.
pub const EXACT: f64 = 9_007_199_254_740_992.0;

/// prost's tree as the JSON that our reader must produce.
pub fn to_json(object: Struct) -> Value {
    Value::Object(
        object.fields.into_iter().map(|(k, v)| (k, value_to_json(v))).collect::<Map<_, _>>(),
    )
}

fn value_to_json(value: Wire) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::StringValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => number(value),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value_to_json).collect(),
        Some(Kind::StructValue(object)) => to_json(object),
    }
}

/// Whether JSON has the same numbers: no NaN, and no zero or large integer that it would
/// have as a float.
pub fn has_plain_numbers(object: &Struct) -> bool {
    object.fields.values().all(is_plain)
}

fn is_plain(value: &Wire) -> bool {
    match &value.kind {
        Some(Kind::NumberValue(float)) => {
            float.is_finite() && (float.fract() != 0.0 || number(*float).is_i64())
        }
        Some(Kind::ListValue(list)) => list.values.iter().all(is_plain),
        Some(Kind::StructValue(object)) => has_plain_numbers(object),
        _ => true,
    }
}

/// Integral doubles are integers; NaN is null, as everywhere in JSON.
pub fn number(value: f64) -> Value {
    let integral = value.trunc() == value && value.abs() <= EXACT;
    if integral && !(value == 0.0 && value.is_sign_negative()) {
        (value as i64).into()
    } else {
        value.into()
    }
}
