//! What several test binaries share.
// Every test binary compiles its own copy and uses a part of it.
#![allow(dead_code)]

pub(crate) mod reference;
