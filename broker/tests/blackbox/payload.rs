//! Nothing is accepted but nothing: whatever else a caller sends is refused before anything is read.

use sandbox::{Answer, Scenario};

#[tokio::test]
async fn nothing_asked_for_is_accepted() {
    let mut running = Scenario::default().start().await;
    for payload in ["", " ", "\r\n\t", "null", " null ", "\nnull\r\n"] {
        running.invoke(payload).await.token();
    }
    running.finish().await;
}

#[tokio::test]
async fn anything_else_is_refused_before_anything_is_read() {
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
            matches!(outcome.answer, Answer::FunctionError(_)),
            "{:?}",
            outcome.answer
        );
        let (error_type, message) = outcome.error();
        assert_eq!(error_type, "InputRefused");
        assert!(
            message.starts_with("github-token-broker does not accept invocation input"),
            "{message}"
        );
        assert!(
            outcome.requests.is_empty(),
            "nothing may be asked of anyone"
        );
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

/// Six megabytes are judged as they pass by, never held.
#[tokio::test]
async fn a_large_payload_costs_no_memory() {
    let mut running = Scenario::default().start().await;
    let before = running.invoke("{}").await.peak_memory;
    let after = running
        .invoke(vec![b' '; 6 * 1024 * 1024])
        .await
        .peak_memory;
    running.finish().await;
    assert!(after < before + 2048, "{before} KiB, then {after} KiB");
}
