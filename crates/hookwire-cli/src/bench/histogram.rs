//! Latencies as a picture for the terminal.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::text;

/// Where bars begin, in every power of ten: about equal steps on a logarithmic scale.
const STEPS: [f64; 6] = [1.0, 1.5, 2.0, 3.0, 5.0, 7.0];

/// The longest bar.
const WIDTH: u64 = 50;

/// One line for each range of latencies, in nanoseconds, that has a call or lies
/// between two that have.
pub(super) fn draw(latencies: &Histogram<u64>) -> String {
    if latencies.is_empty() {
        return "no call returned a result: there is no latency to draw".to_owned();
    }
    let mut edges = edges(latencies.min() as f64, latencies.max() as f64);
    let mut bars = vec![0; edges.len()];
    for step in latencies.iter_recorded() {
        let value = step.value_iterated_to() as f64;
        let bar = edges.partition_point(|edge| *edge <= value).saturating_sub(1);
        bars[bar] += step.count_since_last_iteration();
    }
    // What was rounded up by the histogram may have left the first range empty.
    let empty = bars.iter().take_while(|bar| **bar == 0).count();
    bars.drain(..empty);
    edges.drain(..empty);

    let most = bars.iter().copied().max().unwrap_or(1).max(1);
    let mut picture = "latency from\n".to_owned();
    for (edge, count) in edges.iter().zip(bars) {
        // Whoever is there is seen.
        let length = (count * WIDTH).div_ceil(most);
        let share = 100.0 * count as f64 / latencies.len() as f64;
        let bar = "#".repeat(usize::try_from(length).unwrap_or(0));
        let (edge, count) = (text::time(*edge), text::count(count));
        let _ = writeln!(picture, "{edge:>9} |{bar:<50} {share:5.1} % {count:>12}");
    }
    picture.truncate(picture.trim_end().len());
    picture
}

/// The lower edges of ranges that cover all from `min` to `max`.
fn edges(min: f64, max: f64) -> Vec<f64> {
    let decades = (0..20).map(|power| 10_f64.powi(power));
    let all: Vec<f64> = decades
        .flat_map(|decade| STEPS.map(|step| step * decade))
        .take_while(|edge| *edge <= max)
        .collect();
    let first = all.partition_point(|edge| *edge <= min).saturating_sub(1);
    let covering = all.get(first..).unwrap_or_default().to_vec();
    if covering.is_empty() { vec![0.0] } else { covering }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(nanoseconds: &[u64]) -> Vec<String> {
        let mut latencies = Histogram::new(3).unwrap();
        nanoseconds.iter().for_each(|ns| latencies.record(*ns).unwrap());
        draw(&latencies).lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn one_call_is_one_full_bar() {
        let bar = "#".repeat(50);
        assert_eq!(drawn(&[12_345]), [format!("  10.0 µs |{bar} 100.0 %            1")]);
    }

    #[test]
    fn a_rare_latency_is_still_seen() {
        let mut calls = vec![1_000; 999];
        calls.push(3_500);
        let lines = drawn(&calls);
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("|  "), "{}", lines[1]);
        assert!(lines[3].starts_with("  3.00 µs |# "), "{}", lines[3]);
    }

    #[test]
    fn no_call_has_no_picture() {
        assert!(draw(&Histogram::new(3).unwrap()).contains("no latency"));
    }

    #[test]
    fn every_latency_has_a_range() {
        for nanoseconds in [0, 1, 999_999_999, u64::MAX / 4] {
            assert_eq!(drawn(&[nanoseconds]).len(), 1, "{nanoseconds}");
        }
    }
}
