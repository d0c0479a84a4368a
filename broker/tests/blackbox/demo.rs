//! The demo: it fails if anything that it shows differs from the contract.

#[tokio::test]
async fn demo_succeeds() {
    sandbox::demo(false).await.unwrap();
}
