use super::*;

fn nested(depth: usize, content: &[u8]) -> Vec<u8> {
    let mut message = content.to_vec();
    for _ in 0..depth {
        let mut outer = vec![0x0a];
        encode_varint(message.len() as u64, &mut outer);
        outer.extend_from_slice(&message);
        message = outer;
    }
    message
}

#[test]
fn lengths_are_minimal_whatever_the_content() {
    for depth in 1..6 {
        for size in [0, 1, 100, 120, 126, 127, 128, 129, 2047, 2048, 16_383, 16_384, 70_000] {
            let content = vec![7_u8; size];
            let mut expected = vec![0x1a];
            encode_varint(size as u64, &mut expected);
            expected.extend_from_slice(&content);

            let mut one_by_one = Writer::with_capacity(0);
            let mut at_once = Writer::with_capacity(0);
            for _ in 0..depth {
                one_by_one.begin(0x0a).and(at_once.begin(0x0a)).unwrap();
            }
            one_by_one.string(0x1a, &content);
            at_once.string(0x1a, &content);
            (0..depth).for_each(|_| one_by_one.end(1));
            (0..depth / 3).for_each(|_| at_once.end(3));
            at_once.end(depth % 3);

            let expected = nested(depth, &expected);
            assert_eq!(one_by_one.into_message(), expected, "depth {depth}, size {size}");
            assert_eq!(at_once.into_message(), expected, "depth {depth}, size {size}");
        }
    }
}

#[test]
fn many_long_strings_widen_the_open_lengths_again_and_again() {
    let mut writer = Writer::with_capacity(0);
    writer.begin(0x0a).and_then(|()| writer.begin(0x0a)).unwrap();
    let mut content = Vec::new();
    for size in [10, 3000, 14_000, 20, 3_000_000, 5] {
        let text = vec![b'x'; size];
        writer.string(0x1a, &text);
        content.push(0x1a);
        encode_varint(size as u64, &mut content);
        content.extend_from_slice(&text);
    }
    writer.end(2);
    assert_eq!(writer.into_message(), nested(2, &content));
}

#[test]
fn a_frame_starts_with_its_length_in_four_big_endian_bytes() {
    let mut writer = Writer::with_capacity(0);
    writer.string(0x0a, &[b'a'; 300]);
    let frame = writer.take_frame().unwrap();
    assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    let mut writer = Writer::with_capacity(0);
    assert!((0..MAX_LEVELS).all(|_| writer.begin(0x0a).is_ok()));
    let refused = EncodeError::from(writer.begin(0x0a).unwrap_err());
    assert!(matches!(refused, EncodeError::TooDeep { .. }));
}
