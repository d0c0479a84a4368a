//! What is left of the secrets in the process's memory once an invocation is over. The counts are pinned; each copy
//! that remains is explained.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use sandbox::{PrivateKey, Scenario};

/// The private key: wiped wherever it was, in all its forms.
const KEY_COPIES: usize = 0;
/// The JWT: wiped wherever it was.
const JWT_COPIES: usize = 0;
/// The token: see the test.
const TOKEN_COPIES: usize = 0;

#[tokio::test]
async fn secrets_are_wiped_when_an_invocation_is_over() {
    let key = PrivateKey::rsa(2048);
    let mut running = Scenario::default().tls().key(key.clone()).start().await;
    for _ in 0..3 {
        running.invoke("null").await;
    }
    let outcome = running.invoke("null").await;
    let token = outcome.token();
    let jwt = outcome
        .requests
        .iter()
        .filter(|request| request.jwt().is_some())
        .find_map(|request| request.credential());
    assert!(running.frozen());
    let memory = memory(running.pid().unwrap());

    let pem = key.pem();
    let key_body: Vec<_> = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let key_copies: usize = key_body
        .iter()
        .map(|line| count(&memory, line.as_bytes()))
        .sum();
    let signature = jwt.unwrap().rsplit('.').next().unwrap();
    let found = (
        key_copies,
        count(&memory, signature.as_bytes()),
        count(&memory, &token.as_bytes()[20..]),
    );
    running.finish().await;
    assert_eq!(
        found,
        (KEY_COPIES, JWT_COPIES, TOKEN_COPIES),
        "copies of the key, the JWT and the token"
    );
}

/// The harness can find what is there: a variable of the environment is.
#[tokio::test]
async fn the_search_finds_what_is_there() {
    let running = Scenario::default()
        .variable("MARK", "a-mark-to-be-found-in-memory")
        .start()
        .await;
    assert!(
        count(
            &memory(running.pid().unwrap()),
            b"a-mark-to-be-found-in-memory"
        ) > 0
    );
    running.finish().await;
}

/// All memory that the process can write to.
fn memory(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| {
        line.split(' ')
            .nth(1)
            .is_some_and(|flags| flags.starts_with("rw"))
    }) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut region = vec![0; usize::try_from(to - from).unwrap()];
        // A guard page or the like cannot be read, and holds nothing.
        if memory.read_exact_at(&mut region, from).is_ok() {
            all.extend(region);
        }
    }
    all
}

fn count(memory: &[u8], secret: &[u8]) -> usize {
    memory
        .windows(secret.len())
        .filter(|window| *window == secret)
        .count()
}
