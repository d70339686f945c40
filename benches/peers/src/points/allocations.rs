//! Allocations of a typed call, from the binary beside this one: it counts in the
//! allocator, which the other points are not to pay for.

use std::collections::BTreeMap;
use std::process::Command;

use super::Bench;
use crate::report::Point;

/// What its names begin with that are about a plugin and not about a call.
const IDLE: &str = "idle plugin";

/// Its name for the memory that an idle plugin holds.
pub const IDLE_BYTES: &str = "idle plugin: live bytes";

pub fn measure(_: &Bench) -> Point {
    let mut point = Point::new(8, "allocations of a call");
    match count() {
        Ok(counts) => {
            for (name, count) in counts {
                let per = if name.starts_with(IDLE) { "per plugin" } else { "per call" };
                point.figure(name, count, per);
            }
        }
        Err(why) => point.note(format!("not counted: {why}")),
    }
    point
}

/// What the binary counted, by name.
pub fn count() -> Result<BTreeMap<String, f64>, String> {
    let cargo = std::env::var_os("CARGO")
        .ok_or("this needs cargo; run the binary `allocations` by hand")?;
    let output = Command::new(cargo)
        .args(["run", "--release", "--quiet", "--bin", "allocations", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
