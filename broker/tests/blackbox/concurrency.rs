//! Lambda managed instances: one environment takes several invocations at once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use sandbox::{Call, Fault, Outcome, Scenario, Schedule};

#[tokio::test]
async fn invocations_at_once_are_minted_at_once_and_share_nothing() {
    let delay = Duration::from_millis(800);
    let mut running = Scenario::default()
        .variable("AWS_LAMBDA_MAX_CONCURRENCY", "4")
        .faults(Call::Confirm, Schedule::Always(Fault::Delay(delay)))
        .start()
        .await;
    let mut tokens = BTreeSet::new();
    for _ in 0..2 {
        let begun = Instant::now();
        let outcomes = running.invoke_at_once(4).await;
        assert!(begun.elapsed() < delay * 3, "{:?}", begun.elapsed());
        tokens.extend(outcomes.iter().map(Outcome::token));
        let calls = [Call::GetParameters, Call::Confirm, Call::Mint];
        assert_eq!(calls.map(|call| outcomes[0].calls(call)), [4, 4, 4]);
        let logged: BTreeSet<_> = outcomes[0]
            .lines("info")
            .into_iter()
            .map(|line| line["aws_request_id"].to_string())
            .collect();
        assert_eq!(logged.len(), 4, "one line for each invocation");
    }
    assert_eq!(tokens.len(), 8, "each invocation has a token of its own");
    running.finish().await;
}
