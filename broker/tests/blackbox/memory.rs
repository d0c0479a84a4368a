//! Copies of secrets in the process's memory after an invocation. The counts are pinned; each remaining copy is explained.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use sandbox::{PARAMETERS, PrivateKey, Scenario};

/// The number of copies of the key, the JWT and the token.
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

/// rustls decrypts a record in place, in a connection buffer that it reuses for the next record. The last response of each
/// host stays there until the next one arrives or the connection closes. Nothing else remains.
#[tokio::test]
async fn tls_keeps_only_the_last_record_of_each_connection() {
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

/// The value of a secret arrives twice, once in `SourceResult`, which nothing reads.
#[tokio::test]
async fn secret_of_secrets_manager_is_wiped() {
    let key = PrivateKey::rsa(2048).pem();
    let scenario = Scenario::default()
        .without_parameter(PARAMETERS[2])
        .ssm(|ssm| ssm.put_secret("app-key", key))
        .variable(
            "GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM",
            "/aws/reference/secretsmanager/app-key",
        );
    let none = Copies {
        key: 0,
        jwt: 0,
        token: 0,
    };
    assert_eq!(copies_after(scenario).await, none);
}

#[tokio::test]
async fn kms_signer_has_no_private_key() {
    let none = Copies {
        key: 0,
        jwt: 0,
        token: 0,
    };
    assert_eq!(copies_after(Scenario::default().kms_key()).await, none);
}

/// The last response of KMS is a signature, part of a JWT that is valid for nine minutes. There is no private key.
#[tokio::test]
async fn kms_signer_keeps_the_last_signature_with_tls() {
    let copies = copies_after(Scenario::default().kms_key().tls()).await;
    assert_eq!(
        copies,
        Copies {
            key: 0,
            jwt: 1,
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
    assert!(running.is_frozen());
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
        // The part with the most copies: any part counts, and a whole copy contains each part once.
        key: lines
            .by_ref()
            .map(|line| count(&memory, line.as_bytes()))
            .chain(numbers(key.pkcs1_der()).map(|number| count(&memory, &number)))
            .max()
            .unwrap(),
        jwt: signatures(jwt.unwrap())
            .map(|signature| count(&memory, &signature))
            .into_iter()
            .max()
            .unwrap(),
        token: count(&memory, &token.as_bytes()[20..]),
    }
}

/// The signature of a JWT as the JWT has it, as KMS returns it, and as bytes.
fn signatures(jwt: &str) -> [Vec<u8>; 3] {
    let text = jwt.rsplit('.').next().unwrap();
    let bytes = Base64UrlUnpadded::decode_vec(text).unwrap();
    let of_kms = Base64::encode_string(&bytes);
    [text.as_bytes().to_vec(), of_kms.into_bytes(), bytes]
}

/// The secret numbers of an RSA key, each in the byte order of the DER and in the reverse order of a computation.
fn numbers(der: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    // SEQUENCE { version, n, e, d, p, q, ... }, each with its tag and length.
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
        "a prime of 1024 bits after a zero byte"
    );
    secrets.into_iter().flat_map(|number| {
        // A part in the middle: either end may be cut off or padded.
        let part = number[number.len() / 2..][..32].to_vec();
        let reversed = part.iter().rev().copied().collect();
        [part, reversed]
    })
}

/// If the core dump limit is 0 and cannot be raised, the function still starts, and the kernel writes no dump.
#[tokio::test]
async fn function_starts_if_core_dump_limit_cannot_be_set() {
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
    // The kernel makes the memory of a process that cannot be dumped accessible only to root.
    assert_eq!(fs::metadata(format!("{process}/mem")).unwrap().uid(), 0);
    running.finish().await;
}

/// A core dump would contain the secrets of the current invocation.
#[tokio::test]
async fn core_dumps_are_disabled() {
    let running = Scenario::default().start().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.pid().unwrap())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let [soft, hard] = [4, 5].map(|column| line.split_whitespace().nth(column).unwrap());
    // The kernel writes no one-byte dump, neither to a file nor to a program.
    assert_eq!((soft, hard), ("1", "1"));
    running.finish().await;
}

/// The search works: it finds a variable of the environment.
#[tokio::test]
async fn memory_search_finds_a_present_value() {
    let running = Scenario::default()
        .variable("MARK", "a-value-to-find-in-memory")
        .start()
        .await;
    assert!(
        count(
            &memory(running.pid().unwrap()),
            b"a-value-to-find-in-memory"
        ) > 0
    );
    running.finish().await;
}

/// All writable memory of the process.
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
        // A guard page cannot be read and contains nothing.
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
