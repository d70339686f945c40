//! serde to and from `google.protobuf.Struct`, JSON in protobuf, without a tree in
//! between.
//!
//! [`ser`] writes serde straight onto the wire format, [`de`] reads it in place. Both
//! keep to what the reference server does: numbers are doubles, and more than 100
//! nested messages are not understood. Nothing here knows of plugins, sockets or the
//! rest of the crate, so that benchmarks include these files as they are.
//!
//! | file | role |
//! |---|---|
//! | `reader`, `writer` | protobuf's primitives |
//! | `ser`, `compound`, `key` | serde to Struct |
//! | `de`, `access`, `key` | and back |
//! | `big_integers` | what happens to integers beyond a double's |
//! | `budget` | what a message may cost while it is read |
//! | `validate` | whether a whole Struct parses |
//! | `error` | why a value cannot be encoded, or a message not be decoded |

mod access;
pub(crate) mod big_integers;
pub(crate) mod budget;
mod compound;
pub(crate) mod de;
pub(crate) mod error;
mod key;
pub(crate) mod reader;
pub(crate) mod ser;
pub(crate) mod validate;
pub(crate) mod writer;
