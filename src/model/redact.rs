//! `Debug` output that can be logged: names and sizes in place of contents.
//!
//! Payloads carry what users typed and what tools answered. A derived `Debug`
//! would put that into the first log line that mentions them, so every type
//! with contents says itself which fields are names and which are contents.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::Object;

/// How much there is, without saying what.
pub(crate) trait Size {
    /// Writes the size with its unit, such as `3 keys`.
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Shows the size of a value where its `Debug` output would stand.
pub(crate) struct Redacted<'a, T: ?Sized>(pub(crate) &'a T);

impl<T: Size + ?Sized> fmt::Debug for Redacted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_size(f)
    }
}

fn count(f: &mut fmt::Formatter<'_>, n: usize, unit: &str) -> fmt::Result {
    write!(f, "{n} {unit}{}", if n == 1 { "" } else { "s" })
}

impl Size for str {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        count(f, self.len(), "byte")
    }
}

impl Size for String {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt_size(f)
    }
}

impl Size for Object {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        count(f, self.len(), "key")
    }
}

impl<V> Size for BTreeMap<String, V> {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        count(f, self.len(), "key")
    }
}

impl<T> Size for Vec<T> {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        count(f, self.len(), "item")
    }
}

impl Size for Value {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) => f.write_str("a boolean"),
            Self::Number(_) => f.write_str("a number"),
            Self::String(text) => text.fmt_size(f),
            Self::Array(items) => items.fmt_size(f),
            Self::Object(map) => map.fmt_size(f),
        }
    }
}

impl<T: Size> Size for Option<T> {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            None => f.write_str("None"),
            Some(value) => value.fmt_size(f),
        }
    }
}

/// Implements `Debug`: the fields under `show` as they are, those under `size` by size.
macro_rules! redacted_debug {
    ($type:ident { show: $($shown:ident),*; size: $($sized:ident),* $(;)? }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($shown), &self.$shown))*
                    $(.field(stringify!($sized), &$crate::model::Redacted(&self.$sized)))*
                    .finish()
            }
        }
    };
}

pub(crate) use redacted_debug;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown<T: Size>(value: T) -> String {
        format!("{:?}", Redacted(&value))
    }

    #[test]
    fn a_value_is_shown_by_its_size_only() {
        assert_eq!(shown("hunter2".to_owned()), "7 bytes");
        assert_eq!(shown(json!({"password": "hunter2"})), "1 key");
        assert_eq!(shown(json!([1, 2])), "2 items");
        assert_eq!(shown(json!(42)), "a number");
        assert_eq!(shown(json!(true)), "a boolean");
        assert_eq!(shown(Value::Null), "null");
    }

    #[test]
    fn an_absent_value_is_shown_as_absent() {
        assert_eq!(shown(None::<String>), "None");
        assert_eq!(shown(Some("x".to_owned())), "1 byte");
    }

    #[test]
    fn the_macro_shows_names_and_hides_contents() {
        struct Call {
            name: String,
            args: Object,
        }
        redacted_debug!(Call { show: name; size: args });

        let mut args = Object::new();
        args.insert("password".to_owned(), json!("hunter2"));
        let call = Call { name: "login".to_owned(), args };
        assert_eq!(format!("{call:?}"), r#"Call { name: "login", args: 1 key }"#);
    }
}
