//! A client of the protocol, as the gateway is one.

use std::path::PathBuf;
use std::time::Duration;

use hookwire_agentgateway::proto::authorization_error::Code;
use hookwire_agentgateway::proto::ext_mcp_client::ExtMcpClient;
use hookwire_agentgateway::proto::{
    AuthorizationError, McpRequest, McpRequestResult, McpResponse, mcp_request_result,
    mcp_response_result,
};
use hyper_util::rt::TokioIo;
use prost_types::value::Kind;
use prost_types::{Struct, Value as ProtoValue};
use serde_json::Value;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// Far above what anything takes on a busy machine: reached only by what hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("it hangs")
}

#[derive(Clone)]
pub(crate) struct Client(ExtMcpClient<Channel>);

/// What the bridge has answered, whichever direction it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Pass,
    Mutated(String),
    Error { code: Code, reason: String, error: Value },
}

/// What stands beside the answer to a request.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    /// What the gateway keeps, and tells with the result.
    pub(crate) ticket: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Client {
    pub(crate) async fn connect(socket: PathBuf) -> Self {
        let connector = service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://bridge.sock");
        let channel = in_time(endpoint.connect_with_connector(connector)).await.unwrap();
        Self(ExtMcpClient::new(channel))
    }

    pub(crate) async fn to_port(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(ExtMcpClient::new(in_time(endpoint.connect()).await.unwrap()))
    }

    pub(crate) async fn try_request(&self, request: McpRequest) -> Result<Answered, Status> {
        let mut client = self.0.clone();
        let answer = in_time(client.check_request(request)).await?.into_inner();
        let McpRequestResult { result, header_mutation, metadata } = answer;
        let headers = header_mutation.into_iter().flat_map(|headers| {
            assert!(headers.remove.is_empty());
            headers.set
        });
        Ok(Answered {
            answer: match result.unwrap() {
                mcp_request_result::Result::Pass(_) => Answer::Pass,
                mcp_request_result::Result::Mutated(json) => Answer::Mutated(text(&json)),
                mcp_request_result::Result::Error(error) => error.into(),
            },
            ticket: metadata.map(|told| match told.fields["hookwire"].kind.clone().unwrap() {
                Kind::StringValue(ticket) => ticket,
                other => panic!("{other:?}"),
            }),
            headers: headers.map(|header| (header.key, text(&header.value))).collect(),
        })
    }

    pub(crate) async fn request(&self, method: &str, params: &str) -> Answered {
        self.try_request(request(method, params)).await.unwrap()
    }

    pub(crate) async fn result(&self, method: &str, result: &str, ticket: Option<&str>) -> Answer {
        let told = ticket.map(|ticket| told([("hookwire", ticket)]));
        let response = McpResponse {
            service_names: vec!["files".to_owned()],
            method: method.to_owned(),
            metadata_context: told,
            mcp_response: result.to_owned().into(),
        };
        let mut client = self.0.clone();
        let answer = in_time(client.check_response(response)).await.unwrap().into_inner();
        match answer.result.unwrap() {
            mcp_response_result::Result::Pass(_) => Answer::Pass,
            mcp_response_result::Result::Mutated(json) => Answer::Mutated(text(&json)),
            mcp_response_result::Result::Error(error) => error.into(),
        }
    }
}

pub(crate) fn request(method: &str, params: &str) -> McpRequest {
    McpRequest {
        service_names: vec!["files".to_owned()],
        method: method.to_owned(),
        mcp_request: Some(params.to_owned().into()),
        ..Default::default()
    }
}

/// What the gateway's configuration tells.
pub(crate) fn told<const N: usize>(fields: [(&str, &str); N]) -> Struct {
    let text = |(key, text): (&str, &str)| {
        (key.to_owned(), ProtoValue { kind: Some(Kind::StringValue(text.to_owned())) })
    };
    Struct { fields: fields.into_iter().map(text).collect() }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).unwrap()
}

impl From<AuthorizationError> for Answer {
    fn from(error: AuthorizationError) -> Self {
        Self::Error {
            code: error.code(),
            error: serde_json::from_slice(error.mcp_error.as_ref().unwrap()).unwrap(),
            reason: error.reason,
        }
    }
}

impl Answer {
    /// The code, and the code for programs; everything else is no refusal.
    pub(crate) fn refusal(&self) -> (Code, &str) {
        match self {
            Self::Error { code, error, .. } => (*code, error["data"]["code"].as_str().unwrap()),
            other => panic!("not refused: {other:?}"),
        }
    }
}
