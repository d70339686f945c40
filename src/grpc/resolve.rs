//! From names to addresses.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

/// All addresses of a name, as [`in_order`] has them.
///
/// It asks the system (`getaddrinfo`), on a thread of the runtime's, with no time limit of its own:
/// once for all who ask for the same name at the same time.
///
/// # Errors
/// If the system knows no address, or cannot tell. What was known before then stays true.
///
/// # Cancel safety
/// Dropped, the system's question goes on by itself, and its answer is that of whoever asks
/// meanwhile.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let name = host.to_owned();
    let ask = move || (&*name, 0).to_socket_addrs().map(in_order);
    let addresses = once(host, ask).await.map_err(|error| {
        io::Error::new(error.kind(), format!("the name `{host}` cannot be resolved: {error}"))
    })?;
    if addresses.is_empty() {
        let none = format!("the name `{host}` has no address");
        return Err(io::Error::new(io::ErrorKind::NotFound, none));
    }
    let at_port = |mut address: SocketAddr| {
        address.set_port(port);
        address
    };
    Ok(addresses.into_iter().map(at_port).collect())
}

type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// The questions that are under way in this process, by name. A name server that is gone lets each
/// of them take its thread for half a minute, and those threads are all of the gateway's.
static ASKED: LazyLock<Mutex<HashMap<String, watch::Receiver<Option<Found>>>>> =
    LazyLock::new(Mutex::default);

fn asked() -> MutexGuard<'static, HashMap<String, watch::Receiver<Option<Found>>>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A question that is under way, until it is answered or its runtime has ended.
struct Question {
    name: String,
    answer: watch::Sender<Option<Found>>,
}

impl Drop for Question {
    fn drop(&mut self) {
        asked().remove(&self.name);
    }
}

/// The answer to the question for this name that is under way, or to a new one.
async fn once(
    name: &str,
    ask: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Found {
    let (mut answer, new) = {
        let mut asked = asked();
        if let Some(answer) = asked.get(name) {
            (answer.clone(), None)
        } else {
            let (sender, answer) = watch::channel(None);
            asked.insert(name.to_owned(), answer.clone());
            (answer, Some(Question { name: name.to_owned(), answer: sender }))
        }
    };
    // Not under the lock: a runtime that has ended drops it at once.
    if let Some(question) = new {
        spawn_blocking(move || {
            question.answer.send_replace(Some(ask().map_err(Arc::new)));
        });
    }
    let found = answer.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    found.unwrap_or_else(|| Err(Arc::new(io::Error::other("the runtime has ended"))))
}

/// Each address once, sorted: resolvers shuffle, and that is no change.
pub(crate) fn in_order(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.into_iter().collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use futures::FutureExt as _;
    use tokio::time::timeout;

    use super::*;

    /// Far above what the system takes for its own names.
    const LIMIT: Duration = Duration::from_secs(20);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_that_is_told_twice_is_one_server() {
        let twice = addresses(&["10.0.0.2:1", "[::1]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(in_order(twice), addresses(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"]));
    }

    #[tokio::test]
    async fn an_address_and_the_systems_own_name_are_resolved() {
        let own = timeout(LIMIT, resolve("::1", 7)).await.unwrap().unwrap();
        assert_eq!(own, addresses(&["[::1]:7"]));
        let local = timeout(LIMIT, resolve("localhost", 7)).await.unwrap().unwrap();
        assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
    }

    /// Else a name server that says nothing would take all threads for that from the process.
    #[tokio::test]
    async fn a_name_is_asked_for_once_at_a_time_however_many_want_it_and_leave() {
        let (answer, answers) = std::sync::mpsc::channel::<()>();
        let answers = Arc::new(Mutex::new(answers));
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
            once("asked-once.test", move || {
                asked.fetch_add(1, SeqCst);
                answers.lock().unwrap().recv().unwrap();
                Ok(addresses(&["10.0.0.1:0"]))
            })
        };
        for _ in 0..100 {
            assert!(ask().now_or_never().is_none());
        }
        let mut waits = Box::pin(ask());
        assert!((&mut waits).now_or_never().is_none());
        answer.send(()).unwrap();
        assert_eq!(timeout(LIMIT, waits).await.unwrap().unwrap(), addresses(&["10.0.0.1:0"]));
        assert_eq!(asked.load(SeqCst), 1);
        // And anew for whoever comes later.
        answer.send(()).unwrap();
        while asked.load(SeqCst) < 2 {
            drop(timeout(LIMIT, ask()).await.unwrap());
        }
    }

    /// Refused without a question: it is no name.
    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_told() {
        let error = timeout(LIMIT, resolve("a b", 7)).await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("the name `a b` cannot be resolved: "), "{error}");
    }
}
