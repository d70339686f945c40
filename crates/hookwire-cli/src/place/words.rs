//! The library's words for the settings of gRPC, and the flags that set them.

/// The keys of a configuration, and the flags of a command that calls.
const OF_CLIENTS: [(&str, &str); 18] = [
    ("name", "--plugin"),
    ("target", "--grpc"),
    ("targets", "--grpc"),
    ("uds", "--grpc unix:PATH"),
    ("grpc.uds", "--grpc unix:PATH"),
    ("tls", "--tls"),
    ("tls: {}", "--tls"),
    ("ca_bundle", "--cacert"),
    ("tls.ca_bundle", "--cacert"),
    ("certfile", "--cert"),
    ("tls.certfile", "--cert"),
    ("keyfile", "--key"),
    ("tls.keyfile", "--key"),
    ("server_name", "--server-name"),
    ("plaintext", "--plaintext"),
    ("plaintext: true", "--plaintext"),
    ("max_message_len", "--max-frame-len"),
    ("max_reply_len", "--max-frame-len"),
];

/// The same of `serve`.
const OF_SERVERS: [(&str, &str); 5] = [
    ("ca_bundle", "--client-ca"),
    ("certfile", "--cert"),
    ("keyfile", "--key"),
    ("plaintext", "--plaintext"),
    ("tls", "--cert` and `--key"),
];

/// The flag that sets this key of a configuration, which may have its section before it.
pub(super) fn flag(field: &str) -> &str {
    let key = field.rsplit('.').next().unwrap_or(field);
    OF_CLIENTS.iter().find(|(known, _)| *known == key).map_or(field, |(_, flag)| flag)
}

/// A sentence for whoever calls by flags.
pub(crate) fn of_clients(text: &str) -> String {
    translated(text, &OF_CLIENTS)
}

/// A sentence for whoever serves by flags.
pub(crate) fn of_servers(text: &str) -> String {
    translated(text, &OF_SERVERS)
}

/// The library sets keys in backticks, and nothing else that is called as they are.
fn translated(text: &str, flags: &[(&str, &str)]) -> String {
    let parts = text.split('`').enumerate().map(|(at, part)| {
        let flag = flags.iter().find(|(key, _)| at % 2 == 1 && *key == part);
        flag.map_or(part, |(_, flag)| flag)
    });
    parts.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_as_the_flag_that_sets_it() {
        let told =
            of_clients("is a name, and there is no `tls`; add `tls: {}`, with a `ca_bundle`");
        assert_eq!(told, "is a name, and there is no `--tls`; add `--tls`, with a `--cacert`");
        assert_eq!(flag("grpc.tls.keyfile"), "--key");
        assert_eq!(flag("grpc.timeout"), "grpc.timeout", "that it does not know");
    }

    #[test]
    fn what_is_no_key_stays_as_it_is() {
        let words = "the target `guard:1` has tls, `and` no target";
        assert_eq!(of_clients(words), words);
        assert_eq!(of_servers("set `tls`, or"), "set `--cert` and `--key`, or");
    }
}
