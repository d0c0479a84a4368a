//! Clock skew: the broker corrects it once with GitHub's time and logs it.

use sandbox::{Call, Fault, Scenario};

#[tokio::test]
async fn skewed_clock_is_corrected_once_and_logged() {
    for seconds in [-3600, 700] {
        let outcome = Scenario::default()
            .github(move |github| github.clock.shift(seconds))
            .run()
            .await;
        outcome.token();
        assert_eq!(outcome.calls(Call::Confirm), 2);
        assert_eq!(outcome.calls(Call::Mint), 1);
        let [line] = outcome.lines("warn")[..] else {
            panic!("{}", outcome.stdout)
        };
        assert_eq!(line["message"], "signed again with GitHub's time");
        let minted = outcome.lines("info")[0];
        assert_eq!(
            minted["attempts"],
            serde_json::json!({"get_parameters": 1, "confirm": 2, "mint": 1})
        );
        let drift = line["drift_seconds"].as_i64().unwrap();
        // Within a minute: a busy machine may add seconds.
        assert!((drift + seconds).abs() <= 60, "{drift}");
    }
}

#[tokio::test]
async fn skew_that_remains_after_correction_is_reported() {
    let outcome = Scenario::default()
        .faults(Call::Confirm, sandbox::Schedule::Always(skewed(None)))
        .run()
        .await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "ClockSkew");
    assert!(
        message.starts_with("GitHub repository-installation request failed with status 401"),
        "{message}"
    );
    assert_eq!(outcome.calls(Call::Confirm), 2);
}

/// A JWT signed with a time years ahead becomes valid then, for anyone who provoked it.
#[tokio::test]
async fn distant_time_is_never_signed() {
    let outcome = Scenario::default()
        .fault(Call::Confirm, skewed(Some("Tue, 01 Jan 2036 00:00:00 GMT")))
        .run()
        .await;
    assert_eq!(outcome.error().0, "ClockSkew");
    assert_eq!(outcome.calls(Call::Confirm), 1);
    assert_eq!(outcome.lines("warn").len(), 0);
}

/// GitHub's response to a JWT with a wrong time, with this `Date` or the current one.
fn skewed(date: Option<&str>) -> Fault {
    let mut response = Fault::response(401);
    if let Some(date) = date {
        response = response.header("date", date);
    }
    response
        .message("'Expiration time' claim ('exp') is too far in the future")
        .into()
}
