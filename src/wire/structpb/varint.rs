//! Base-128 varints, as protobuf writes lengths, tags and integers.

/// How many bytes `value` takes.
#[inline]
pub(crate) fn encoded_len(value: u64) -> usize {
    // One byte for each started group of seven bits; zero takes one.
    ((64 - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// Appends `value` in its shortest form.
#[inline]
pub(crate) fn write_varint(buf: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buf.push(value as u8 | 0x80);
        value >>= 7;
    }
    buf.push(value as u8);
}

/// Reads a varint at the start of `data`: its value and its size.
///
/// Forms longer than needed are valid protobuf. `None` if it is cut off, or
/// longer than the ten bytes of 64 bits.
#[inline]
pub(crate) fn read_varint(data: &[u8]) -> Option<(u64, usize)> {
    match data.first() {
        Some(&byte) if byte < 0x80 => Some((u64::from(byte), 1)),
        Some(_) => read_long_varint(data),
        None => None,
    }
}

fn read_long_varint(data: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (i, &byte) in data.iter().take(10).enumerate() {
        // The tenth byte holds the one bit that is left.
        if i == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64) {
            let mut buf = Vec::new();
            write_varint(&mut buf, value);
            prop_assert_eq!(buf.len(), encoded_len(value));
            prop_assert_eq!(read_varint(&buf), Some((value, buf.len())));
            prop_assert_eq!(read_varint(&buf[..buf.len() - 1]), None);
        }
    }

    #[test]
    fn an_overlong_form_is_read() {
        assert_eq!(read_varint(&[0x85, 0x80, 0x80, 0x00]), Some((5, 4)));
    }

    #[test]
    fn more_than_64_bits_are_refused() {
        assert_eq!(read_varint(&[0xff; 11]), None);
        let mut too_big = [0xff; 10];
        too_big[9] = 0x02;
        assert_eq!(read_varint(&too_big), None);
    }
}
