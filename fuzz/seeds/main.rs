//! Writes the seeds of every fuzz target into `corpus/`, each named by its content:
//! `RUSTFLAGS="--cfg fuzzing" cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

// `json!` of a whole entry takes more than the default.
#![recursion_limit = "256"]

mod entries;
mod exchanges;
mod remote;
mod sequences;

use std::fs;
use std::path::Path;

/// The seeds of one target: name and bytes.
type Seeds = Vec<(String, Vec<u8>)>;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in [
        ("config", entries::configs()),
        ("frame_reader", sequences::reads()),
        ("grpc_pem", remote::files()),
        ("grpc_reply", remote::responses()),
        ("grpc_request", remote::requests()),
        ("grpc_target", remote::targets()),
        ("in_flight", sequences::operations()),
        ("reply_decode", exchanges::replies()),
        ("request_read", exchanges::requests()),
        ("struct_decode", exchanges::payloads()),
        ("struct_encode", exchanges::texts()),
    ] {
        let folder = corpus.join(target);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
