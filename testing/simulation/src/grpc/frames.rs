//! Where the frames of HTTP/2 begin and end in a stream of bytes.

pub const DATA: u8 = 0;
pub const RST_STREAM: u8 = 3;
pub const GOAWAY: u8 = 7;

/// Of `DATA` and `HEADERS`.
pub const END_STREAM: u8 = 1;

/// More than an end may send that was not allowed to.
pub const TOO_LONG: usize = 0xff_ffff;

/// What is in front of every frame.
const HEAD: usize = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Head {
    fn of([a, b, c, kind, flags, stream @ ..]: [u8; HEAD]) -> Self {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Self { length, kind, flags, stream: u32::from_be_bytes(stream) }
    }

    pub fn ends_stream(&self) -> bool {
        // DATA and HEADERS.
        self.kind <= 1 && self.flags & END_STREAM != 0
    }
}

/// A frame as it is written.
pub fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
}

/// What there is of a frame.
#[derive(Debug, Default)]
pub struct Frames {
    /// Of what comes before the first frame.
    skipped: usize,
    head: Vec<u8>,
    /// What is missing of the payload.
    left: usize,
}

impl Frames {
    /// Frames begin behind so many bytes.
    pub fn behind(skipped: usize) -> Self {
        Self { skipped, ..Self::default() }
    }

    /// Takes the next bytes. Shows each frame when its head is there, with each piece of its
    /// payload, and whether that is all of it.
    pub fn push(&mut self, mut bytes: &[u8], mut show: impl FnMut(Head, &[u8], bool)) {
        let skip = self.skipped.min(bytes.len());
        self.skipped -= skip;
        bytes = &bytes[skip..];
        while !bytes.is_empty() {
            let is_new = self.head.len() < HEAD;
            let missing = if is_new { HEAD - self.head.len() } else { self.left };
            let (now, later) = bytes.split_at(bytes.len().min(missing));
            bytes = later;
            if is_new {
                self.head.extend_from_slice(now);
            }
            let Ok(head) = <[u8; HEAD]>::try_from(&self.head[..]).map(Head::of) else { return };
            if is_new {
                self.left = head.length;
                show(head, &[], head.length == 0);
            } else {
                self.left -= now.len();
                show(head, now, self.left == 0);
            }
            if self.left == 0 {
                self.head.clear();
            }
        }
    }

    /// Whether the next byte begins a frame.
    pub fn is_between(&self) -> bool {
        self.skipped == 0 && self.head.is_empty()
    }

    /// How many of these bytes, which come next, belong to the frame that is there or begins.
    pub fn until_end(&self, bytes: &[u8]) -> usize {
        let missing = HEAD - self.head.len();
        if missing == 0 {
            return self.left.min(bytes.len());
        }
        let Some(rest) = bytes.get(..missing) else { return bytes.len() };
        let head = [&self.head[..], rest].concat();
        let length = <[u8; HEAD]>::try_from(head).map_or(0, |head| Head::of(head).length);
        (missing + length).min(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let stream = [frame(DATA, 1, b"abc"), frame(4, 0, b""), frame(GOAWAY, 0, b"12345678")];
        let stream = [&b"preface"[..], &stream.concat()].concat();
        for size in 1..=stream.len() {
            let mut frames = Frames::behind(7);
            let (mut whole, mut payload) = (Vec::new(), Vec::new());
            for chunk in stream.chunks(size) {
                frames.push(chunk, |head, piece, is_whole| {
                    payload.extend_from_slice(piece);
                    whole.extend(is_whole.then_some((head.kind, head.stream)));
                });
            }
            assert_eq!(whole, [(DATA, 1), (4, 0), (GOAWAY, 0)], "in pieces of {size}");
            assert_eq!(payload, b"abc12345678");
            assert!(frames.is_between());
        }
    }

    #[test]
    fn the_end_of_a_frame_is_known_from_any_point_of_it() {
        let stream = [frame(DATA, 1, b"abc"), frame(DATA, 1, b"defg")].concat();
        for at in 0..12 {
            let mut frames = Frames::default();
            frames.push(&stream[..at], |_, _, _| {});
            assert_eq!(frames.until_end(&stream[at..]), 12 - at, "from {at}");
        }
        assert_eq!(Frames::default().until_end(&stream[..5]), 5);
    }
}
