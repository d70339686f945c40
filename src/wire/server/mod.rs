//! The protocol's messages from the server's side: requests in, replies out.

pub(crate) mod reply;
pub(crate) mod request;
