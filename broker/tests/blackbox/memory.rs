//! What is left of the secrets in the process's memory once an invocation is over. The counts are pinned; each copy
//! that remains is explained.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
};

use sandbox::{PrivateKey, Scenario};

/// How often the key, the JWT and the token were found.
#[derive(Debug, PartialEq, Eq)]
struct Copies {
    key: usize,
    jwt: usize,
    token: usize,
}

#[tokio::test]
async fn secrets_are_wiped_when_an_invocation_is_over() {
    let none = Copies {
        key: 0,
        jwt: 0,
        token: 0,
    };
    assert_eq!(copies_after(Scenario::default()).await, none);
}

/// rustls decrypts a record where it arrived, in a buffer of the connection's that it keeps for the next record: the
/// last answer of each host is there until the next one comes or the connection is closed. Nothing else remains.
#[tokio::test]
async fn tls_keeps_the_last_record_of_each_connection() {
    let copies = copies_after(Scenario::default().tls()).await;
    assert_eq!(
        copies,
        Copies {
            key: 1,
            jwt: 0,
            token: 1
        }
    );
}

async fn copies_after(scenario: Scenario) -> Copies {
    let key = PrivateKey::rsa(2048);
    let mut running = scenario.key(key.clone()).start().await;
    for _ in 0..3 {
        running.invoke("null").await.token();
    }
    let outcome = running.invoke("null").await;
    assert!(running.frozen());
    let memory = memory(running.pid().unwrap());
    running.finish().await;

    let token = outcome.token();
    let jwt = outcome
        .requests
        .iter()
        .filter(|request| request.jwt().is_some())
        .find_map(|request| request.credential());
    let pem = key.pem();
    let mut lines = pem.lines().filter(|line| !line.starts_with("-----"));
    Copies {
        // The part that is there most often: any part counts, and each is there once in a whole copy.
        key: lines
            .by_ref()
            .map(|line| count(&memory, line.as_bytes()))
            .chain(numbers(key.pkcs1_der()).map(|number| count(&memory, &number)))
            .max()
            .unwrap(),
        jwt: count(&memory, jwt.unwrap().rsplit('.').next().unwrap().as_bytes()),
        token: count(&memory, &token.as_bytes()[20..]),
    }
}

/// The secret numbers of an RSA key, each as it stands in the DER and as a computation holds it, its lowest byte first.
fn numbers(der: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    // SEQUENCE { version, n, e, d, p, q, ... }, each after its tag and its length.
    let mut rest = &der[4..];
    let mut integers = Vec::new();
    while integers.len() < 6 {
        let (length, header) = match rest[1] {
            0x82 => (usize::from(rest[2]) << 8 | usize::from(rest[3]), 4),
            0x81 => (usize::from(rest[2]), 3),
            short => (usize::from(short), 2),
        };
        integers.push(rest[header..header + length].to_vec());
        rest = &rest[header + length..];
    }
    let secrets = integers.split_off(3);
    assert_eq!(
        secrets[1].len(),
        129,
        "a prime of 1024 bits, and a zero before it"
    );
    secrets.into_iter().flat_map(|number| {
        // A part in the middle: either end may have been cut off or padded.
        let part = number[number.len() / 2..][..32].to_vec();
        let reversed = part.iter().rev().copied().collect();
        [part, reversed]
    })
}

/// Where the limit of core dumps is 0 and may not be raised, the function starts all the same, and the kernel dumps nothing.
#[tokio::test]
async fn a_limit_that_cannot_be_set_is_no_reason_not_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("bootstrap");
    fs::copy(sandbox::binary_under_test(), &binary).unwrap();
    let mut launcher = vec!["/usr/bin/prlimit", "--core=0:0"];
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if root {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        launcher.extend(["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "--"]);
    }
    let scenario = Scenario::default().binary(&binary).launcher(&launcher);
    let mut running = scenario.start().await;
    running.invoke("null").await.token();
    let process = format!("/proc/{}", running.pid().unwrap());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    assert!(!root || status.contains("Uid:\t65534\t"), "{status}");
    // The kernel gives the memory of what may not be dumped to root alone.
    assert_eq!(fs::metadata(format!("{process}/mem")).unwrap().uid(), 0);
    running.finish().await;
}

/// A core dump would hold what an invocation is working with.
#[tokio::test]
async fn core_dumps_are_off() {
    let running = Scenario::default().start().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.pid().unwrap())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let [soft, hard] = [4, 5].map(|column| line.split_whitespace().nth(column).unwrap());
    // The kernel writes no dump of one byte, to a file or to a program.
    assert_eq!((soft, hard), ("1", "1"));
    running.finish().await;
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
