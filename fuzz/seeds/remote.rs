//! What others may send or write where a plugin is reached over gRPC.

use hookwire_fuzz::grpc::{CUT, END, FRAME, MESSAGE, RAW, STATUS, TRAILERS, TYPE, response};

use super::Seeds;

fn part(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[(value.len() as u8) << 3 | kind][..], value].concat()
}

fn named<const N: usize>(seeds: [(&str, Vec<u8>); N]) -> Seeds {
    seeds.map(|(name, seed)| (name.to_owned(), seed)).into()
}

pub(super) fn responses() -> Seeds {
    let grpc = part(TYPE, b"application/grpc");
    let (frame, ok) = (part(FRAME, b"reply"), part(STATUS, b"0"));
    let (cut, trailers) = (vec![CUT], vec![TRAILERS]);
    let prefix = part(RAW, &[0, 0, 0, 0, 65]);
    let with = |parts: &[&[u8]]| [&[&grpc[..]], parts].concat().concat();
    let reply = with(&[&frame, &trailers, &ok]);
    assert!(response(&reply).0.trailers.is_some());
    named([
        ("a_reply", reply),
        (
            "in_pieces",
            with(&[
                &part(RAW, &[0, 0, 0]),
                &cut,
                &part(RAW, &[0, 1]),
                &cut,
                &part(RAW, b"x"),
                &trailers,
                &ok,
            ]),
        ),
        ("an_error", with(&[&part(STATUS, b"14"), &part(MESSAGE, b"gone%0a%ff")])),
        ("a_message_and_an_error", with(&[&frame, &trailers, &part(STATUS, b"13")])),
        ("without_a_status", with(&[&frame])),
        ("an_early_ok", with(&[&ok, &frame])),
        ("two_statuses", with(&[&frame, &trailers, &ok, &part(STATUS, b"2")])),
        ("an_ok_with_a_sign", with(&[&frame, &trailers, &part(STATUS, b"+0")])),
        ("beyond_the_limit", with(&[&prefix, &cut, &trailers, &ok])),
        ("two_messages", with(&[&frame, &frame, &trailers, &ok])),
        ("compressed", with(&[&part(RAW, &[1, 0, 0, 0, 0]), &trailers, &ok])),
        ("reset_within_a_message", with(&[&part(RAW, &[0, 0, 0, 0, 9]), &[8 << 3 | END]])),
        ("refused", vec![7 << 3 | END]),
        (
            "an_error_page",
            [part(TYPE, b"text/html"), part(RAW, b"<html>"), vec![29 << 3 | END]].concat(),
        ),
    ])
}

pub(super) fn requests() -> Seeds {
    let whole = part(FRAME, b"request");
    let pieces = [part(RAW, &[0, 0]), vec![CUT], part(RAW, &[0, 0, 1]), vec![CUT], part(RAW, b"x")];
    let mut seeds = named([
        ("a_request", whole.clone()),
        ("in_pieces", pieces.concat()),
        ("beyond_the_limit", part(RAW, &[0, 0, 0, 0, 65])),
        ("compressed", part(RAW, &[1, 0, 0, 0, 0])),
        ("two_messages", [&whole[..], &whole].concat()),
    ]);
    for text in ["2H", "2M", "2S", "2m", "2u", "0n", "99999999H", "123456789S"] {
        seeds.push((format!("within_{text}"), text.into()));
    }
    seeds
}

pub(super) fn targets() -> Seeds {
    named([
        ("a_name", b"guard.example:50051".into()),
        ("a_name_by_dns", b"dns:///Guard.Example.:50051".into()),
        ("an_address", b"127.0.0.1:50051".into()),
        ("an_address_of_ipv6", b"[::1]:50051".into()),
        ("with_a_scope", b"[fe80::1%2]:50051".into()),
        ("mapped", b"[::ffff:127.0.0.1]:50051".into()),
        ("addresses", b"ipv4:127.0.0.1:1,10.0.0.1:2".into()),
        ("addresses_of_ipv6", b"ipv6:[::1]:1,[fd00::2]:2".into()),
        ("a_short_address", b"127.1:50051".into()),
        ("with_a_scheme", b"https://u:?@guard.example:443".into()),
        ("a_socket", b"unix:/run/a.sock".into()),
    ])
}

/// Bytes below 8 stand for parts of a pair that the target makes, 8 for the next file.
pub(super) fn files() -> Seeds {
    let within = |label: &str, inner: &[u8]| {
        [format!("-----BEGIN {label}-----\n").as_bytes(), inner].concat()
    };
    named([
        ("a_pair", vec![0, 8, 1]),
        ("a_pair_in_one_file", vec![0, 1]),
        ("another_pair", vec![4, 0, 8, b'\n', 5]),
        ("not_of_one_pair", vec![0, 8, 5]),
        ("two_authorities", vec![0, 4]),
        ("in_parts", [within("CERTIFICATE", &[2]), vec![8, 1]].concat()),
        ("encrypted", [vec![0, 8], within("ENCRYPTED PRIVATE KEY", &[3])].concat()),
        ("half_a_key", [vec![0, 8], within("PRIVATE KEY", &[3])].concat()),
        (
            "an_unfinished_key_in_a_chain",
            [vec![0], within("PRIVATE KEY", b"PTED\n"), vec![0, 1]].concat(),
        ),
        ("no_certificate", within("CERTIFICATE", b"AAAA\n-----END CERTIFICATE-----\n")),
        ("nothing", Vec::new()),
    ])
}
