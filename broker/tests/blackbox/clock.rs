//! A clock that differs from GitHub's is corrected once, and said.

use sandbox::{Call, Fault, Scenario};

#[tokio::test]
async fn a_skewed_clock_is_corrected_once_and_logged_with_the_drift() {
    for seconds in [-3600, 3600] {
        let outcome = Scenario::default()
            .github(move |github| github.clock.shift(seconds))
            .run()
            .await;
        outcome.token();
        assert_eq!(outcome.calls(Call::Lookup), 2);
        assert_eq!(outcome.calls(Call::Mint), 1);
        let [line] = outcome.lines("warn")[..] else {
            panic!("{}", outcome.stdout)
        };
        assert_eq!(line["message"], "signed again with GitHub's time");
        let minted = outcome.lines("info")[0];
        assert_eq!(
            minted["attempts"],
            serde_json::json!({"confirm": 2, "mint": 1})
        );
        let drift = line["drift_seconds"].as_i64().unwrap();
        // To the minute: how long a busy machine takes says nothing.
        assert!((drift + seconds).abs() <= 60, "{drift}");
    }
}

#[tokio::test]
async fn a_clock_that_cannot_be_corrected_is_told() {
    let outcome = Scenario::default()
        .faults(Call::Lookup, sandbox::Schedule::Always(skewed(None)))
        .run()
        .await;
    let (error_type, message) = outcome.error();
    assert_eq!(error_type, "ClockSkew");
    assert!(
        message.starts_with("GitHub repository-installation request failed with status 401"),
        "{message}"
    );
    assert_eq!(outcome.calls(Call::Lookup), 2);
}

/// A JWT with a time of years ahead would be good then, for whoever asked for it.
#[tokio::test]
async fn a_time_of_another_day_is_not_signed() {
    let outcome = Scenario::default()
        .fault(Call::Lookup, skewed(Some("Tue, 01 Jan 2036 00:00:00 GMT")))
        .run()
        .await;
    assert_eq!(outcome.error().0, "ClockSkew");
    assert_eq!(outcome.calls(Call::Lookup), 1);
    assert_eq!(outcome.lines("warn").len(), 0);
}

/// GitHub's answer to a JWT of another time, at its own time or the one given.
fn skewed(date: Option<&str>) -> Fault {
    let mut answer = Fault::answer(401);
    if let Some(date) = date {
        answer = answer.header("date", date);
    }
    answer
        .message("'Expiration time' claim ('exp') is too far in the future")
        .into()
}
