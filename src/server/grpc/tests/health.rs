//! Both health services.

use super::*;
use crate::wire::proto::{HealthCheckRequest, HealthCheckResponse};

const CPEX: &str = "/cpex.Health/Check";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;

fn about(service: &str) -> Vec<u8> {
    HealthCheckRequest { service: service.into() }.encode_to_vec()
}

fn status(message: &[u8]) -> i32 {
    HealthCheckResponse::decode(message).unwrap().status
}

#[tokio::test]
async fn both_services_tell_whether_the_server_takes_calls() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    for (serving, expected) in [(true, SERVING), (false, NOT_SERVING), (true, SERVING)] {
        server.set_serving(serving);
        for (path, service) in [
            (CPEX, ""),
            (CPEX, "nonsense"),
            (CHECK, ""),
            (CHECK, "cpex.PluginService"),
            (CHECK, "cpex.Health"),
            (CHECK, "grpc.health.v1.Health"),
        ] {
            let answer = client.call(path, &about(service)).await;
            assert_eq!(status(answer.message()), expected, "{path} {service}");
        }
        // Calls are answered either way.
        client.invoke().await.message();
    }
    let answer = client.call(CHECK, &about("nonsense")).await;
    assert_eq!((answer.code, &*answer.reason), (5, "no such service"));
}

/// The messages of a watch, one at a time.
struct Watching(Incoming);

impl Watching {
    async fn start(client: &Client, service: &str) -> Self {
        let response = within(client.send(WATCH, &[], framed(&about(service)))).await.unwrap();
        Self(response.into_body())
    }

    /// The next status, or `None` where the stream ends well.
    async fn next(&mut self) -> Option<i32> {
        let frame = within(self.0.frame()).await.unwrap().unwrap();
        match frame.into_data() {
            Ok(data) => Some(status(&data[5..])),
            Err(trailers) => {
                assert_eq!(trailers.into_trailers().unwrap()["grpc-status"], "0");
                None
            }
        }
    }
}

#[tokio::test]
async fn a_watch_tells_what_holds_and_each_change() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let mut watching = Watching::start(&client, "").await;
    assert_eq!(watching.next().await, Some(SERVING));
    server.set_serving(false);
    assert_eq!(watching.next().await, Some(NOT_SERVING));
    // No change is told twice.
    server.set_serving(false);
    server.set_serving(true);
    assert_eq!(watching.next().await, Some(SERVING));
    let mut unknown = Watching::start(&client, "nonsense").await;
    assert_eq!(unknown.next().await, Some(SERVICE_UNKNOWN));
}

#[tokio::test]
async fn a_server_that_stops_is_not_serving_first_and_watches_do_not_hold_it() {
    let gate = Gate::new();
    let server = gate.server().bind_grpc(local()).await.unwrap();
    let client = Client::to(&server).await;
    let mut watching = Watching::start(&client, "").await;
    assert_eq!(watching.next().await, Some(SERVING));
    let call = waiting_call(&client);
    gate.begun(1).await;

    let stopped = tokio::spawn(server.shutdown(LIMIT));
    assert_eq!(watching.next().await, Some(NOT_SERVING));
    assert_eq!(watching.next().await, None);
    gate.open.add_permits(1);
    within(call).await.unwrap().unwrap().message();
    within(stopped).await.unwrap();
}

/// Where the client takes nothing, the end of the watch cannot be told.
#[tokio::test]
async fn a_watch_that_is_not_read_does_not_hold_a_server_that_stops() {
    let server = echo().bind_grpc(local()).await.unwrap();
    let client = Client::that_takes_nothing(&server).await;
    let _unread = Watching::start(&client, "").await;
    within(server.shutdown(Duration::from_secs(3600))).await;
}
