//! The guardrail protocol, answered by the plugins.

use std::time::Duration;

use bytes::Bytes;
use hookwire::hooks::{PromptPreFetch, ResourcePreFetch, ToolPreInvoke};
use hookwire_gateway::{Chain, Gateway, RequestContext};
use tokio::time::{Instant, timeout};
use tonic::{Request, Response, Status, async_trait};

use crate::document::Document;
use crate::method::Method;
use crate::pending::{Kept, Pending};
use crate::proto::ext_mcp_server::ExtMcp;
use crate::proto::{
    HeaderMutation, McpRequest, McpRequestResult, McpResponse, McpResponseResult, Pass,
    mcp_request_result, mcp_response_result,
};
use crate::refusal::Refusal;
use crate::request::PreHook;
use crate::{response, told};

/// Answers agentgateway by the plugins of a [`Gateway`].
///
/// Methods that no plugin has a hook for pass. Whatever can be read is answered, with an error
/// where it ends here, and never with a status: a status is the `failureMode`'s to judge.
#[derive(Debug)]
pub struct Bridge {
    gateway: Gateway,
    time: Duration,
    pending: Pending,
}

/// What is to be done with a request that may go on.
struct Checked {
    subject: String,
    /// The params to go on with, where they are others.
    mutated: Option<Bytes>,
    headers: Option<HeaderMutation>,
}

impl Bridge {
    /// For the plugins that this gateway runs, over its reloads. `time` is for each call of
    /// agentgateway, however often plugins are asked in it; keep it below the 10 s that
    /// agentgateway waits.
    #[must_use]
    pub fn new(gateway: Gateway, time: Duration) -> Self {
        Self { gateway, time, pending: Pending::new() }
    }

    async fn in_time<T>(
        &self,
        method: Method,
        check: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let answered = timeout(self.time, check).await.unwrap_or(Err(Refusal::OutOfTime));
        answered.inspect_err(|why| why.log(method))
    }

    async fn request(
        &self,
        method: Method,
        message: McpRequest,
    ) -> Result<McpRequestResult, Refusal> {
        let mut answer = McpRequestResult::from(mcp_request_result::Result::Pass(Pass {}));
        let chain = self.gateway.chain();
        let is_result_checked = chain.serves(method.post_hook());
        if !is_result_checked && !chain.serves(method.pre_hook()) {
            return Ok(answer);
        }
        let mut context = told::context(&message.service_names, message.metadata_context)?;
        let params = Document::parse(&message.mcp_request.unwrap_or_default())
            .map_err(|_| Refusal::Malformed("the params cannot be read as an object"))?;
        if is_result_checked && method == Method::ToolsCall && params.raw("task").is_some() {
            return Err(Refusal::Task);
        }
        let checked = match method {
            Method::ToolsCall => run::<ToolPreInvoke>(&chain, params, &mut context).await,
            Method::PromptsGet => run::<PromptPreFetch>(&chain, params, &mut context).await,
            Method::ResourcesRead => run::<ResourcePreFetch>(&chain, params, &mut context).await,
        };
        let Checked { subject, mutated, headers } = checked?;
        if let Some(params) = mutated {
            answer.result = Some(mcp_request_result::Result::Mutated(params));
        }
        answer.header_mutation = headers;
        answer.metadata = is_result_checked.then(|| {
            let ticket = self.pending.keep(Kept { method, subject, context }, Instant::now());
            told::with_ticket(ticket)
        });
        Ok(answer)
    }

    async fn response(
        &self,
        method: Method,
        message: McpResponse,
    ) -> Result<mcp_response_result::Result, Refusal> {
        let chain = self.gateway.chain();
        if !chain.serves(method.post_hook()) {
            return Ok(mcp_response_result::Result::Pass(Pass {}));
        }
        let ticket = told::ticket(message.metadata_context.as_ref());
        let kept = ticket.and_then(|ticket| self.pending.take(ticket, Instant::now()));
        let mut kept = kept.filter(|kept| kept.method == method).ok_or(Refusal::NotKept)?;
        let mut result = Document::parse(&message.mcp_response)
            .map_err(|_| Refusal::Malformed("the result cannot be read as an object"))?;
        if !response::check(&chain, &mut kept, &mut result).await? {
            return Ok(mcp_response_result::Result::Pass(Pass {}));
        }
        let mutated = result.to_bytes();
        let mutated = mutated.map_err(|_| Refusal::Unsayable("it cannot be written as JSON"))?;
        Ok(mcp_response_result::Result::Mutated(mutated))
    }
}

async fn run<H: PreHook>(
    chain: &Chain,
    mut params: Document,
    context: &mut RequestContext,
) -> Result<Checked, Refusal> {
    let passed = chain.run::<H>(H::payload(&params)?, context).await?;
    let is_modified = passed.report().records().iter().any(|record| record.modified);
    let payload = passed.into_value();
    let headers = H::headers(&payload)?;
    let mutated = if is_modified && H::write(&payload, &mut params)? {
        let params = params.to_bytes();
        Some(params.map_err(|_| Refusal::Unsayable("it cannot be written as JSON"))?)
    } else {
        None
    };
    Ok(Checked { subject: H::subject(&payload).to_owned(), mutated, headers })
}

#[async_trait]
impl ExtMcp for Bridge {
    async fn check_request(
        &self,
        request: Request<McpRequest>,
    ) -> Result<Response<McpRequestResult>, Status> {
        let message = request.into_inner();
        let answered = match Method::of(&message.method) {
            Some(method) => self.in_time(method, self.request(method, message)).await,
            None => Ok(mcp_request_result::Result::Pass(Pass {}).into()),
        };
        Ok(Response::new(
            answered.unwrap_or_else(|why| mcp_request_result::Result::Error(why.to_error()).into()),
        ))
    }

    async fn check_response(
        &self,
        request: Request<McpResponse>,
    ) -> Result<Response<McpResponseResult>, Status> {
        let message = request.into_inner();
        let answered = match Method::of(&message.method) {
            Some(method) => self.in_time(method, self.response(method, message)).await,
            None => Ok(mcp_response_result::Result::Pass(Pass {})),
        };
        let result =
            answered.unwrap_or_else(|why| mcp_response_result::Result::Error(why.to_error()));
        Ok(Response::new(McpResponseResult { result: Some(result) }))
    }
}

impl From<mcp_request_result::Result> for McpRequestResult {
    fn from(result: mcp_request_result::Result) -> Self {
        Self { result: Some(result), header_mutation: None, metadata: None }
    }
}
