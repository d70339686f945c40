//! How the value of one key is read: the type says what is accepted, the bounds
//! narrow it, and the rule tells a person the same in words.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::entry::Object;

/// A type that the value of a key can have.
pub(super) trait Setting: Sized {
    /// What narrows the type; `()` where the type says it all.
    type Bounds;

    /// `None` where the value is of another type, or out of bounds.
    fn read(value: &Value, bounds: &Self::Bounds) -> Option<Self>;

    /// What [`read`](Self::read) accepts; it follows the words "must be".
    fn rule(bounds: &Self::Bounds) -> String;
}

/// A setting that is written back as well.
pub(super) trait Knob: Setting {
    /// [`read`](Setting::read) gives the same value back, if it is within its bounds.
    fn write(&self) -> Value;
}

/// Whole numbers may come as floats (`100.0`): that is how the wire carries them.
fn whole(value: &Value) -> Option<i128> {
    if let Some(number) = value.as_i64() {
        return Some(number.into());
    }
    if let Some(number) = value.as_u64() {
        return Some(number.into());
    }
    value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128)
}

macro_rules! whole_numbers {
    ($($number:ty),+) => {$(
        impl Setting for $number {
            type Bounds = RangeInclusive<Self>;

            fn read(value: &Value, bounds: &Self::Bounds) -> Option<Self> {
                whole(value)?.try_into().ok().filter(|number| bounds.contains(number))
            }

            fn rule(bounds: &Self::Bounds) -> String {
                format!("a whole number from {} to {}", bounds.start(), bounds.end())
            }
        }

        impl Knob for $number {
            fn write(&self) -> Value {
                (*self).into()
            }
        }
    )+};
}

whole_numbers!(i32, u32, u64, usize);

impl Setting for Duration {
    /// The longest one; zero is never accepted.
    type Bounds = Duration;

    fn read(value: &Value, longest: &Duration) -> Option<Self> {
        Duration::try_from_secs_f64(value.as_f64()?)
            .ok()
            .filter(|duration| !duration.is_zero() && duration <= longest)
    }

    fn rule(longest: &Duration) -> String {
        format!("a number of seconds above 0 and at most {}", longest.as_secs_f64())
    }
}

impl Knob for Duration {
    fn write(&self) -> Value {
        self.as_secs_f64().into()
    }
}

/// `None` is the word `off`.
impl Setting for Option<Duration> {
    type Bounds = Duration;

    fn read(value: &Value, longest: &Duration) -> Option<Self> {
        // YAML 1.1 takes `off` for a boolean.
        match value {
            Value::Bool(false) => Some(None),
            Value::String(word) => (word == "off").then_some(None),
            _ => Duration::read(value, longest).map(Some),
        }
    }

    fn rule(longest: &Duration) -> String {
        format!("{}, or `off`", Duration::rule(longest))
    }
}

impl Knob for Option<Duration> {
    fn write(&self) -> Value {
        self.as_ref().map_or_else(|| "off".into(), Knob::write)
    }
}

impl Setting for bool {
    type Bounds = ();

    fn read(value: &Value, (): &()) -> Option<Self> {
        // YAML 1.2 has no booleans `on` and `off`: there they arrive as strings.
        match value.as_str() {
            Some("on") => Some(true),
            Some("off") => Some(false),
            _ => value.as_bool(),
        }
    }

    fn rule((): &()) -> String {
        "true, false, `on` or `off`".into()
    }
}

impl Knob for bool {
    fn write(&self) -> Value {
        (*self).into()
    }
}

impl Setting for String {
    type Bounds = ();

    fn read(value: &Value, (): &()) -> Option<Self> {
        value.as_str().map(Self::from)
    }

    fn rule((): &()) -> String {
        "a string (in quotes if it looks like a number)".into()
    }
}

impl Setting for Object {
    type Bounds = ();

    fn read(value: &Value, (): &()) -> Option<Self> {
        value.as_object().cloned()
    }

    fn rule((): &()) -> String {
        "an object".into()
    }
}

impl Setting for Vec<String> {
    type Bounds = ();

    fn read(value: &Value, (): &()) -> Option<Self> {
        let items = value.as_array()?.iter();
        items.map(|item| item.as_str().filter(|text| !text.is_empty()).map(String::from)).collect()
    }

    fn rule((): &()) -> String {
        "a list of non-empty strings".into()
    }
}

/// User or group ids.
impl Setting for Vec<u32> {
    type Bounds = ();

    fn read(value: &Value, (): &()) -> Option<Self> {
        // The largest number is the system's "no id".
        let id = |item| u32::read(item, &(0..=u32::MAX - 1));
        value.as_array()?.iter().map(id).collect()
    }

    fn rule((): &()) -> String {
        "a list of ids, whole numbers from 0 to 4294967294".into()
    }
}

impl Knob for Vec<u32> {
    fn write(&self) -> Value {
        self.as_slice().into()
    }
}

impl Setting for Vec<Object> {
    type Bounds = ();

    fn read(value: &Value, (): &()) -> Option<Self> {
        value.as_array()?.iter().map(|item| item.as_object().cloned()).collect()
    }

    fn rule((): &()) -> String {
        "a list of objects".into()
    }
}
