//! The setters of the builders.

/// Declares setters into the builder's values; each is documented by the getter of the
/// same name.
macro_rules! setters {
    ($config:ident, $values:tt: $($name:ident: $type:ty,)+) => {$(
        #[doc = concat!("Sets [`", stringify!($name), "`](", stringify!($config), "::", stringify!($name), ").")]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$values.$name = $name.into();
            self
        }
    )+};
}

pub(super) use setters;
