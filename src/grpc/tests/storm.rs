//! Everything at once, from one seed: what must hold whatever happens.

use super::fake::{Do, Mode};
use super::sharing::keyed;
use super::*;
use crate::unix::reconnect::ConnectionState;

const MILLISECOND: Duration = Duration::from_millis(1);

fn fault(random: &mut fastrand::Rng) -> Do {
    match random.u8(..6) {
        0 => Do::Reset(h2::Reason::REFUSED_STREAM),
        1 => Do::Reset(h2::Reason::CANCEL),
        2 => Do::Status(14, "no"),
        3 => Do::Pieces,
        4 => Do::NoTrailers,
        _ => Do::Stall,
    }
}

/// Calls one after the other; some leave early. How many were answered.
async fn call_and_leave(plugin: Arc<GrpcPlugin>, caller: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(caller);
    let mut answered = 0;
    for number in 0..40 {
        let text = format!("{caller}-{number}");
        let time = MILLISECOND * random.u32(1..400);
        let call = plugin.exchange(hook(&text, time));
        let patience = MILLISECOND * random.u32(1..400);
        if let Ok(Ok(reply)) = tokio::time::timeout(patience, call).await {
            assert_eq!(&reply.message[..], text.as_bytes());
            answered += 1;
        }
        tokio::time::sleep(MILLISECOND * random.u32(..20)).await;
    }
    answered
}

/// Several plugins share their connections, and the few streams of each.
async fn storm(seed: u64, plugins: usize) {
    let settings = Settings { max_in_flight: 4, ..Settings::default() };
    let servers: Vec<_> = (0..3).map(|_| Fake::new()).collect();
    let pool = (plugins > 1).then(Pool::default);
    if plugins > 1 {
        servers.iter().for_each(|server| server.max_streams(5));
    }
    let plugins: Vec<_> = (0..plugins)
        .map(|_| {
            let policy = CallPolicy::builder().queue_capacity(20).build().unwrap();
            let remotes = servers.iter().enumerate().map(|(at, server)| keyed(at, server));
            let remotes = Servers::Known(remotes.collect());
            plugin(remotes, settings.clone(), &policy, pool.clone()).0
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(seed);
    let callers = (0..40).map(|caller| {
        let plugin = &plugins[caller as usize % plugins.len()];
        tokio::spawn(call_and_leave(Arc::clone(plugin), seed * 1000 + caller))
    });
    let callers: Vec<_> = callers.collect();
    while !callers.iter().all(JoinHandle::is_finished) {
        let server = &servers[random.usize(..3)];
        match random.u8(..8) {
            0 => server.is(Mode::Down),
            1 => server.is(Mode::Frozen),
            2 => server.is(Mode::GoAway),
            3..6 => server.next(fault(&mut random)),
            _ => server.is(Mode::Up),
        }
        tokio::time::sleep(MILLISECOND * random.u32(1..50)).await;
    }
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    assert!(answered > 100, "{answered}");
    // Every place was given back, and nobody waits.
    servers.iter().for_each(|server| server.is(Mode::Up));
    settle().await;
    for plugin in &plugins {
        let locked = plugin.shared().lock();
        assert_eq!((locked.admission.load(), locked.admission.waiting()), (0, 0));
    }
    // All is well again, for all servers.
    tokio::time::sleep(Duration::from_secs(120)).await;
    for plugin in &plugins {
        for text in ["a", "b", "c", "d"] {
            while plugin.exchange(hook(text, TIMEOUT)).await.is_err() {}
        }
    }
    for plugin in &plugins {
        let locked = plugin.shared().lock();
        for connection in locked.open.iter().flatten().filter(|_| pool.is_some()) {
            assert_eq!(connection.session.streams.free(), 5);
        }
    }
    for plugin in &plugins {
        let cuts = plugin.shared().cuts();
        plugin.stop(Instant::now() + Duration::from_secs(1));
        let mut state = plugin.watch_state();
        state.wait_for(|state| *state == ConnectionState::Shutdown).await.unwrap();
        assert!(pool.is_some() || cuts.iter().all(|cut| cut.is_gone()));
    }
    assert_eq!(pool.map_or(0, |pool| pool.open()), 0);
}

#[tokio::test(start_paused = true)]
async fn in_a_storm_no_reply_is_anothers_no_place_is_lost_and_all_comes_back() {
    for seed in 0..4 {
        storm(seed, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_storm_that_plugins_share_no_stream_is_lost_either() {
    for seed in 0..4 {
        storm(seed, 8).await;
    }
}
