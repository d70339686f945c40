//! What a server answers that does its work, and one that makes answers up.

use prost_types::value::Kind;

use crate::site::{Contexts, filler, marker};
use crate::work::{Verdict, signed, work};
use fault_server::{Reply, Request, fields, proto};

/// What a plugin of this version says that does its work.
pub(crate) fn honest(request: &Request, contexts: Contexts, version: usize) -> Reply {
    let Some(marker) = marker(request) else { return Reply::empty(request) };
    let (verdict, number) = work(marker, filler(request));
    let signature = signed(&number, version);
    let text = |text: &str| Kind::StringValue(text.to_owned());
    let mut reply = Reply::empty(request);
    let result = match verdict {
        Verdict::Allow { echo } => {
            let filler = if echo { text(filler(request)) } else { Kind::NullValue(0) };
            let answer = fields([
                ("marker", text(request.marker())),
                ("number", text(&signature)),
                ("filler", filler),
            ]);
            Some(fields([
                ("continue_processing", Kind::BoolValue(true)),
                ("modified_payload", Kind::StructValue(answer)),
            ]))
        }
        Verdict::Deny => {
            let violation =
                fields([("reason", text(request.marker())), ("code", text(&signature))]);
            Some(fields([
                ("continue_processing", Kind::BoolValue(false)),
                ("violation", Kind::StructValue(violation)),
            ]))
        }
        Verdict::Fault => {
            let message = request.marker().to_owned();
            reply.0.error =
                Some(proto::PluginError { message, code: signature, ..Default::default() });
            None
        }
    };
    reply.0.result = result;
    match contexts {
        Contexts::Returned => reply.with_state(request.request_id(), "number", &number),
        // The reference server brings no context back with an error.
        Contexts::Stamped if verdict != Verdict::Fault => reply,
        Contexts::Stamped | Contexts::None => reply.without_context(),
    }
}

/// A reply as to a call that nobody made: it allows.
pub(crate) fn invented(request: &Request, contexts: Contexts) -> Reply {
    let answer = fields([
        ("marker", Kind::StringValue("nobody".into())),
        ("number", Kind::StringValue("none".into())),
    ]);
    let mut reply = Reply::empty(request);
    reply.0.result = Some(fields([
        ("continue_processing", Kind::BoolValue(true)),
        ("modified_payload", Kind::StructValue(answer)),
    ]));
    match contexts {
        Contexts::Returned => reply.with_state("nobody", "number", "none"),
        Contexts::Stamped | Contexts::None => reply.without_context(),
    }
}
