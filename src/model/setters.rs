//! Chainable setters for structs that callers cannot build literally.
//!
//! Payloads and results are `#[non_exhaustive]`, so a field added by a later
//! version of the protocol breaks nobody; the price is a setter per field.

/// Implements `with_*` methods: name, parameter, the field and what it becomes.
///
/// ```text
/// setters!(ToolPreInvokePayload {
///     /// Sets the arguments of the call.
///     with_args(args: Object) => args = Some(args);
/// });
/// ```
macro_rules! setters {
    ($type:ty {
        $($(#[$doc:meta])* $method:ident($param:ident: $kind:ty) => $field:ident = $value:expr;)*
    }) => {
        impl $type {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(mut self, $param: $kind) -> Self {
                    self.$field = $value;
                    self
                }
            )*
        }
    };
}

pub(crate) use setters;
