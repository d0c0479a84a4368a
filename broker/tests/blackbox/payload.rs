//! Payloads: only an empty one is accepted; anything else is rejected before anything is read.

use sandbox::{InvokeResult, Scenario};

#[tokio::test]
async fn empty_payloads_are_accepted() {
    let mut running = Scenario::default().start().await;
    for payload in ["", " ", "\r\n\t", "null", " null ", "\nnull\r\n"] {
        running.invoke(payload).await.token();
    }
    running.finish().await;
}

#[tokio::test]
async fn non_empty_payload_is_rejected_before_anything_is_read() {
    let mut running = Scenario::default().start().await;
    let mut payloads: Vec<Vec<u8>> = [
        "{}",
        "[]",
        "\"null\"",
        "Null",
        "nulll",
        "null\0",
        "null {\"a\":1}",
        "\u{feff}null",
        "0",
        "\u{a0}",
        "nul",
        r#"{"repositories":["other-repo"],"permissions":{"contents":"write"}}"#,
    ]
    .map(|payload| payload.as_bytes().to_vec())
    .into();
    payloads.push(vec![0xff]);
    payloads.push(vec![b'a'; 6 * 1024 * 1024]);
    payloads.push([vec![b' '; 6 * 1024 * 1024 - 2], b"{}".to_vec()].concat());
    for payload in payloads {
        let outcome = running.invoke(&payload).await;
        assert!(
            matches!(outcome.result, InvokeResult::FunctionError(_)),
            "{:?}",
            outcome.result
        );
        let (error_type, message) = outcome.error();
        assert_eq!(error_type, "InputRefused");
        assert!(
            message.starts_with("github-token-broker does not accept invocation input"),
            "{message}"
        );
        assert!(outcome.requests.is_empty(), "no request was made");
        let [line] = outcome.log.as_slice() else {
            panic!("{}", outcome.stdout)
        };
        assert_eq!(
            (line["level"].as_str(), line["message"].as_str()),
            (Some("WARN"), Some("rejected non-empty invocation payload"))
        );
    }
    running.invoke("null").await.token();
    running.finish().await;
}

/// The function checks six megabytes as they arrive and keeps none of them.
#[tokio::test]
async fn large_payload_uses_no_memory() {
    let mut running = Scenario::default().start().await;
    let before = running.invoke("{}").await.peak_memory;
    let after = running
        .invoke(vec![b' '; 6 * 1024 * 1024])
        .await
        .peak_memory;
    running.finish().await;
    assert!(after < before + 2048, "{before} KiB, then {after} KiB");
}
