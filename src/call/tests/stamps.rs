//! What a stamp puts into a request, takes out of a reply, and does not let through.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use prost::Message as _;
use prost_types::value::Kind;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::pipe::{PLUGIN, Peer, Server, config, pair, response};
use crate::call::Caller;
use crate::config::RetryPolicy;
use crate::error::{Cause, ErrorKind, PluginError, Sent};
use crate::model::{PluginContext, PluginResult, STAMP_KEY};
use crate::options::CallOptions;
use crate::wire::proto;

type Fields = BTreeMap<String, prost_types::Value>;
type Stamped = JoinHandle<(Result<PluginResult<Value>, PluginError>, PluginContext)>;

fn stamped() -> (Arc<Caller>, Server) {
    pair(&config(|c| c.stamp(true)), 1 << 16)
}

fn context(metadata: Value) -> PluginContext {
    PluginContext::new("request-1").with_metadata(serde_json::from_value(metadata).unwrap())
}

/// A call whose context is looked at afterwards.
fn call(client: &Arc<Caller>, marker: &str, mut context: PluginContext) -> Stamped {
    let (client, payload) = (Arc::clone(client), json!({"marker": marker}));
    tokio::spawn(async move {
        let options = CallOptions::new();
        let answer = client.invoke("test_hook", &payload, &context, options, |_| None).await;
        let result = answer.map(|(result, reply)| {
            reply.into_iter().for_each(|reply| reply.apply_to(&mut context));
            result
        });
        (result, context)
    })
}

async fn request(peer: &mut Peer) -> proto::InvokeHookRequest {
    proto::InvokeHookRequest::decode(peer.0.next().await.unwrap().unwrap()).unwrap()
}

fn metadata(request: &proto::InvokeHookRequest) -> Fields {
    let context = request.context.clone().unwrap();
    context.metadata.map(|metadata| metadata.fields).unwrap_or_default()
}

fn text(value: &str) -> prost_types::Value {
    prost_types::Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

/// A reply that allows and brings this metadata back.
fn reply(request: &proto::InvokeHookRequest, metadata: Fields) -> proto::InvokeHookResponse {
    let metadata = Some(prost_types::Struct { fields: metadata });
    let context = proto::PluginContext { metadata, ..request.context.clone().unwrap() };
    proto::InvokeHookResponse { context: Some(context), ..response(PLUGIN, "") }
}

fn error(message: &str) -> proto::InvokeHookResponse {
    let error = proto::PluginError { message: message.to_owned(), ..Default::default() };
    proto::InvokeHookResponse { result: None, error: Some(error), ..response(PLUGIN, "") }
}

async fn send(peer: &mut Peer, reply: &proto::InvokeHookResponse) {
    peer.send(reply.encode_to_vec().into()).await;
}

/// How a call ends that gets what `change` makes of the right metadata.
async fn changed(change: impl FnOnce(&mut Fields)) -> Cause {
    let (client, mut server) = stamped();
    let call = call(&client, "", context(json!({"note": 1})));
    let mut peer = server.accept().await;
    let request = request(&mut peer).await;
    let mut fields = metadata(&request);
    change(&mut fields);
    send(&mut peer, &reply(&request, fields)).await;
    let (result, after) = call.await.unwrap();
    assert!(peer.is_closed().await, "the connection is still there");
    assert_eq!(after, context(json!({"note": 1})), "the context was changed");
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::BadReply, Sent::Maybe));
    assert_eq!(client.stats().mismatches, 1);
    error.cause().clone()
}

#[tokio::test(start_paused = true)]
async fn a_stamp_goes_out_beside_the_callers_metadata_and_is_taken_out_of_the_reply() {
    for before in [json!({}), json!({"note": 1, "tags": ["a"]})] {
        let (client, mut server) = stamped();
        let call = call(&client, "", context(before.clone()));
        let mut peer = server.accept().await;
        let request = request(&mut peer).await;
        let mut fields = metadata(&request);
        assert_eq!(fields.len(), before.as_object().unwrap().len() + 1);
        assert!(matches!(
            &fields[STAMP_KEY].kind,
            Some(Kind::StringValue(stamp)) if stamp.len() == 32
        ));
        fields.insert("added".to_owned(), text("by the plugin"));
        send(&mut peer, &reply(&request, fields)).await;

        let (result, after) = call.await.unwrap();
        assert!(result.unwrap().continue_processing);
        let mut expected = before;
        expected["added"] = json!("by the plugin");
        assert_eq!(after, context(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_has_another_stamp() {
    let (client, mut server) = stamped();
    let first = call(&client, "", context(json!({})));
    let second = call(&client, "", context(json!({})));
    let mut peer = server.accept().await;
    let stamps = [request(&mut peer).await, request(&mut peer).await].map(|r| metadata(&r));
    assert_ne!(stamps[0][STAMP_KEY], stamps[1][STAMP_KEY]);
    drop((first, second));
}

#[tokio::test(start_paused = true)]
async fn without_stamp_nothing_is_added_and_the_key_is_the_callers_own() {
    let (client, mut server) = pair(&config(|c| c), 1 << 16);
    for own in [json!({}), json!({STAMP_KEY: "mine"})] {
        let call = call(&client, "", context(own.clone()));
        if own == json!({}) {
            let mut peer = server.accept().await;
            assert_eq!(metadata(&request(&mut peer).await), Fields::new());
            drop(peer);
            assert!(call.await.unwrap().0.is_err());
            continue;
        }
        let mut peer = server.accept().await;
        let request = request(&mut peer).await;
        send(&mut peer, &reply(&request, metadata(&request))).await;
        assert_eq!(call.await.unwrap().1, context(own));
    }
}

/// It could be overwritten, and was lost then, or written twice, and one of the two
/// would be taken out of the reply.
// Promise: S3
#[tokio::test(start_paused = true)]
async fn a_caller_that_uses_the_key_itself_is_refused_before_sending() {
    let (client, mut server) = stamped();
    let (result, _) = call(&client, "", context(json!({STAMP_KEY: "mine"}))).await.unwrap();
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::InvalidRequest, Sent::No));
    assert!(error.to_string().contains("`hookwire.stamp`"), "{error}");
    assert!(server.nobody_came());
}

// Promise: S1
#[tokio::test(start_paused = true)]
async fn a_foreign_stamp_is_a_mismatch() {
    for foreign in ["00000000000000000000000000000000", "", "short"] {
        let cause = changed(|fields| {
            fields.insert(STAMP_KEY.to_owned(), text(foreign));
        });
        assert!(matches!(cause.await, Cause::Mismatch { field: "stamp" }), "{foreign}");
    }
}

// Promise: S1
#[tokio::test(start_paused = true)]
async fn metadata_without_a_stamp_proves_nothing() {
    let removed = changed(|fields| {
        fields.remove(STAMP_KEY);
    });
    assert!(matches!(removed.await, Cause::Unproven));
    assert!(matches!(changed(Fields::clear).await, Cause::Unproven));
    let null = changed(|fields| {
        let null = prost_types::Value { kind: Some(Kind::NullValue(0)) };
        fields.insert(STAMP_KEY.to_owned(), null);
    });
    assert!(matches!(null.await, Cause::Unproven));
}

// Promise: S1
#[tokio::test(start_paused = true)]
async fn a_result_without_a_context_proves_nothing() {
    let (client, mut server) = stamped();
    let call = call(&client, "", context(json!({})));
    let mut peer = server.accept().await;
    request(&mut peer).await;
    send(&mut peer, &response(PLUGIN, "")).await;
    let failed = call.await.unwrap().0.unwrap_err();
    assert!(matches!(failed.cause(), Cause::Unproven), "{failed}");
    assert!(peer.is_closed().await);
}

/// protobuf: the last of two entries with one key is the one that counts.
#[tokio::test(start_paused = true)]
async fn of_two_stamps_in_one_reply_the_last_one_counts() {
    for own_last in [true, false] {
        let (client, mut server) = stamped();
        let call = call(&client, "", context(json!({})));
        let mut peer = server.accept().await;
        let request = request(&mut peer).await;
        let own = reply(&request, metadata(&request)).encode_to_vec();
        let foreign = Fields::from([(STAMP_KEY.to_owned(), text("foreign"))]);
        let foreign = reply(&request, foreign).encode_to_vec();
        // The merger of two messages is what their concatenation parses to.
        let both = if own_last { [foreign, own] } else { [own, foreign] };
        peer.send(both.concat().into()).await;
        assert_eq!(call.await.unwrap().0.is_ok(), own_last);
    }
}

/// It brings no context, so whose it is cannot be proven; it allows nothing either.
// Promise: S2
#[tokio::test(start_paused = true)]
async fn an_error_of_the_plugin_needs_no_stamp_and_keeps_the_connection() {
    let (client, mut server) = stamped();
    let failing = call(&client, "", context(json!({})));
    let mut peer = server.accept().await;
    request(&mut peer).await;
    send(&mut peer, &error("no")).await;
    assert_eq!(failing.await.unwrap().0.unwrap_err().kind(), ErrorKind::Plugin);

    let next = call(&client, "", context(json!({})));
    let second = request(&mut peer).await;
    send(&mut peer, &reply(&second, metadata(&second))).await;
    assert!(next.await.unwrap().0.is_ok());
}

// Promise: S2
#[tokio::test(start_paused = true)]
async fn an_error_that_brings_a_context_must_bring_the_stamp_too() {
    let foreign = Fields::from([(STAMP_KEY.to_owned(), text("foreign"))]);
    for (foreign, reason) in [(Fields::new(), "unproven"), (foreign, "mismatch")] {
        let (client, mut server) = stamped();
        let call = call(&client, "", context(json!({})));
        let mut peer = server.accept().await;
        let request = request(&mut peer).await;
        let context = reply(&request, foreign).context;
        send(&mut peer, &proto::InvokeHookResponse { context, ..error("no") }).await;
        assert_eq!(call.await.unwrap().0.unwrap_err().reason(), reason);
        assert!(peer.is_closed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_sent_again_keeps_its_stamp() {
    let (client, mut server) = pair(&config(|c| c.stamp(true).retry(RetryPolicy::Resend)), 1 << 16);
    let call = call(&client, "", context(json!({})));
    let first = request(&mut server.accept().await).await;
    let mut peer = server.accept().await;
    let second = request(&mut peer).await;
    assert_eq!(metadata(&first), metadata(&second));
    send(&mut peer, &reply(&second, metadata(&second))).await;
    assert!(call.await.unwrap().0.is_ok());
}

/// It may well have run: what came is no sign that it was lost.
// Promise: S1
#[tokio::test(start_paused = true)]
async fn a_call_whose_result_proves_nothing_is_not_sent_again_even_where_that_is_allowed() {
    let stamped = Some("00000000000000000000000000000000");
    for (foreign, reason) in [(stamped, "mismatch"), (None, "unproven")] {
        let resends = config(|c| c.stamp(true).retry(RetryPolicy::Resend));
        let (client, mut server) = pair(&resends, 1 << 16);
        let call = call(&client, "", context(json!({})));
        let mut peer = server.accept().await;
        let request = request(&mut peer).await;
        let stamp = foreign.map(|stamp| (STAMP_KEY.to_owned(), text(stamp)));
        send(&mut peer, &reply(&request, stamp.into_iter().collect())).await;
        let error = call.await.unwrap().0.unwrap_err();
        assert_eq!((error.reason(), error.sent()), (reason, Sent::Maybe), "{error}");
        assert!(peer.0.next().await.is_none(), "on the same connection");
        assert!(server.nobody_came(), "on another connection");
        assert_eq!(client.stats().retries, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_about_the_configuration_carries_no_stamp() {
    let (client, mut server) = stamped();
    let asking = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.plugin_config(PLUGIN, CallOptions::new()).await })
    };
    let mut peer = server.accept().await;
    let message = peer.0.next().await.unwrap().unwrap();
    assert_eq!(proto::GetPluginConfigRequest { name: PLUGIN.into() }.encode_to_vec(), message);
    peer.send(Vec::new().into()).await;
    assert_eq!(asking.await.unwrap().unwrap().0, None);
}
