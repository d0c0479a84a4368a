//! Reduces samples to one figure.

use std::time::Duration;

/// The middle sample. Of an even number of samples, it is the lower one of the two in the middle. Without samples, it is
/// NaN, which no check accepts.
pub(crate) fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = samples.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}

/// The mean, which includes what happens in a few samples only.
pub(crate) fn mean(samples: &[Duration]) -> Duration {
    let number = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let sum: Duration = samples.iter().sum();
    sum.checked_div(number).unwrap_or_default()
}

/// A size or a number of requests. Both are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "it is far below 2^52")]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

/// A duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_sample() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 3.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median([]).is_nan());
    }

    #[test]
    fn mean_includes_each_sample() {
        assert_eq!(
            mean(&[1, 2, 6].map(Duration::from_millis)),
            Duration::from_millis(3)
        );
        assert_eq!(mean(&[]), Duration::ZERO);
    }
}
