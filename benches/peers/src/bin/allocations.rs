//! Counts the allocations of a call on the client's side, its connection's task
//! included, and prints them as JSON.
//!
//! Everything of the client runs on this thread, which is the one that is
//! counted; the server has its own.

#[path = "../../../common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use hookwire::PluginHandle;
use hookwire::hooks::PromptPreFetch;

use common::null_server::{Answer, NullServer};
use common::sample;

const CALLS: usize = 2_000;
const IDLE: usize = 100;

fn main() {
    let answer = Answer::new(&sample::reply_frame(&sample::payload()));
    let server = NullServer::threads("allocations", answer);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let handle = sample::handle(server.path(), 1);

    let mut counts = BTreeMap::new();
    for callers in [1, 64] {
        let work = || {
            let tasks: Vec<_> =
                (0..callers).map(|_| runtime.spawn(typed(handle.clone()))).collect();
            runtime.block_on(async {
                for task in tasks {
                    task.await.expect("a caller does not fail");
                }
            });
        };
        // The first calls make buffers that later ones use again.
        work();
        let info = allocation_counter::measure(work);
        let calls = (callers * CALLS) as f64;
        let who = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
        counts.insert(format!("typed, {who}: allocations"), info.count_total as f64 / calls);
        counts.insert(format!("typed, {who}: bytes"), info.bytes_total as f64 / calls);
    }
    let result = sample::payload();
    let info = allocation_counter::measure(|| drop(result.clone()));
    counts.insert(
        "typed, of these for the payload in the result: allocations".to_owned(),
        info.count_total as f64,
    );

    // Long enough for connections to notice that they are idle and to give memory back.
    let quiet = Duration::from_millis(1_500);
    let mut idle = Vec::new();
    let info = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..IDLE {
                let handle = sample::handle(server.path(), 1);
                let (payload, mut context) = (sample::payload(), sample::context());
                let call = handle.invoke_hook::<PromptPreFetch>(&payload, &mut context);
                assert!(call.await.expect("the plugin answers").is_allowed());
                idle.push(handle);
            }
            tokio::time::sleep(quiet).await;
        });
    });
    let live = |count: i64| count as f64 / IDLE as f64;
    counts.insert("idle plugin: live allocations".to_owned(), live(info.count_current));
    counts.insert("idle plugin: live bytes".to_owned(), live(info.bytes_current));
    println!("{}", serde_json::to_string(&counts).expect("a map of numbers is JSON"));
}

fn typed(handle: PluginHandle) -> impl Future<Output = ()> + Send {
    let (payload, mut context) = (sample::payload(), sample::context());
    async move {
        for _ in 0..CALLS {
            let call = handle.invoke_hook::<PromptPreFetch>(&payload, &mut context);
            assert!(call.await.expect("the plugin answers").is_allowed());
        }
    }
}
