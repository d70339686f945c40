//! The wire format by hand, and replies that are made to cost their reader.

/// A field of this tag and content.
pub(super) fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(content);
    field
}

/// A map entry; a null needs no bytes.
pub(super) fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    let value = if value.is_empty() { Vec::new() } else { field(0x12, value) };
    field(0x0a, &[field(0x0a, key.as_bytes()), value].concat())
}

pub(super) fn object(entries: &[u8]) -> Vec<u8> {
    field(0x2a, entries)
}

/// As many of `items` as fit into `size` bytes, in a list.
pub(super) fn list(items: &[u8], size: usize) -> Vec<u8> {
    field(0x32, &items.repeat(size / items.len()))
}

pub(super) fn item(value: &[u8]) -> Vec<u8> {
    field(0x0a, value)
}

/// As many entries as fit into `size` bytes, each with its own short key.
pub(super) fn entries(size: usize, value: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(size + 64);
    let pattern = entry("1234", value);
    for number in 0..(size / pattern.len()) as u32 {
        all.extend_from_slice(&pattern);
        let key = all.len() - pattern.len() + 4;
        // Four digits of base 95, which are the printable letters.
        for (place, byte) in all[key..key + 4].iter_mut().rev().enumerate() {
            *byte = b' ' + (number / 95_u32.pow(place as u32) % 95) as u8;
        }
    }
    all
}

/// Values of about `size` bytes, by what they are full of.
pub(super) fn shapes(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let letter = [0x1a, 1, b'x'];
    let number = [0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
    let row = [entry("id", &number), entry("name", &[0x1a, 3, b'A', b'd', b'a'])].concat();
    // Entries that leave out key and value: six bytes for an object and its place.
    let bare = object(&[0x0a, 0]);
    let nested = (0..30).fold(bare.clone(), |inner, _| object(&field(0x0a, &field(0x12, &inner))));
    vec![
        ("one long string", field(0x1a, &vec![b'x'; size])),
        ("nulls", list(&[0x0a, 0], size)),
        ("letters", list(&item(&letter), size)),
        ("numbers", list(&item(&number), size)),
        ("empty lists", list(&item(&[0x32, 0]), size)),
        ("empty objects", list(&item(&[0x2a, 0]), size)),
        ("objects with an empty key", list(&item(&bare), size)),
        ("objects in objects", list(&item(&nested), size)),
        ("rows of a table", list(&item(&object(&row)), size)),
        ("objects of twelve keys", list(&item(&object(&entries(12 * 8, &[]))), size)),
        ("keys", object(&entries(size - 16, &[]))),
        ("keys of letters", object(&entries(size - 16, &letter))),
    ]
}

/// A reply whose result has this value under `key`.
pub(super) fn reply(key: &str, value: &[u8]) -> Vec<u8> {
    let result = [entry("continue_processing", &[0x20, 1]), entry(key, value)].concat();
    [field(0x0a, b"Guard"), field(0x12, &result)].concat()
}
