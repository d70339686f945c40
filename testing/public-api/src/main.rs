//! Lists the public API of a package, an item a line, from what rustdoc has written in JSON.

use std::error::Error;

/// Traits that follow from the fields, and that nobody is promised.
const UNPROMISED: [&str; 5] = [
    "::Freeze for ",
    "::StructuralPartialEq for ",
    "::UnsafeUnpin for ",
    "::UnwindSafe for ",
    "::RefUnwindSafe for ",
];
/// Functions that the line of their `impl` tells of.
const OF_TRAITS: [&str; 7] =
    ["::clone(", "::deserialize<", "::eq(", "::fmt(", "::from(", "::hash<", "::serialize<"];

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args_os().nth(1).ok_or("which file?")?;
    let api = public_api::Builder::from_rustdoc_json(json).omit_blanket_impls(true).build()?;
    let items = api.items().map(ToString::to_string);
    for item in items.filter(|item| !is_told_otherwise(item)) {
        println!("{item}");
    }
    Ok(())
}

fn is_told_otherwise(item: &str) -> bool {
    let names = if item.starts_with("impl") { &UNPROMISED[..] } else { &OF_TRAITS[..] };
    names.iter().any(|name| item.contains(name))
}
