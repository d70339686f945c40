//! The parts a message is made of.
//!
//! On the wire a part is `{"content_type": ..., "text": ...}` for what is said
//! and thought, `{"content_type": ..., "content": {...}}` for all else. Parts of
//! a type that came after this crate are kept and handed on as they are.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use serde_json::Value;

use crate::model::{Object, Redacted};

const TYPE_KEY: &str = "content_type";

/// Declares [`ContentPart`]: each variant with its body, the body's key and the content type.
macro_rules! content_parts {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident($body:ty) = $key:literal of $type:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant($body),)*
            /// A part of another type, as it came: the whole object with its `content_type`.
            Other(Object),
        }

        impl $name {
            /// The `content_type` on the wire.
            #[must_use]
            pub fn content_type(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $type,)*
                    Self::Other(part) => {
                        part.get(TYPE_KEY).and_then(Value::as_str).unwrap_or_default()
                    }
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(body) => {
                        let mut part = serializer.serialize_map(Some(2))?;
                        part.serialize_entry(TYPE_KEY, $type)?;
                        part.serialize_entry($key, body)?;
                        part.end()
                    })*
                    Self::Other(part) => part.serialize(serializer),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut part = Object::deserialize(deserializer)?;
                match part.get(TYPE_KEY).and_then(Value::as_str) {
                    $(Some($type) => take_body(&mut part, $key).map(Self::$variant),)*
                    Some(_) => Ok(Self::Other(part)),
                    None => Err(de::Error::missing_field(TYPE_KEY)),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(body) => {
                        f.debug_tuple(stringify!($variant)).field(&Redacted(body)).finish()
                    })*
                    Self::Other(part) => f.debug_tuple("Other").field(&Redacted(part)).finish(),
                }
            }
        }
    };
}

content_parts! {
    /// A part of a message.
    ///
    /// Bodies are objects as the reference defines them for the type. Reading a
    /// known type without its body is an error; keys beside it are ignored.
    ///
    /// ```
    /// use hookwire::hooks::ContentPart;
    /// use serde_json::{from_value, json};
    ///
    /// let part: ContentPart = from_value(json!({"content_type": "text", "text": "Hello"}))?;
    /// assert_eq!(part, ContentPart::Text("Hello".into()));
    /// assert_eq!(part.content_type(), "text");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ContentPart {
        /// The text.
        Text(String) = "text" of "text";
        /// What the model thinks.
        Thinking(String) = "text" of "thinking";
        /// A call of a tool: `tool_call_id`, `name`, `arguments`, `namespace`.
        ToolCall(Object) = "content" of "tool_call";
        /// A tool's result: `tool_call_id`, `tool_name`, `content`, `is_error`.
        ToolResult(Object) = "content" of "tool_result";
        /// A resource: `resource_request_id`, `uri`, `resource_type`, `content` and more.
        Resource(Object) = "content" of "resource";
        /// A pointer to a resource: `resource_request_id`, `uri`, `resource_type` and more.
        ResourceRef(Object) = "content" of "resource_ref";
        /// A request for a prompt: `prompt_request_id`, `name`, `arguments`, `server_id`.
        PromptRequest(Object) = "content" of "prompt_request";
        /// A rendered prompt: `prompt_request_id`, `prompt_name`, `messages` and more.
        PromptResult(Object) = "content" of "prompt_result";
        /// An image: `type` (`url` or `base64`), `data`, `media_type`.
        Image(Object) = "content" of "image";
        /// A video: as an image, and `duration_ms`.
        Video(Object) = "content" of "video";
        /// A sound: as an image, and `duration_ms`.
        Audio(Object) = "content" of "audio";
        /// A document: as an image, and `title`.
        Document(Object) = "content" of "document";
    }
}

fn take_body<T: de::DeserializeOwned, E: de::Error>(
    part: &mut Object,
    key: &'static str,
) -> Result<T, E> {
    let body = part.remove(key).ok_or_else(|| E::missing_field(key))?;
    // The cause would quote the body.
    serde_json::from_value(body).map_err(|_| E::custom(format_args!("`{key}` has a wrong type")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: Value) -> Result<ContentPart, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn every_kind_of_part_survives_json() {
        for text in ["text", "thinking"] {
            let json = json!({"content_type": text, "text": "x"});
            let part = read(json.clone()).unwrap();
            assert!(!matches!(part, ContentPart::Other(_)), "{text}");
            assert_eq!(part.content_type(), text);
            assert_eq!(serde_json::to_value(part).unwrap(), json);
        }
        for wrapped in [
            "tool_call",
            "tool_result",
            "resource",
            "resource_ref",
            "prompt_request",
            "prompt_result",
            "image",
            "video",
            "audio",
            "document",
        ] {
            let json = json!({"content_type": wrapped, "content": {"id": 1, "list": [null]}});
            let part = read(json.clone()).unwrap();
            assert!(!matches!(part, ContentPart::Other(_)), "{wrapped}");
            assert_eq!(part.content_type(), wrapped);
            assert_eq!(serde_json::to_value(part).unwrap(), json);
        }
    }

    #[test]
    fn a_part_of_an_unknown_type_is_kept_as_it_is() {
        let json = json!({"content_type": "hologram", "text": "x", "depth": 3});
        let part = read(json.clone()).unwrap();
        assert_eq!(part.content_type(), "hologram");
        assert_eq!(serde_json::to_value(part).unwrap(), json);
    }

    #[test]
    fn a_part_without_a_type_is_an_error() {
        assert!(read(json!({"text": "x"})).unwrap_err().to_string().contains("content_type"));
        assert!(read(json!("x")).is_err());
    }

    #[test]
    fn a_known_part_without_its_body_is_an_error() {
        let error = read(json!({"content_type": "text", "content": {}})).unwrap_err();
        assert!(error.to_string().contains("`text`"), "{error}");
    }

    #[test]
    fn an_error_about_a_body_does_not_quote_it() {
        let error = read(json!({"content_type": "image", "content": "hunter2"})).unwrap_err();
        assert_eq!(error.to_string(), "`content` has a wrong type");
    }

    #[test]
    fn keys_beside_a_known_body_are_ignored() {
        let part = read(json!({"content_type": "text", "text": "x", "added_later": 1})).unwrap();
        assert_eq!(part, ContentPart::Text("x".into()));
    }

    #[test]
    fn debug_output_shows_kind_and_size_only() {
        assert_eq!(format!("{:?}", ContentPart::Text("hunter2".into())), "Text(7 bytes)");
        let other = read(json!({"content_type": "hunter2"})).unwrap();
        assert_eq!(format!("{other:?}"), "Other(1 key)");
    }
}
