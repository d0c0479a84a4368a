//! Many measurements to one figure. Comes in: samples. Goes out: their median, which a busy neighbour moves least.

use std::time::Duration;

/// The middle one; of an even number, the lower of the two in the middle. Nothing without samples.
pub(crate) fn median<T: Copy + PartialOrd>(samples: impl IntoIterator<Item = T>) -> Option<T> {
    let mut sorted: Vec<_> = samples.into_iter().collect();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
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
}
