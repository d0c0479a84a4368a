use proptest::prelude::*;

use super::*;
use crate::failure::{Broken, Call};

const PLENTY: Duration = Duration::from_secs(9);
const CALL: Call = Call::RepositoryInstallation;

fn refused(refusal: Refusal) -> Failure {
    Failure::GitHubRefused(CALL, 0, refusal)
}

#[test]
fn what_passes_is_tried_again_and_nothing_else() {
    for failure in [
        Failure::GitHubUnreachable(CALL, Broken::Connect),
        Failure::GitHubUnreachable(CALL, Broken::Interrupted),
        refused(Refusal::Unavailable),
        refused(Refusal::RateLimited {
            wait: Duration::from_secs(1),
        }),
        Failure::ParametersUnreadable(SsmFault::Unreachable),
        Failure::ParametersUnreadable(SsmFault::Unavailable),
        Failure::ParametersUnreadable(SsmFault::Throttled),
    ] {
        assert!(
            wait_before_next(&failure, 1, 0.5, PLENTY).is_some(),
            "{failure}"
        );
        assert!(
            wait_before_next(&failure, ATTEMPTS, 0.5, PLENTY).is_none(),
            "{failure}"
        );
    }
    for refusal in [
        Refusal::AppCredentialsRejected,
        Refusal::AppNotInstalled,
        Refusal::PermissionNotGranted,
        Refusal::RepositoryNotCovered,
        Refusal::RepositoryMoved,
        Refusal::ClockSkew { github_time: None },
        Refusal::Unexpected,
    ] {
        assert!(wait_before_next(&refused(refusal), 1, 0.5, PLENTY).is_none());
    }
    for fault in [
        SsmFault::AccessDenied,
        SsmFault::KmsDenied,
        SsmFault::Refused,
    ] {
        let failure = Failure::ParametersUnreadable(fault);
        assert!(wait_before_next(&failure, 1, 0.5, PLENTY).is_none());
    }
}

#[test]
fn a_stated_wait_is_kept_or_not_begun() {
    let limited = |seconds| {
        refused(Refusal::RateLimited {
            wait: Duration::from_secs(seconds),
        })
    };
    assert!(
        wait_before_next(&limited(2), 1, 0.0, PLENTY)
            .is_some_and(|wait| wait == Duration::from_secs(2))
    );
    assert_eq!(wait_before_next(&limited(60), 1, 0.0, PLENTY), None);
    assert_eq!(wait_before_next(&limited(u64::MAX), 1, 1.0, PLENTY), None);
}

#[test]
fn the_time_for_work_ends_before_the_deadline() {
    let now = UNIX_EPOCH + Duration::from_secs(100);
    assert_eq!(
        time_for_work(110_000, now),
        Duration::from_secs(10).saturating_sub(ANSWER_MARGIN)
    );
    for past in [0, 99_000, 100_000, 100_001] {
        assert_eq!(time_for_work(past, now), Duration::ZERO);
    }
    assert!(!time_for_work(u64::MAX, SystemTime::now()).is_zero());
}

#[test]
fn a_revocation_has_a_second_or_a_quarter_of_the_time() {
    let margin = |milliseconds| revoke_margin(Duration::from_millis(milliseconds)).as_millis();
    assert_eq!(
        [9600, 4000, 2600, 600, 0].map(margin),
        [1000, 1000, 650, 150, 0]
    );
}

#[test]
fn a_time_of_another_day_is_not_believed() {
    let now = UNIX_EPOCH + Duration::from_hours(1000);
    for (hours, believed) in [
        (976, true),
        (1000, true),
        (1024, true),
        (975, false),
        (1025, false),
    ] {
        let githubs = UNIX_EPOCH + Duration::from_hours(hours);
        assert_eq!(correctable_drift(now, githubs), believed, "{hours}");
    }
}

proptest! {
    #[test]
    fn a_wait_leaves_time_for_an_attempt(
        attempt in 1..20_u32,
        jitter in 0.0..=1.0_f64,
        stated in prop_oneof![any::<u64>(), 0..20_u64],
        left in 0..20_000_u64,
    ) {
        let left = Duration::from_millis(left);
        let stated = Duration::from_secs(stated);
        let limited = refused(Refusal::RateLimited { wait: stated });
        for (failure, shortest) in [(refused(Refusal::Unavailable), Duration::ZERO), (limited, stated)] {
            if let Some(wait) = wait_before_next(&failure, attempt, jitter, left) {
                prop_assert!(wait >= shortest);
                prop_assert!(wait + SHORTEST_ATTEMPT <= left);
                prop_assert!(attempt < ATTEMPTS);
            }
        }
    }
}
