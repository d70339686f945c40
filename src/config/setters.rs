//! The setters of the builders.

/// Declares setters into a part of a builder; each is documented by the getter of the
/// same name. `$wrap` is `Some` where all are
/// optional.
macro_rules! setters {
    ($config:ident, $part:tt, $wrap:path: $($name:ident: $type:ty,)+) => {$(
        #[doc = concat!("Sets [`", stringify!($name), "`](", stringify!($config), "::", stringify!($name), ").")]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$part.$name = $wrap($name.into());
            self
        }
    )+};
}

/// Declares methods that add to a list in a part of a builder.
macro_rules! adders {
    ($config:ident, $part:tt: $($name:ident to $list:ident: $type:ty,)+) => {$(
        #[doc = concat!("Adds one of the [`", stringify!($list), "`](", stringify!($config), "::", stringify!($list), ").")]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$part.$list.get_or_insert_default().push($name.into());
            self
        }
    )+};
}

pub(super) use {adders, setters};
