use futures::FutureExt as _;

use super::*;

fn entered(streams: &Arc<Streams>) -> Vec<Stream> {
    std::iter::from_fn(|| streams.enter()).collect()
}

#[test]
fn no_more_are_open_than_the_limit_whatever_it_becomes() {
    let streams = Arc::new(Streams::new(3));
    let mut open = entered(&streams);
    assert_eq!(open.len(), 3);
    streams.set_limit(1);
    for left in (0..3).rev() {
        assert!(streams.enter().is_none(), "{left} more than the limit are open");
        open.pop();
    }
    assert_eq!(entered(&streams).len(), 1);
    // Raised before those that were too many are gone.
    let mut open = entered(&streams);
    streams.set_limit(usize::MAX);
    open.extend((0..5).filter_map(|_| streams.enter()));
    streams.set_limit(2);
    streams.set_limit(4);
    open.truncate(4);
    assert!(streams.enter().is_none());
    open.clear();
    assert_eq!(entered(&streams).len(), 4);
}

#[test]
fn a_server_that_takes_none_is_asked_all_the_same() {
    assert_eq!(entered(&Arc::new(Streams::new(0))).len(), 1);
}

#[test]
fn who_waits_longest_is_next_and_nobody_overtakes_him() {
    let streams = Arc::new(Streams::new(1));
    let open = streams.enter();
    let mut first = Box::pin(streams.wait());
    let mut second = Box::pin(streams.wait());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(open);
    assert!(streams.enter().is_none(), "it is the first one's");
    assert!(second.as_mut().now_or_never().is_none());
    // One who leaves hands it on.
    drop(first);
    assert!(second.now_or_never().is_some());
}
