//! What the number of connections, and of calls written ahead on each, do for three
//! kinds of plugins on the reference server: the grounds for the defaults.
//!
//! The server works on one call of a connection at a time, in one thread for all.

use std::path::Path;
use std::time::Duration;

use hookwire::UnixSocketConfig;
use serde::Serialize;

use crate::common::null_server::{Answer, NullServer};
use crate::common::sample;
use crate::contenders::ours::Typed;
use crate::contenders::reference::{ReferenceServer, python};
use crate::load::{self, median, throughput};
use crate::number::number;
use crate::process::processor;

const CALLERS: usize = 64;
const CONNECTIONS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const IN_FLIGHT: [usize; 5] = [1, 4, 16, 64, 256];
const ROUNDS: usize = 3;

/// The plugins, by their names on the reference server.
const PLUGINS: [(&str, &str); 3] =
    [("Null", "answers at once"), ("Waits", "waits 10 ms"), ("Burns", "burns 2 ms of CPU")];

/// Calls per second.
#[derive(Serialize)]
pub struct Defaults {
    machine: String,
    workers: usize,
    /// By plugin, then connections; the default of calls written ahead.
    connections: Vec<Vec<f64>>,
    /// By server (the reference with the first plugin, then the null server), then
    /// calls written ahead; one connection.
    in_flight: Vec<Vec<f64>>,
}

pub fn measure(workers: usize, quick: bool) -> Result<Defaults, String> {
    let turn = Duration::from_millis(if quick { 200 } else { 1_500 });
    let reference = ReferenceServer::start(&python()?)?;
    let socket = reference.socket();
    let runtime = load::runtime(workers);
    let calls = |plugin: &str, socket: &Path, connections: usize, in_flight: usize| {
        let _runtime = runtime.enter();
        let call = Typed::new(sample::handle_to(plugin, socket, |socket| {
            socket.max_connections(connections).max_in_flight(in_flight)
        }));
        // The first calls open the connections.
        throughput(&runtime, &call, CALLERS, turn / 5);
        let turns = (0..ROUNDS).map(|_| throughput(&runtime, &call, CALLERS, turn));
        median(&turns.collect::<Vec<_>>())
    };
    let ahead = UnixSocketConfig::builder("/any").build().expect("a path is enough");
    let ahead = ahead.max_in_flight();

    let by_connections = |&(plugin, _): &(&str, &str)| -> Vec<f64> {
        CONNECTIONS.map(|connections| calls(plugin, &socket, connections, ahead)).into()
    };
    let connections = PLUGINS.iter().map(by_connections).collect();
    let null =
        NullServer::threads("defaults", Answer::new(&sample::reply_frame(&sample::payload())));
    let in_flight = [socket.as_path(), null.path()]
        .map(|server| IN_FLIGHT.map(|ahead| calls(sample::PLUGIN, server, 1, ahead)).into());
    let defaults =
        Defaults { machine: processor(), workers, connections, in_flight: in_flight.into() };
    println!("{}", defaults.markdown());
    Ok(defaults)
}

impl Defaults {
    /// The tables, as the text of a Markdown page.
    pub fn markdown(&self) -> String {
        let rows = |heads: &[usize], rows: Vec<(&str, &Vec<f64>)>| {
            let heads: Vec<_> = heads.iter().map(usize::to_string).collect();
            let mut text =
                format!("| {} |\n|---|{}", heads.join(" | "), "---:|".repeat(heads.len()));
            for (name, figures) in rows {
                let figures: Vec<_> = figures.iter().map(|figure| number(*figure)).collect();
                text += &format!("\n| {name} | {} |", figures.join(" | "));
            }
            text
        };
        let plugins = PLUGINS.iter().map(|(_, what)| *what).zip(&self.connections).collect();
        let servers = ["the reference server", "the null server"].into_iter().zip(&self.in_flight);
        format!(
            "\nOn {}, calls per second of {CALLERS} callers.\n\n\
             By connections, on the reference server, with the default of `max_in_flight`:\n\n\
             | the plugin {}\n\n\
             By `max_in_flight`, on one connection, with a plugin that answers at once:\n\n\
             | the server {}\n",
            self.machine,
            rows(&CONNECTIONS, plugins),
            rows(&IN_FLIGHT, servers.collect()),
        )
    }
}
