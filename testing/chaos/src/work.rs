//! What a call asks for and what must come back: computed from the call's marker
//! and its payload, by the server and by the judge, each for itself.

use std::fmt;
use std::str::FromStr;

use hookwire::Hook;
use serde::{Deserialize, Serialize};

use crate::dice::scramble;

/// The largest payload of a call.
pub(crate) const LARGEST: usize = 1024 * 1024;

/// The one call of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) caller: u32,
    pub(crate) number: u32,
    /// Its caller allows that its hook runs more than once.
    pub(crate) may_repeat: bool,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.may_repeat { '+' } else { '-' };
        write!(f, "{}{sign}{}", self.caller, self.number)
    }
}

impl FromStr for Marker {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let at = text.find(['+', '-']).ok_or(())?;
        let number = |part: &str| part.parse().map_err(|_| ());
        let (caller, number) = (number(&text[..at])?, number(&text[at + 1..])?);
        Ok(Self { caller, number, may_repeat: &text[at..=at] == "+" })
    }
}

/// What a plugin that does its work says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// With the payload it came with, if `echo`.
    Allow {
        echo: bool,
    },
    Deny,
    /// An error in the plugin's own words.
    Fault,
}

/// The verdict on a call, and a number that only its marker and payload lead to.
pub(crate) fn work(marker: Marker, filler: &str) -> (Verdict, String) {
    let key = scramble(u64::from(marker.caller) << 32 | u64::from(marker.number));
    let verdict = match key % 16 {
        0..=3 => Verdict::Deny,
        4 => Verdict::Fault,
        5..=7 => Verdict::Allow { echo: true },
        _ => Verdict::Allow { echo: false },
    };
    (verdict, format!("{:016x}", key ^ digest(filler.as_bytes())))
}

/// The number as a server of this version writes it.
pub(crate) fn signed(number: &str, version: usize) -> String {
    format!("{number}/{version}")
}

/// The number in an answer, and the version of the server that wrote it.
pub(crate) fn unsigned(signed: &str) -> (&str, Option<usize>) {
    match signed.split_once('/') {
        Some((number, version)) => (number, version.parse().ok()),
        None => (signed, None),
    }
}

/// Eight bytes at a time: a megabyte must not take longer than the call.
fn digest(bytes: &[u8]) -> u64 {
    let mut digest = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        digest =
            (digest.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    chunks.remainder().iter().fold(digest, |digest, byte| scramble(digest ^ u64::from(*byte)))
}

/// Text without a period shorter than itself, for payloads to be cut from.
pub(crate) fn text() -> &'static str {
    static TEXT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let mut text: String =
            (0..).map(|i| format!("{:016x}", scramble(i))).take(2 * LARGEST / 16).collect();
        text.truncate(2 * LARGEST);
        text
    });
    &TEXT
}

/// The hook of all calls: `tool_pre_invoke`, with types of our own.
pub(crate) enum Work {}

impl Hook for Work {
    const NAME: &'static str = "tool_pre_invoke";
    type Payload = Question;
    type Modified = Answer;
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) args: Args,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Args {
    pub(crate) marker: String,
    pub(crate) filler: &'static str,
}

impl Question {
    pub(crate) fn new(marker: Marker, filler: &'static str) -> Self {
        Self { name: "chaos", args: Args { marker: marker.to_string(), filler } }
    }
}

/// The payload that a plugin answers with when it allows a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) marker: String,
    pub(crate) number: String,
    pub(crate) filler: Option<String>,
}
