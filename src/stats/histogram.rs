//! How long calls took, in fixed buckets: a plain value.

use std::ops::AddAssign;
use std::time::Duration;

const BOUNDS: usize = 20;

/// One more: for what is beyond the last bound.
pub(super) const BUCKETS: usize = BOUNDS + 1;

/// Of a bound in microseconds.
const NANOS: u64 = 1_000;

/// Upper bounds in nanoseconds.
const NANOSECONDS: [u64; BOUNDS] = {
    let mut bounds =
        [20 * NANOS, 50 * NANOS, 100 * NANOS, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut at = 3;
    while at < BOUNDS {
        bounds[at] = 10 * bounds[at - 3];
        at += 1;
    }
    bounds
};

/// The bucket that counts calls of this length.
pub(super) fn bucket(nanoseconds: u64) -> usize {
    NANOSECONDS.partition_point(|bound| *bound < nanoseconds)
}

/// In 584 years it is full.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How long calls took, counted in fixed buckets whose bounds go up in steps of 1, 2 and 5
/// from 20 µs to 50 s. Histograms add up exactly, whichever plugins, processes or times they
/// are of.
///
/// ```
/// use std::time::Duration;
///
/// use hookwire::LatencyHistogram;
///
/// let mut latency = LatencyHistogram::default();
/// for millis in [3, 3, 4, 70] {
///     latency.record(Duration::from_millis(millis));
/// }
/// assert_eq!((latency.count(), latency.sum()), (4, Duration::from_millis(80)));
/// // Between 2 ms and 5 ms, as far as the buckets tell.
/// assert_eq!(latency.p50(), Some(Duration::from_millis(4)));
/// // For Prometheus: so many took at most so long, and `count` is that of `+Inf`.
/// let (bound, count) = latency.cumulative().nth(7).unwrap();
/// assert_eq!((bound, count), (Duration::from_millis(5), 3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyHistogram {
    buckets: [u64; BUCKETS],
    /// Nanoseconds.
    sum: u64,
}

impl LatencyHistogram {
    pub(super) fn new(buckets: [u64; BUCKETS], sum: u64) -> Self {
        Self { buckets, sum }
    }

    /// Counts one that took so long.
    pub fn record(&mut self, took: Duration) {
        let took = nanoseconds(took);
        self.buckets[bucket(took)] += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long all of them took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }

    /// The buckets' upper bounds, in order, each with how many took at most so long. The last
    /// is 50 s; those that took longer are in [`count`](Self::count) alone.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.buckets.iter().scan(0, |below, count| {
            *below += count;
            Some(*below)
        });
        NANOSECONDS.into_iter().map(Duration::from_nanos).zip(counts)
    }

    /// How long the fraction `q` of all calls took at most, from 0 to 1; `None` if there was
    /// none. It is interpolated within its bucket, as Prometheus's `histogram_quantile` does,
    /// so it is off by as much as the bucket is wide: at most a factor of 2.5. Beyond the last
    /// bound it is that bound, 50 s.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = if q > 0.0 { q.min(1.0) } else { 0.0 } * self.count() as f64;
        let (mut below, mut lower, mut last) = (0, 0, None);
        for (at, count) in self.buckets.iter().enumerate() {
            let upper = NANOSECONDS.get(at).copied().unwrap_or(lower);
            if *count > 0 {
                let share = ((rank - below as f64) / *count as f64).clamp(0.0, 1.0);
                last = Some(Duration::from_nanos(lower + ((upper - lower) as f64 * share) as u64));
                below += count;
                if below as f64 >= rank {
                    break;
                }
            }
            lower = upper;
        }
        last
    }

    /// The median: [`quantile`](Self::quantile) of 0.5.
    #[must_use]
    pub fn p50(&self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// [`quantile`](Self::quantile) of 0.99: one call in a hundred took longer.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }
}

impl Default for LatencyHistogram {
    /// Nothing was counted.
    fn default() -> Self {
        Self::new([0; BUCKETS], 0)
    }
}

impl AddAssign<&Self> for LatencyHistogram {
    fn add_assign(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: impl IntoIterator<Item = Duration>) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        lengths.into_iter().for_each(|length| histogram.record(length));
        histogram
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_bounds_go_up_in_steps_of_1_2_and_5_from_20_microseconds_to_50_seconds() {
        let bounds: Vec<_> = of([]).cumulative().map(|(bound, _)| bound.as_micros()).collect();
        let mut expected = vec![20, 50];
        for power in 2..=7 {
            expected.extend([1, 2, 5].map(|step| step * 10_u128.pow(power)));
        }
        assert_eq!(bounds, expected);
    }

    #[test]
    fn a_call_is_counted_below_the_bound_that_it_just_meets() {
        for (at, (bound, _)) in of([]).cumulative().enumerate() {
            let count = |length| of([length]).cumulative().nth(at).unwrap().1;
            assert_eq!(count(bound), 1, "{bound:?}");
            assert_eq!(count(bound + Duration::from_nanos(1)), 0, "{bound:?}");
        }
    }

    #[test]
    fn a_call_beyond_the_last_bound_is_in_the_count_and_the_sum_alone() {
        let long = of([MS(51_000)]);
        assert_eq!(long.cumulative().last(), Some((MS(50_000), 0)));
        assert_eq!((long.count(), long.sum()), (1, MS(51_000)));
        assert_eq!(long.p50(), Some(MS(50_000)));
    }

    #[test]
    fn a_length_that_no_counter_can_hold_is_the_longest_one() {
        let mut long = of([Duration::MAX, MS(1)]);
        long += &long.clone();
        assert_eq!((long.count(), long.sum()), (4, Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn without_a_call_there_is_no_quantile() {
        assert_eq!((of([]).p50(), of([]).p99(), of([]).quantile(0.0)), (None, None, None));
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_the_call_that_it_is() {
        let lengths: Vec<_> = (1..=1000).map(|n| Duration::from_micros(n * n)).collect();
        let histogram = of(lengths.iter().copied());
        for q in [0.0_f64, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = ((q * 1000.0).ceil() as usize).max(1);
            let (exact, found) = (lengths[rank - 1], histogram.quantile(q).unwrap());
            let bounds: Vec<_> = histogram.cumulative().map(|(bound, _)| bound).collect();
            let upper = bounds.iter().position(|bound| *bound >= exact).unwrap();
            let lower = upper.checked_sub(1).map_or(Duration::ZERO, |at| bounds[at]);
            assert!(lower <= found && found <= bounds[upper], "{q}: {found:?}, not {exact:?}");
        }
    }

    #[test]
    fn quantiles_never_fall_and_what_is_no_fraction_is_the_nearest_one() {
        let histogram = of([MS(1), MS(8), MS(8), MS(300)]);
        let quantiles: Vec<_> =
            (0..=100).map(|n| histogram.quantile(f64::from(n) / 100.0)).collect();
        assert!(quantiles.is_sorted(), "{quantiles:?}");
        assert_eq!(histogram.quantile(-1.0), quantiles[0]);
        assert_eq!(histogram.quantile(f64::NAN), quantiles[0]);
        assert_eq!(histogram.quantile(7.0), quantiles[100]);
    }

    #[test]
    fn a_sum_of_histograms_is_the_histogram_of_all_calls() {
        let (one, two) = ([MS(1), MS(8)], [MS(8), MS(60_000)]);
        let mut sum = of(one);
        sum += &of(two);
        assert_eq!(sum, of(one.into_iter().chain(two)));
    }
}
