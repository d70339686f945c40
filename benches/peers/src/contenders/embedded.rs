//! The crate's own server with a plugin that does nothing: of the kind that tarpc and tonic
//! have, an event loop and a handler that is given the payload as a value.

use std::path::PathBuf;

use hookwire::PluginResult;
use hookwire::hooks::PromptPreFetch;
use hookwire::server::{Handlers, PluginServer};

use crate::common::sample;

/// Starts the server on a thread of its own.
pub fn serve(path: PathBuf) {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let plugin = Handlers::new().on::<PromptPreFetch>(|_payload, _context| async {
                Ok(PluginResult::modify(sample::payload()))
            });
            let server = PluginServer::builder().plugin(sample::PLUGIN, plugin).bind(path).await;
            let _server = server.expect("a socket");
            ready.send(()).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    is_ready.recv().expect("the server starts");
}
