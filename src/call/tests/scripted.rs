//! Scripts of the fault server over in-memory pipes: its faults, at their exact moment.

use std::sync::Arc;
use std::time::Duration;

use fault_server::{Connection, Reply};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

use super::pipe::{Server, call, call_sized, config, failure, pair};
use crate::error::ErrorKind;

const SECOND: Duration = Duration::from_secs(1);

async fn accept(server: &mut Server) -> Connection<DuplexStream> {
    Connection::new(0, server.accept_pipe().await, Arc::default())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_read_byte_by_byte_through_a_narrow_pipe_is_answered() {
    let (client, mut server) = pair(&config(|c| c.timeout(3_600 * SECOND)), 16);
    let started = Instant::now();
    let slow = call_sized(&client, "slow", 400);
    let mut connection = accept(&mut server).await;
    for _ in 0..400 {
        connection.sip(1).await.unwrap();
        sleep(SECOND).await;
    }
    let request = connection.request().await.unwrap();
    connection.reply(Reply::to(&request)).await.unwrap();
    let result = slow.await.unwrap().unwrap();
    assert_eq!(result.modified_payload.unwrap()["marker"], "slow");
    assert_eq!(started.elapsed().as_secs(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_stops_at_any_byte_costs_its_call_the_deadline_and_no_more() {
    let whole = {
        let (client, mut server) = pair(&config(|c| c), 1 << 16);
        let _call = call(&client, "m");
        let request = accept(&mut server).await.request().await.unwrap();
        Reply::to(&request).frame()
    };
    for at in 0..whole.len() {
        let (client, mut server) = pair(&config(|c| c), 1 << 16);
        let started = Instant::now();
        let cut = call(&client, "m");
        let mut connection = accept(&mut server).await;
        connection.request().await.unwrap();
        connection.raw(&whole[..at]).await.unwrap();
        assert_eq!(failure(cut).await.kind(), ErrorKind::Timeout, "after {at} bytes");
        // A timer of tokio has a resolution of a millisecond.
        let late = started.elapsed() - 10 * SECOND;
        assert!(late <= Duration::from_millis(1), "after {at} bytes: {late:?} late");
    }
}
