use proptest::prelude::*;

use super::*;

const PLENTY: Duration = Duration::from_secs(9);

#[test]
fn final_failure_is_not_retried() {
    assert_eq!(Retry::Never.wait(1, 0.5, PLENTY), None);
}

#[test]
fn transient_failure_is_retried_twice() {
    for retry in [Retry::Backoff, Retry::After(Duration::from_secs(1))] {
        for (attempt, retried) in [(1, true), (2, true), (3, false), (4, false)] {
            let wait = retry.wait(attempt, 0.5, PLENTY);
            assert_eq!(wait.is_some(), retried, "{retry:?} {attempt}");
        }
    }
}

#[test]
fn backoff_doubles() {
    let longest = |attempt| Retry::Backoff.wait(attempt, 1.0, PLENTY).unwrap();
    assert_eq!(longest(1), Duration::from_millis(200));
    assert_eq!(longest(2), Duration::from_millis(400));
    assert_eq!(Retry::Backoff.wait(1, 0.0, PLENTY), Some(Duration::ZERO));
}

#[test]
fn new_token_is_retried_for_a_few_seconds() {
    for attempt in 1..8 {
        let wait = Retry::UntilPropagated.wait(attempt, 0.9, PLENTY);
        assert_eq!(wait, Some(Duration::from_millis(500)));
    }
    assert_eq!(Retry::UntilPropagated.wait(8, 0.9, PLENTY), None);
}

#[test]
fn stated_wait_is_kept_or_reported_at_once() {
    let wait = |seconds, left| {
        Retry::After(Duration::from_secs(seconds)).wait(1, 0.0, Duration::from_secs(left))
    };
    assert_eq!(wait(2, 9), Some(Duration::from_secs(2)));
    assert_eq!(wait(5, 60), Some(Duration::from_secs(5)));
    for (seconds, left) in [(2, 2), (6, 60), (15, 60), (60, 900), (u64::MAX, 900)] {
        assert_eq!(wait(seconds, left), None, "{seconds} s with {left} s left");
    }
}

#[test]
fn time_for_work_ends_before_the_deadline() {
    let now = UNIX_EPOCH + Duration::from_secs(100);
    assert_eq!(time_for_work(110_000, now), Duration::from_millis(9_900));
    for past in [0, 99_000, 100_000, 100_001, 100_100] {
        assert_eq!(time_for_work(past, now), Duration::ZERO);
    }
    assert!(!time_for_work(u64::MAX, SystemTime::now()).is_zero());
}

#[test]
fn revocation_reserve_is_a_second_or_a_quarter() {
    let reserve =
        |milliseconds| revocation_reserve(Duration::from_millis(milliseconds)).as_millis();
    assert_eq!(
        [9900, 4000, 2900, 600, 0].map(reserve),
        [1000, 1000, 725, 150, 0]
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_and_bounded() {
    let mut attempts = Attempts::new(Instant::now() + Duration::from_secs(5));
    assert_eq!(attempts.start(ATTEMPT_LIMIT), ATTEMPT_LIMIT);
    assert!(attempts.wait(Retry::After(Duration::from_secs(3))).await);
    assert!(attempts.start(ATTEMPT_LIMIT) <= Duration::from_secs(2));
    assert!(!attempts.wait(Retry::Never).await);
    assert_eq!(attempts.started(), 2);
}

proptest! {
    #[test]
    fn wait_leaves_time_for_an_attempt(
        attempt in 1..20_u32,
        jitter in 0.0..=1.0_f64,
        stated in prop_oneof![any::<u64>(), 0..20_u64],
        left in 0..20_000_u64,
    ) {
        let left = Duration::from_millis(left);
        let stated = Duration::from_secs(stated);
        for (retry, shortest) in [(Retry::Backoff, Duration::ZERO), (Retry::After(stated), stated)] {
            if let Some(wait) = retry.wait(attempt, jitter, left) {
                prop_assert!(wait >= shortest);
                prop_assert!(wait + SHORTEST_ATTEMPT <= left);
                prop_assert!(attempt < MAX_ATTEMPTS);
            }
        }
    }
}
