//! Plugins on other machines: servers over TCP, TLS and HTTP/2.
//!
//! | file | role |
//! |---|---|
//! | `connect` | a byte stream to one server |
//! | `tls`, `tls_error` | TLS to a server, and why it failed, for people |
//! | `pem` | certificates and keys from files |
//! | `resolve` | names to addresses, and what changed since |

// Until the way of a call uses them.
#![allow(dead_code)]

pub(crate) mod connect;
pub(crate) mod pem;
pub(crate) mod resolve;
#[cfg(test)]
pub(crate) mod test_certificates;
pub(crate) mod tls;
mod tls_error;
