//! A clock that differs from GitHub's is corrected once, and said.

use sandbox::{Call, Scenario};

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
        assert!((drift + seconds).abs() <= 2, "{drift}");
    }
}

#[tokio::test]
async fn a_clock_that_cannot_be_corrected_is_told() {
    let skewed = sandbox::Fault::answer(401)
        .header("date", "Thu, 01 Jan 2026 00:00:00 GMT")
        .message("'Expiration time' claim ('exp') is too far in the future");
    let outcome = Scenario::default()
        .faults(Call::Lookup, sandbox::Schedule::Always(skewed.into()))
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
