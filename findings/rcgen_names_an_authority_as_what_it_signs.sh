#!/usr/bin/env bash
# rcgen 0.14.10 (Rust): an authority and a certificate that it signs have the same name by default,
# and OpenSSL takes the certificate for one that has signed itself.
#
# `CertificateParams` begin with the common name "rcgen self signed cert", for an authority as for a
# server. Subject and issuer of the server's certificate are then equal, and without the extension
# that names the key of the issuer (off by default) a verifier has nothing else to go by. webpki, and
# so rustls, tries the keys and finds the chain good; OpenSSL ends with error 18, "self-signed
# certificate", and so does what is built on its kind of verifier, such as grpcio. Tests with
# certificates of rcgen that pass between Rust programs fail with the first Python client. A name of
# its own for the authority mends it.
#
# Seen, Rust 1.95, OpenSSL 3.0.19: the lines below EXPECTED. Fails if that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "certificates"
version = "0.0.0"
edition = "2024"
[dependencies]
rcgen = { version = "=0.14.10", default-features = false, features = ["crypto", "pem", "ring"] }
TOML
cat > src/main.rs <<'RUST'
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

fn write(name: Option<&str>, folder: &str) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if let Some(name) = name {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap();
    std::fs::create_dir(folder).unwrap();
    std::fs::write(format!("{folder}/authority.pem"), authority.pem()).unwrap();
    std::fs::write(format!("{folder}/server.pem"), server.pem()).unwrap();
}

fn main() {
    write(None, "default");
    write(Some("An authority"), "named");
}
RUST
timeout 300 cargo run --quiet
for folder in default named; do
    outcome=$(openssl verify -CAfile $folder/authority.pem $folder/server.pem 2>&1 || true)
    case $outcome in
        *"error 18"*) echo "$folder: self-signed certificate" ;;
        *": OK") echo "$folder: OK" ;;
        *) echo "$folder: $outcome" ;;
    esac
done | tee seen
diff seen - <<'EXPECTED'
default: self-signed certificate
named: OK
EXPECTED
