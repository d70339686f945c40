//! The protocol's messages as prost reads them, as far as targets and seeds need
//! them: the judge must not come out of the crate that it judges.

use prost::Message;
use prost_types::Struct;

#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub hook_type: String,
    #[prost(string, tag = "2")]
    pub plugin_name: String,
    #[prost(message, optional, tag = "3")]
    pub payload: Option<Struct>,
    #[prost(message, optional, tag = "4")]
    pub context: Option<Context>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Reply {
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    #[prost(message, optional, tag = "2")]
    pub result: Option<Struct>,
    #[prost(message, optional, tag = "3")]
    pub context: Option<Context>,
    #[prost(message, optional, tag = "4")]
    pub error: Option<Error>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Context {
    #[prost(message, optional, tag = "1")]
    pub global_context: Option<GlobalContext>,
    #[prost(message, optional, tag = "2")]
    pub state: Option<Struct>,
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GlobalContext {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(message, optional, tag = "7")]
    pub state: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Error {
    #[prost(string, tag = "1")]
    pub message: String,
    #[prost(string, tag = "2")]
    pub plugin_name: String,
    #[prost(string, tag = "3")]
    pub code: String,
    #[prost(message, optional, tag = "4")]
    pub details: Option<Struct>,
    #[prost(int32, tag = "5")]
    pub mcp_error_code: i32,
}
