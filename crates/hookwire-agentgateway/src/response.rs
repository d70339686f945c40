//! The result of a request as the payload of its hook, and back.

use hookwire::hooks::{
    Applies, PromptPostFetch, PromptPostFetchPayload, ResourcePostFetch, ResourcePostFetchPayload,
    ToolPostInvoke, ToolPostInvokePayload,
};
use hookwire_gateway::{Chain, ChainHook};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::document::Document;
use crate::method::Method;
use crate::pending::Kept;
use crate::refusal::Refusal;

const CONTENTS: &str = "contents";
const NO_CONTENTS: Refusal = Refusal::Malformed("the result has no contents that are objects");
const NO_OBJECT: Refusal = Refusal::Malformed("the result cannot be read as an object");

/// A hook before a result goes on.
trait PostHook: ChainHook<Payload: DeserializeOwned> + Applies {
    fn payload(subject: &str, content: Value) -> Self::Payload;

    fn content(payload: Self::Payload) -> (String, Value);
}

impl PostHook for ToolPostInvoke {
    fn payload(name: &str, result: Value) -> ToolPostInvokePayload {
        ToolPostInvokePayload::new(name, result)
    }

    fn content(payload: ToolPostInvokePayload) -> (String, Value) {
        (payload.name, payload.result)
    }
}

impl PostHook for PromptPostFetch {
    fn payload(name: &str, result: Value) -> PromptPostFetchPayload {
        PromptPostFetchPayload::new(name, result)
    }

    fn content(payload: PromptPostFetchPayload) -> (String, Value) {
        (payload.prompt_id, payload.result)
    }
}

impl PostHook for ResourcePostFetch {
    fn payload(uri: &str, content: Value) -> ResourcePostFetchPayload {
        ResourcePostFetchPayload::new(uri, content)
    }

    fn content(payload: ResourcePostFetchPayload) -> (String, Value) {
        (payload.uri, payload.content)
    }
}

/// Has the plugins check a result; true if they changed it. Plugins see the whole result of a
/// tool or a prompt, and of a resource each of its contents on its own.
pub(crate) async fn check(
    chain: &Chain,
    kept: &mut Kept,
    result: &mut Document,
) -> Result<bool, Refusal> {
    match kept.method {
        Method::ToolsCall if is_task(result) => Err(Refusal::Task),
        Method::ToolsCall => check_part::<ToolPostInvoke>(chain, kept, result).await,
        Method::PromptsGet => check_part::<PromptPostFetch>(chain, kept, result).await,
        Method::ResourcesRead => {
            let contents = result.read::<Vec<Document>>(CONTENTS);
            let mut contents = contents.ok().flatten().ok_or(NO_CONTENTS)?;
            let mut changed = false;
            for content in &mut contents {
                changed |= check_part::<ResourcePostFetch>(chain, kept, content).await?;
            }
            if changed {
                result.set(CONTENTS, &contents).map_err(|_| NO_OBJECT)?;
            }
            Ok(changed)
        }
    }
}

/// Whether it tells of a task in place of a result, as MCP does now (`resultType`) or did before.
fn is_task(result: &Document) -> bool {
    let kind = result.read::<String>("resultType").ok().flatten();
    kind.as_deref() == Some("task")
        || (result.raw("task").is_some() && result.raw("content").is_none())
}

async fn check_part<H: PostHook>(
    chain: &Chain,
    kept: &mut Kept,
    part: &mut Document,
) -> Result<bool, Refusal> {
    let before = part.to_object().map_err(|_| NO_OBJECT)?;
    let payload = H::payload(&kept.subject, Value::Object(before));
    let passed = chain.run::<H>(payload, &mut kept.context).await?;
    if !passed.report().records().iter().any(|record| record.modified) {
        return Ok(false);
    }
    let (subject, content) = H::content(passed.into_value());
    if subject != kept.subject {
        return Err(Refusal::Unsayable("the name, or the address, that a result belongs to"));
    }
    let Value::Object(after) = content else {
        return Err(Refusal::Unsayable("what was an object is none any more"));
    };
    let before = part.to_object().map_err(|_| NO_OBJECT)?;
    part.update(&before, after).map_err(|_| NO_OBJECT)
}
