//! The terminal: a page of its own, given back however the command ends.

use std::io::{self, Write};
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{execute, queue};
use tokio::sync::watch;

use super::table::Size;

/// A key is noticed by then.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Screen {
    /// True once the user wants to leave.
    quit: watch::Receiver<bool>,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let (leave, quit) = watch::channel(false);
        // From here on it is given back when it is dropped.
        let screen = Self { quit };
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        // Reading a terminal blocks. Ends with the screen.
        std::thread::spawn(move || {
            while !leave.is_closed() && !wants_to_leave().unwrap_or(true) {}
            leave.send_replace(true);
        });
        Ok(screen)
    }

    /// Waits until the user wants to leave.
    pub(super) async fn quit(&mut self) {
        // The thread says so before it ends.
        let _ = self.quit.wait_for(|quit| *quit).await;
    }

    pub(super) fn show(&self, draw: impl FnOnce(Size) -> Vec<String>) -> io::Result<()> {
        let (columns, lines) = size()?;
        let mut stdout = io::stdout().lock();
        let picture = draw((columns.into(), lines.into()));
        for (at, line) in (0_u16..).zip(picture) {
            queue!(stdout, MoveTo(0, at), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(stdout, Clear(ClearType::FromCursorDown))?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

fn wants_to_leave() -> io::Result<bool> {
    if !event::poll(LOOK)? {
        return Ok(false);
    }
    Ok(match event::read()? {
        Event::Key(KeyEvent { code: KeyCode::Char('q' | 'Q') | KeyCode::Esc, .. }) => true,
        Event::Key(KeyEvent { code: KeyCode::Char('c'), modifiers, .. }) => {
            modifiers.contains(KeyModifiers::CONTROL)
        }
        _ => false,
    })
}
