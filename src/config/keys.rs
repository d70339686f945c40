//! Declares keys of a section, each in one place.

/// Makes a struct of the keys that can read itself, a getter on `$config` for each key, and, where
/// one is named, a setter on `$builder` for each key that has no getter of its own.
/// The values are in the field `$part` of both.
///
/// ```text
/// /// Documentation of the getter.
/// pub fn KEY: TYPE = DEFAULT, RULE;
/// pub fn KEY: TYPE = DEFAULT, RULE => TYPE OF ITS OWN GETTER, |all| VALUE OF IT;
/// ```
macro_rules! keys {
    (
        struct $values:ident, $part:tt of $config:ident and $builder:ident;
        $(
            $(#[doc = $doc:literal])+
            $(#[serde($($serde:tt)+)])?
            pub fn $key:ident: $type:ty = $default:expr, $rule:expr
                $(=> $given:ty, |$all:ident| $get:expr)?;
        )+
    ) => {
        keys! {
            struct $values, $part of $config;
            $(
                $(#[doc = $doc])+
                $(#[serde($($serde)+)])?
                pub fn $key: $type = $default, $rule $(=> $given, |$all| $get)?;
            )+
        }

        impl $builder {
            $(keys! { @setter $config $part $key $type $(=> $given)? })+
        }
    };
    (
        struct $values:ident, $part:tt of $config:ident;
        $(
            $(#[doc = $doc:literal])+
            $(#[serde($($serde:tt)+)])?
            pub fn $key:ident: $type:ty = $default:expr, $rule:expr
                $(=> $given:ty, |$all:ident| $get:expr)?;
        )+
    ) => {
        /// The values of the keys, checked or not.
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
        pub(super) struct $values {
            $($(#[serde($($serde)+)])? pub(super) $key: $type,)+
        }

        impl $values {
            pub(super) const KEYS: &[&str] = &[$(stringify!($key),)+];

            /// What is not set or refused has its default.
            pub(super) fn read(section: &mut super::section::Section<'_>) -> Self {
                let mut all = Self::default();
                $(section.read(stringify!($key), &mut all.$key, $rule);)+
                all
            }
        }

        impl Default for $values {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $config {
            $(keys! { @getter [$($doc)+] $part $key $type $(=> $given, |$all| $get)? })+
        }
    };
    (@getter [$($doc:literal)+] $part:tt $key:ident $type:ty) => {
        $(#[doc = $doc])+
        pub fn $key(&self) -> $type {
            self.$part.$key
        }
    };
    (@getter [$($doc:literal)+] $part:tt $key:ident $type:ty => $given:ty, |$all:ident| $get:expr) => {
        $(#[doc = $doc])+
        pub fn $key(&self) -> $given {
            let $all = &self.$part;
            $get
        }
    };
    (@setter $config:ident $part:tt $key:ident $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($key), "`](", stringify!($config), "::", stringify!($key), ").")]
        pub fn $key(mut self, $key: $type) -> Self {
            self.$part.$key = $key;
            self
        }
    };
    (@setter $config:ident $part:tt $key:ident $type:ty => $given:ty) => {};
}

pub(super) use keys;
