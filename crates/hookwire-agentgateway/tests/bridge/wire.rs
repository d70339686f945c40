//! The messages byte by byte, as agentgateway 1.4.1 has them: a client that is made of the same
//! definition as the server would find no wrong number.

use hookwire_agentgateway::proto::authorization_error::Code;
use hookwire_agentgateway::proto::ext_mcp_server::SERVICE_NAME;
use hookwire_agentgateway::proto::{
    AuthorizationError, HeaderMutation, McpHeader, McpRequest, McpRequestResult, McpResponse,
    McpResponseResult, Pass, mcp_request_result, mcp_response_result,
};
use prost::Message;

use crate::client::told;

/// A field that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend_from_slice(content);
    bytes
}

/// A `Struct` of one text.
fn object(key: &str, text: &str) -> Vec<u8> {
    let value = field(3, text.as_bytes());
    field(1, &[field(1, key.as_bytes()), field(2, &value)].concat())
}

#[test]
fn what_the_gateway_asks_is_read_by_its_numbers() {
    assert_eq!(SERVICE_NAME, "agentgateway.dev.ext_mcp.ExtMcp");
    let header = [field(1, b"x-key"), field(2, b"\xff")].concat();
    let bytes = [
        field(1, b"files"),
        field(2, b"tools/call"),
        field(3, &object("user", "ada")),
        field(4, b"{}"),
        field(5, &header),
    ];
    let expected = McpRequest {
        service_names: vec!["files".to_owned()],
        method: "tools/call".to_owned(),
        metadata_context: Some(told([("user", "ada")])),
        mcp_request: Some("{}".into()),
        headers: vec![McpHeader { key: "x-key".to_owned(), value: b"\xff"[..].into() }],
    };
    assert_eq!(McpRequest::decode(&*bytes.concat()).unwrap(), expected);

    let bytes = [
        field(1, b"files"),
        field(2, b"tools/call"),
        field(3, &object("hookwire", "ticket")),
        field(4, b"{}"),
    ];
    let expected = McpResponse {
        service_names: vec!["files".to_owned()],
        method: "tools/call".to_owned(),
        metadata_context: Some(told([("hookwire", "ticket")])),
        mcp_response: "{}".into(),
    };
    assert_eq!(McpResponse::decode(&*bytes.concat()).unwrap(), expected);
}

#[test]
fn what_the_gateway_is_told_is_written_by_its_numbers() {
    let error = AuthorizationError {
        code: Code::Invalid.into(),
        reason: "no".to_owned(),
        mcp_error: Some("{}".into()),
    };
    let error_bytes = [vec![1 << 3, 3], field(2, b"no"), field(3, b"{}")].concat();
    for (code, number) in [
        (Code::Unknown, 0),
        (Code::PermissionDenied, 1),
        (Code::ResourceExhausted, 2),
        (Code::Invalid, 3),
    ] {
        assert_eq!(code as i32, number);
    }
    for (result, bytes) in [
        (mcp_request_result::Result::Pass(Pass {}), field(1, b"")),
        (mcp_request_result::Result::Mutated("{}".into()), field(2, b"{}")),
        (mcp_request_result::Result::Error(error.clone()), field(3, &error_bytes)),
    ] {
        assert_eq!(McpRequestResult::from(result).encode_to_vec(), bytes);
    }
    for (result, bytes) in [
        (mcp_response_result::Result::Pass(Pass {}), field(1, b"")),
        (mcp_response_result::Result::Mutated("{}".into()), field(2, b"{}")),
        (mcp_response_result::Result::Error(error), field(3, &error_bytes)),
    ] {
        assert_eq!(McpResponseResult { result: Some(result) }.encode_to_vec(), bytes);
    }
    let header = McpHeader { key: "x-key".to_owned(), value: "k".into() };
    let beside = McpRequestResult {
        result: None,
        header_mutation: Some(HeaderMutation {
            set: vec![header],
            remove: vec!["x-old".to_owned()],
        }),
        metadata: Some(told([("hookwire", "ticket")])),
    };
    let headers = [field(1, &[field(1, b"x-key"), field(2, b"k")].concat()), field(2, b"x-old")];
    let expected = [field(4, &headers.concat()), field(5, &object("hookwire", "ticket"))];
    assert_eq!(beside.encode_to_vec(), expected.concat());
}
