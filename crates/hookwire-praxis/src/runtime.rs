//! The runtime that the connections live on.
//!
//! Not the engine's: a host may initialise its plugins on a runtime that it throws away
//! afterwards, or drive one only now and then.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

/// One thread for all plugins of the process, made when the first plugin is configured. It is
/// never stopped: any engine may come to need it.
pub(crate) fn driver() -> io::Result<Handle> {
    static DRIVER: Mutex<Option<Runtime>> = Mutex::new(None);
    let mut driver = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*driver {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("hookwire-praxis")
        .enable_all()
        .build()?;
    Ok(driver.insert(runtime).handle().clone())
}
