//! Faults that take the whole process down, or stop it: the test binary is started again
//! and runs the same test, which finds that it is the child.
//!
//! Parent and child talk in lines: the child's over its stdout, where the test runner
//! writes too, the parent's over the child's stdin. A child that has done everything ends
//! by [`succeed`]; the test runner, which cannot know that status, is no part of it.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Far above what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Set for the child.
const ROLE: &str = "HOOKWIRE_TEST_CHILD";

/// What the child's own lines begin with.
const MARK: &str = "child: ";

/// The line after which nobody reads what the child writes.
const UNHEARD: &str = "from here on";

/// No status that a test runner or a panic ends with.
const SUCCESS: i32 = 42;

/// What the parent tells its child, in the child; `None` in the parent.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Ends the child: it has done everything.
pub(crate) fn succeed() -> ! {
    process::exit(SUCCESS)
}

/// Tells the parent a line.
pub(crate) fn tell(line: &str) {
    // At the beginning of a line, wherever the test runner's own has stopped.
    println!("\n{MARK}{line}");
    stdout().flush().expect("the parent listens");
}

/// From here on nobody reads what this process writes: every write fails.
pub(crate) fn unheard() {
    tell(UNHEARD);
    told();
}

/// Waits for the parent's next line.
pub(crate) fn told() -> String {
    let mut line = String::new();
    stdin().read_line(&mut line).expect("the parent has something to tell");
    line.trim_end().to_owned()
}

/// A test in a process of its own; killed when dropped.
pub(crate) struct Child {
    process: process::Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Child {
    /// Starts the test with this name, for this role.
    pub(crate) fn start(test: &str, role: &str) -> Self {
        Self::start_with(test, role, Stdio::inherit())
    }

    fn start_with(test: &str, role: &str, stderr: Stdio) -> Self {
        let binary = std::env::current_exe().expect("the test binary");
        let mut process = Command::new(binary)
            .args([test, "--exact", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the test binary starts");
        let input = process.stdin.take().expect("stdin is piped");
        let stdout = process.stdout.take().expect("stdout is piped");
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match line.strip_prefix(MARK) {
                    Some(UNHEARD) => return,
                    // Goes on reading when nobody listens: the pipe must stay open.
                    Some(line) => drop(sender.send(line.to_owned())),
                    None => {}
                }
            }
        });
        Self { process, input, output }
    }

    /// Reads nothing more of what the child writes, once it [asks for it](unheard).
    pub(crate) fn start_unheard(test: &str, role: &str) -> Self {
        let mut child = Self::start_with(test, role, Stdio::piped());
        let ended = child.output.recv_timeout(LIMIT);
        assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "the child does not ask for it");
        drop(child.process.stderr.take());
        child.tell("nobody reads");
        child
    }

    /// The child's next line.
    pub(crate) fn line(&mut self) -> String {
        self.output.recv_timeout(LIMIT).unwrap_or_else(|why| {
            panic!("the child tells nothing ({why}): {:?}", self.process.try_wait())
        })
    }

    /// Tells the child a line.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the child listens");
    }

    /// Stops the process, and returns once it does not run any more.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        let stopped = waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("our own child");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "{stopped:?}");
    }

    /// Lets a stopped process run on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("our own child");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Waits for the child's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.try_wait().expect("our own child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the child does not end");
            // std has no wait with a timeout.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the child's end, which must be [`succeed`].
    pub(crate) fn has_succeeded(&mut self) {
        let status = self.ended();
        assert_eq!(status.code(), Some(SUCCESS), "the child has failed: {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
