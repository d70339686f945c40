//! What reading may take.

/// The promise of docs/reliability.md, with a little for prost, which merges what is
/// repeated, and for the texts of errors.
const TIMES: usize = 128 + 8;
const BESIDE: usize = 16 * 1024;

/// Runs `read`, which reads `bytes`.
///
/// # Panics
/// If it takes more memory at a time than promised.
pub fn within_bounds<T>(bytes: &[u8], read: impl FnOnce() -> T) -> T {
    let mut value = None;
    let counted = allocation_counter::measure(|| value = Some(read()));
    let bound = TIMES * bytes.len() + BESIDE;
    assert!(counted.bytes_max as usize <= bound, "{} for {}", counted.bytes_max, bytes.len());
    value.expect("it was read")
}
