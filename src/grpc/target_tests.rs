use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> String {
    Target::parse(text).expect_err(text)
}

fn host(host: &str, port: u16) -> Target {
    Target::Host { host: host.into(), port }
}

fn at(addresses: &[&str]) -> Target {
    Target::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect())
}

#[test]
fn each_form_is_read() {
    for (text, target) in [
        ("guard.example:50051", host("guard.example", 50051)),
        ("guard:1", host("guard", 1)),
        ("guard.svc.cluster.local.:65535", host("guard.svc.cluster.local.", 65535)),
        ("my_guard-1.x:80", host("my_guard-1.x", 80)),
        ("dns:///guard.example:50051", host("guard.example", 50051)),
        ("10.0.0.7:50051", at(&["10.0.0.7:50051"])),
        ("dns:///10.0.0.7:50051", at(&["10.0.0.7:50051"])),
        ("[::1]:50051", at(&["[::1]:50051"])),
        ("[fe80::1%2]:50051", at(&["[fe80::1%2]:50051"])),
        ("ipv4:10.0.0.1:1", at(&["10.0.0.1:1"])),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", at(&["10.0.0.1:1", "10.0.0.2:2"])),
        ("ipv6:[fd00::1]:1,[fd00::2]:2", at(&["[fd00::1]:1", "[fd00::2]:2"])),
    ] {
        assert_eq!(Target::parse(text), Ok(target), "{text}");
    }
}

#[test]
fn a_name_is_held_in_lower_case_so_that_equal_targets_are_equal() {
    assert_eq!(Target::parse("Guard.Example:1"), Target::parse("guard.example:1"));
}

#[test]
fn a_port_must_be_there() {
    let behind_host = "has no port; write it behind the host, as in `guard.example:50051`";
    assert_eq!((&*refused("guard"), &*refused("10.0.0.1")), (behind_host, behind_host));
    let behind_address = "has no port; write it behind the address, as in `[::1]:50051`";
    assert_eq!(refused("[::1]"), behind_address);
}

#[test]
fn a_port_must_be_a_number_that_can_be_connected_to() {
    for text in ["a:", "a:0", "a:65536", "a:-1", "a:+1", "a:1e3", "a:http", "[::1]:0", "10.0.0.1:0"]
    {
        assert_eq!(refused(text), "must end with a port, a number from 1 to 65535", "{text}");
    }
}

#[test]
fn a_uri_is_refused_and_says_what_its_scheme_is_here() {
    assert!(refused("https://guard:443").ends_with("for TLS, set `tls: {}`"));
    assert!(refused("http://guard:80").ends_with("set `plaintext: true`"));
    assert!(refused("xds:///guard:80").ends_with("no other scheme is known"));
    assert!(refused("passthrough:///guard:80").ends_with("no other scheme is known"));
}

#[test]
fn a_unix_socket_is_refused_in_favour_of_uds() {
    for text in ["unix:/run/p.sock", "unix:///run/p.sock", "unix-abstract:p"] {
        let told = "names a Unix socket; set `uds` to its path instead";
        assert_eq!(refused(text), told, "{text}");
    }
    assert_eq!(refused("/run/p.sock"), "is a path; of a Unix socket it is `uds`");
}

#[test]
fn a_list_with_commas_is_refused_in_favour_of_targets() {
    assert_eq!(refused("a:1,b:2"), "is one server; several are a list, `targets`");
    assert_eq!(refused("dns:///a:1,b:2"), "is one server; several are a list, `targets`");
}

#[test]
fn an_ipv6_address_without_brackets_is_refused() {
    for text in ["::1:50051", "::1", "fd00::1:50051", "a:1:2"] {
        assert!(refused(text).starts_with("an IPv6 address must be in brackets"), "{text}");
    }
}

#[test]
fn brackets_hold_an_ipv6_address() {
    assert_eq!(refused("[::1"), "has no `]` behind the IPv6 address");
    for text in ["[]:1", "[10.0.0.1]:1", "[guard]:1", "[fe80::1%eth0]:1"] {
        assert_eq!(refused(text), "has no IPv6 address in its brackets", "{text}");
    }
}

#[test]
fn another_dns_server_cannot_be_named() {
    for text in ["dns:guard:1", "dns://8.8.8.8/guard:1", "dns:/guard:1"] {
        assert!(refused(text).starts_with("must be `dns:///host:port`"), "{text}");
    }
}

#[test]
fn a_list_of_addresses_has_addresses_of_its_family_only() {
    for text in ["ipv4:guard:1", "ipv4:[::1]:1", "ipv6:10.0.0.1:1", "ipv4:", "ipv4:10.0.0.1:1,"] {
        assert!(refused(text).contains("list"), "{text}");
    }
}

#[test]
fn an_address_is_not_listed_twice() {
    assert_eq!(refused("ipv4:10.0.0.1:1,10.0.0.1:1"), "has an address twice");
}

#[test]
fn an_address_to_listen_at_is_refused_with_one_to_connect_to() {
    assert!(refused("0.0.0.0:5").contains("connect to `127.0.0.1` or `[::1]`"));
    assert!(refused("[::]:5").contains("connect to `127.0.0.1` or `[::1]`"));
    assert!(refused("224.0.0.1:5").contains("multicast"));
}

/// The system's resolver would make addresses of them, and some of these are loopback.
#[test]
fn what_looks_like_an_address_is_never_a_name() {
    for text in ["127.1:1", "2130706433:1", "0x7f000001:1", "256.0.0.1:1", "1.2.3.4.5:1", "a.0x1:1"]
    {
        assert!(refused(text).starts_with("ends like an address and is none"), "{text}");
    }
}

#[test]
fn a_host_is_a_name_and_nothing_else() {
    for text in ["user@guard:1", "guard/x:1", "-a:1", "a-.b:1", "a..b:1", "*.a:1"] {
        assert!(refused(text).starts_with("has no host name"), "{text}");
    }
    assert!(refused(&format!("{}:1", "a".repeat(64))).starts_with("has no host name"));
    assert!(refused(&format!("{}b:1", "a.".repeat(127))).starts_with("has no host name"));
    assert_eq!(refused(":1"), "has no host before its port");
    assert_eq!(refused(".:1"), "has no host before its port");
    assert_eq!(refused("wächter:1"), "must have its name in ASCII, as `xn--…`");
}

#[test]
fn spaces_and_control_characters_are_refused() {
    for text in ["a:1 ", " a:1", "a\n:1", "a\u{1b}[2J:1", "ipv4:10.0.0.1:1, 10.0.0.2:1"] {
        assert_eq!(refused(text), "must not contain spaces or control characters", "{text:?}");
    }
    assert_eq!(refused(""), "must not be empty");
}

/// Found by fuzzing: `IPV4:1` was a host, and was shown as a list of addresses.
#[test]
fn a_scheme_in_capitals_is_no_host() {
    for text in ["IPV4:1", "ipV6:1", "Dns:1", "UNIX:1", "Unix-Abstract:1", "dns:///ipv4:1"] {
        let reason = Target::parse(text).unwrap_err();
        assert!(reason.contains("a scheme where its host should be"), "{text}: {reason}");
    }
    let host = host("ipv4.", 1);
    assert_eq!(Target::parse("IPV4.:1"), Ok(host.clone()));
    assert_eq!(Target::parse(&host.to_string()), Ok(host));
}

#[test]
fn only_loopback_addresses_and_sockets_are_local() {
    let is_local = |text: &str| Target::parse(text).unwrap().is_local();
    assert!(is_local("127.0.0.1:1") && is_local("127.8.9.1:1") && is_local("[::1]:1"));
    assert!(is_local("[::ffff:127.0.0.1]:1"), "the system connects to 127.0.0.1");
    assert!(is_local("ipv4:127.0.0.1:1,127.0.0.1:2"));
    assert!(!is_local("ipv4:127.0.0.1:1,10.0.0.1:1"));
    assert!(!is_local("10.0.0.1:1") && !is_local("[fd00::1]:1") && !is_local("[fe80::1%1]:1"));
    assert!(Target::Unix("/run/p.sock".into()).is_local());
}

#[test]
fn a_name_is_not_local_whatever_it_resolves_to() {
    for text in ["localhost:1", "localhost.localdomain:1", "dns:///localhost:1"] {
        assert!(!Target::parse(text).unwrap().is_local(), "{text}");
    }
}

/// Pieces that targets are made of, so that more than noise is tried.
fn like_a_target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9.:%,/@-]{0,8}".prop_map(String::from),
        prop::sample::select(vec![
            "dns:///",
            "dns:",
            "ipv4:",
            "ipv6:",
            "unix:",
            "https://",
            "[::1]",
            "[fe80::1%1]",
            "]",
            "[",
            "127.0.0.1",
            "10.0.0.1",
            "0.0.0.0",
            ":",
            ":0",
            ":50051",
            ":65536",
            ",",
            "guard",
            ".",
            "0x7f",
        ])
        .prop_map(String::from),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in like_a_target()) {
        let _ = Target::parse(&text);
    }

    #[test]
    fn what_is_shown_reads_as_the_same(text in like_a_target()) {
        if let Ok(target) = Target::parse(&text) {
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
    }

    #[test]
    fn addresses_that_are_shown_read_as_the_same(
        v4 in prop::collection::hash_set((any::<[u8; 4]>(), 1..=u16::MAX), 1..4),
        v6 in prop::collection::hash_set((any::<[u8; 16]>(), 1..=u16::MAX), 1..4),
    ) {
        let v4 = Vec::from_iter(v4.into_iter().map(SocketAddr::from));
        let v6 = Vec::from_iter(v6.into_iter().map(SocketAddr::from));
        for addresses in [v4, v6] {
            if addresses.iter().all(|address| usable(*address).is_ok()) {
                let target = Target::Addresses(addresses);
                prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
            }
        }
    }

    #[test]
    fn a_port_that_is_taken_is_the_one_that_was_written(port in 0..=99_999_u32) {
        let target = Target::parse(&format!("guard:{port}"));
        match u16::try_from(port) {
            Ok(port) if port > 0 => prop_assert_eq!(target, Ok(host("guard", port))),
            _ => prop_assert!(target.is_err()),
        }
    }
}
