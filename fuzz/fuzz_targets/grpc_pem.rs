//! Any files as certificates and keys: what is taken for a certificate and its key belongs
//! together, and no error quotes what is in a file.
//!
//! Bytes below 8 stand for certificates and keys that are made anew for each run: nothing that
//! is kept has a key in it. 8 is where the second file begins.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use hookwire::fuzz_bridge::grpc::{authorities, identity};
use hookwire_fuzz::memory::within_bounds;
use libfuzzer_sys::fuzz_target;
use rcgen::{CertificateParams, KeyPair};

/// Of two servers: a certificate, its key, and both as they are inside their lines.
struct Known {
    parts: Vec<String>,
    secrets: Vec<String>,
    directory: tempfile::TempDir,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let (mut parts, mut secrets) = (Vec::new(), Vec::new());
        for name in ["a", "b"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new([name.to_owned()]).expect("a name");
            let certificate = params.self_signed(&key).expect("a certificate").pem();
            let key = key.serialize_pem();
            let body = |pem: &str| Vec::from_iter(pem.lines().map(str::to_owned));
            secrets.extend(body(&key)[1..3].iter().map(|line| line[line.len() - 12..].to_owned()));
            let inner = body(&certificate)[1..].join("\n");
            parts.extend([certificate, key.clone(), inner, body(&key)[1].clone()]);
        }
        let directory = tempfile::tempdir().expect("a directory");
        Known { parts, secrets, directory }
    })
}

fn expand(bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    for byte in bytes {
        match known().parts.get(usize::from(*byte)) {
            Some(part) => whole.extend(part.bytes()),
            None => whole.push(*byte),
        }
    }
    whole
}

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = known().directory.path().join(name);
    fs::write(&path, content).expect("a file");
    path
}

/// Names one of the files, and nothing that is in it.
fn check_words(words: &str, paths: &[&PathBuf]) {
    let is_named = |path: &&PathBuf| words.contains(&*path.to_string_lossy());
    assert!(paths.iter().any(is_named), "{words}");
    assert!(!known().secrets.iter().any(|secret| words.contains(&**secret)), "{words}");
    let told = paths
        .iter()
        .fold(words.to_owned(), |words, path| words.replace(&*path.to_string_lossy(), ""));
    const WORDS: [&str; 12] = [
        "`certfile`  ",
        "`keyfile`  ",
        "`ca_bundle`  ",
        "is empty",
        "is not valid PEM",
        "holds no certificate in PEM (`BEGIN CERTIFICATE`)",
        "holds a certificate that cannot be read",
        "holds no key in PEM (`BEGIN PRIVATE KEY`)",
        "holds a key of a kind that is not supported",
        "does not belong to the certificate in ",
        "is encrypted, which is not supported; decrypt it, for example with `openssl pkey`, and let nobody else read the file",
        "is too large to be what it should be",
    ];
    let rest = WORDS.iter().fold(told.clone(), |told, words| told.replace(words, ""));
    assert_eq!(rest, "", "of {told}");
}

fuzz_target!(|bytes: &[u8]| {
    let (first, second) = match bytes.iter().position(|byte| *byte == 8) {
        Some(at) => (expand(&bytes[..at]), expand(&bytes[at + 1..])),
        None => (expand(bytes), expand(bytes)),
    };
    let (one, other) = (file("one", &first), file("other", &second));

    let bundle = within_bounds(&first, || authorities(&one));
    match &bundle {
        Ok(count) => {
            assert!(*count > 0);
            let twice = file("twice", &[&first[..], b"\n", &first].concat());
            assert_eq!(authorities(&twice), Ok(2 * count));
        }
        Err(words) => check_words(words, &[&one]),
    }

    let all = [&first[..], &second].concat();
    match within_bounds(&all, || identity(&one, &other)) {
        Ok(count) => {
            assert!(count > 0 && bundle.is_ok());
            // What signs for one of them is in the other file.
            let holds = |whole: &[u8], part: usize| {
                let whole = Vec::from_iter(whole.iter().filter(|byte| !byte.is_ascii_whitespace()));
                let part = known().parts[part].as_bytes();
                let part = Vec::from_iter(part.iter().filter(|byte| !byte.is_ascii_whitespace()));
                whole.windows(part.len()).any(|window| window == part)
            };
            let pair = |at: usize| holds(&first, at + 2) && holds(&second, at + 3);
            assert!(pair(0) || pair(4), "a pair that was not made");
        }
        Err(words) => check_words(&words, &[&one, &other]),
    }
});
