//! Many measurements to one figure. Comes in: samples. Goes out: their median, which a busy neighbour moves least; or their
//! mean, which hides nothing that happens in some of them only.

use std::time::Duration;

/// The middle one; of an even number, the lower of the two in the middle. Nothing without samples.
pub(crate) fn median<T: Copy + PartialOrd>(samples: impl IntoIterator<Item = T>) -> Option<T> {
    let mut sorted: Vec<_> = samples.into_iter().collect();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The mean. Nothing without samples.
pub(crate) fn mean(samples: impl IntoIterator<Item = Duration>) -> Option<Duration> {
    let (mut sum, mut number) = (Duration::ZERO, 0);
    for sample in samples {
        sum += sample;
        number += 1;
    }
    sum.checked_div(number)
}

/// A duration in milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_whatever_the_order() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median([4, 1, 3, 2]), Some(2));
        assert_eq!(median([1.5, 9.0, 0.5]), Some(1.5));
        assert_eq!(median::<u8>([]), None);
    }

    #[test]
    fn the_mean_has_a_part_of_each() {
        let milliseconds = [1, 2, 6].map(Duration::from_millis);
        assert_eq!(mean(milliseconds), Some(Duration::from_millis(3)));
        assert_eq!(mean([]), None);
    }
}
