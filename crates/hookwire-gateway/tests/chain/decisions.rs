//! Hooks whose answer is a decision or a part of the payload.

use hookwire::hooks::{
    HttpAuthCheckPermission, HttpAuthCheckPermissionPayload, HttpPostRequest,
    HttpPostRequestPayload, HttpPreRequest, HttpPreRequestPayload, IdentityResolve,
    IdentityResolvePayload, PermissionDecision,
};
use hookwire_gateway::{Chain, Halted, Passed, RequestContext};
use serde_json::{Value, json};

use crate::world::{Act, in_time, world};

fn answer(modified: Value) -> Act {
    Act::Json(json!({"continue_processing": true, "modified_payload": modified}))
}

type Decided = Result<Passed<Option<PermissionDecision>>, Box<Halted>>;

async fn permission(chain: &Chain) -> Decided {
    let asked = HttpAuthCheckPermissionPayload::new("ada@example.org", "tools.execute");
    let mut request = RequestContext::new("1");
    in_time("a run", chain.decide::<HttpAuthCheckPermission>(asked, &mut request)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_decision_counts_and_its_plugin_is_named() {
    let granted = |reason: &str| answer(json!({"granted": true, "reason": reason}));
    let world = world([
        ("First", granted("one"), json!({"priority": 1})),
        ("Last", granted("two"), json!({"priority": 2})),
        ("Silent", Act::Allow, json!({"priority": 3})),
        ("Audit", granted("three"), json!("audit")),
        ("Beside", granted("four"), json!("concurrent")),
    ])
    .await;
    let (decision, report) = permission(&world.chain()).await.unwrap().into_parts();
    assert_eq!(decision.unwrap().reason.as_deref(), Some("two"));
    assert_eq!(json!(report.metadata()), json!({"_decision_plugin": "Last"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_decision_nothing_is_granted() {
    let world = world([("Silent", Act::Allow, json!({}))]).await;
    assert!(permission(&world.chain()).await.unwrap().value().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_not_granted_is_a_denial_but_for_audit() {
    for (mode, denies) in
        [("sequential", true), ("transform", true), ("concurrent", true), ("audit", false)]
    {
        let entry = json!({"mode": mode, "on_error": "ignore"});
        let world = world([("Rbac", answer(json!({"granted": false})), entry)]).await;
        match permission(&world.chain()).await {
            Ok(passed) => assert!(!denies && passed.value().is_none(), "{mode}"),
            Err(halted) => {
                let denial = halted.denial().unwrap();
                assert!(denies && denial.plugin() == "Rbac", "{mode}");
                assert_eq!(denial.violation().unwrap().plugin_name.as_deref(), Some("Rbac"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_identity_is_a_denial() {
    let rejected = answer(json!({"rejected": true, "reject_status": 401, "reject_reason": "no"}));
    let world = world([("Jwt", rejected, json!({}))]).await;
    let mut request = RequestContext::new("1");
    let asked = IdentityResolvePayload::new("token");
    let run = in_time("a run", world.chain().decide::<IdentityResolve>(asked, &mut request)).await;
    assert_eq!(run.unwrap_err().denial().unwrap().plugin(), "Jwt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_change_are_merged_into_the_payload_for_the_next_plugin_too() {
    let world = world([
        ("A", answer(json!({"AUTHORIZATION": "plugin", "x-added": "a"})), json!({})),
        ("B", answer(json!({"X-Added": "b"})), json!({})),
    ])
    .await;
    let sent = [("authorization", "client"), ("accept", "*/*")];
    let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let payload = HttpPreRequestPayload::new("/", "GET").with_headers(sent.into());
    let mut request = RequestContext::new("1");
    let run = |chain: Chain| {
        let (payload, mut request) = (payload.clone(), request.clone());
        async move {
            let passed = in_time("a run", chain.run::<HttpPreRequest>(payload, &mut request)).await;
            json!(passed.unwrap().into_value().headers)
        }
    };
    assert_eq!(
        run(world.chain()).await,
        json!({"accept": "*/*", "authorization": "client", "X-Added": "b"})
    );
    let trusting = world.builder().protected_headers([""; 0]).build().unwrap();
    assert_eq!(
        run(trusting).await,
        json!({"accept": "*/*", "AUTHORIZATION": "plugin", "X-Added": "b"})
    );

    let payload = HttpPostRequestPayload::new("/", "GET");
    let ran = world.chain().run::<HttpPostRequest>(payload, &mut request).await.unwrap();
    let headers = json!(ran.into_value().response_headers);
    assert_eq!(headers, json!({"AUTHORIZATION": "plugin", "X-Added": "b"}));
}
