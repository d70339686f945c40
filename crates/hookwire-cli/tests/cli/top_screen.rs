//! `hookwire top` in a terminal of 80 columns: a page of its own, which is given back.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::Parser;

use crate::harness::{HOOKWIRE, Server, text};

const LIMIT: Duration = Duration::from_secs(60);
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// A terminal, and the command that runs in it; killed when dropped.
struct Terminal {
    child: Child,
    keyboard: File,
    /// The end that programs have.
    own: File,
    output: Receiver<Vec<u8>>,
    seen: Parser,
}

impl Terminal {
    fn run(arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let own = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&own, size).unwrap();
        let child = Command::new(HOOKWIRE)
            .args(arguments)
            .env("TERM", "xterm")
            .stdin(own.try_clone().unwrap())
            .stdout(own.try_clone().unwrap())
            .stderr(own.try_clone().unwrap())
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let mut master = keyboard.try_clone().unwrap();
        let (sender, output) = channel();
        // Ends when nobody has the terminal any more, or nobody listens.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = master.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, own, output, seen: Parser::new(ROWS, COLUMNS, 0) }
    }

    fn shows(&mut self, what: &str, is_shown: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_shown(self.seen.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("never shown: {what}; but:\n{}", self.seen.screen().contents());
            };
            self.seen.process(&bytes);
        }
    }

    /// Whether what is typed is shown, and comes in lines.
    fn is_for_lines(&self) -> bool {
        let modes = tcgetattr(&self.own).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn leave_by(key: &[u8]) {
    let server = Server::start();
    let socket = server.socket();
    let mut terminal = Terminal::run(&["top", "--every", "0.05", text(&socket)]);
    terminal.shows("all plugins, ready", |screen| {
        let text = screen.contents();
        let ready =
            |plugin| text.lines().any(|line| line.contains(plugin) && line.contains("ready"));
        ["Replace", "Deny", "Echo"].into_iter().all(ready)
    });
    let screen = terminal.seen.screen();
    assert!(screen.alternate_screen() && screen.hide_cursor());
    let is_too_wide = (0..ROWS).any(|row| screen.row_wrapped(row));
    assert!(!is_too_wide, "a line is wider than the terminal:\n{}", screen.contents());
    assert!(!terminal.is_for_lines());

    terminal.keyboard.write_all(key).unwrap();
    terminal.shows("the page before", |screen| !screen.alternate_screen() && !screen.hide_cursor());
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(terminal.is_for_lines(), "it is left as it was found");
}

#[test]
fn it_shows_a_page_that_fits_and_gives_the_terminal_back_at_q() {
    leave_by(b"q");
}

#[test]
fn it_gives_the_terminal_back_at_ctrl_c() {
    leave_by(b"\x03");
}
