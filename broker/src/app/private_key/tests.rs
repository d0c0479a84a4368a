use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use proptest::prelude::*;
use sandbox::PrivateKey as SandboxKey;

use super::*;

fn parse(text: &str) -> Result<PrivateKey, KeyError> {
    PrivateKey::parse(&SecretString::from(text.to_owned()))
}

fn error(text: &str) -> KeyError {
    parse(text).map(drop).unwrap_err()
}

fn pkcs1() -> String {
    SandboxKey::rsa(2048).pkcs1().pem()
}

fn pkcs8() -> String {
    SandboxKey::rsa(2048).pkcs8().pem()
}

/// A PEM block with this label and content.
fn pem(label: &str, der: &[u8]) -> String {
    let body = Base64::encode_string(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[test]
fn pasted_key_is_accepted() {
    for pem in [pkcs1(), pkcs8()] {
        let base64 = Base64::encode_string(pem.as_bytes());
        let wrapped: Vec<_> = base64
            .as_bytes()
            .chunks(76)
            .map(|line| str::from_utf8(line).unwrap())
            .collect();
        let pasted = [
            pem.clone(),
            pem.trim_end().to_owned(),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            pem.replace('\n', "\\\\n"),
            pem.replace('\n', "\\\\r\\\\n"),
            pem.replace('\n', "\\\n"),
            pem.replace('\n', "\\\r\n"),
            pem.replace('\n', " "),
            pem.replace('\n', ""),
            format!("\"{}\"", pem.replace('\n', "\\n")),
            format!("'{pem}'"),
            format!("\u{feff}  \n{pem}\n\n"),
            base64.clone(),
            wrapped.join("\n"),
            format!("\"{base64}\"\n"),
        ];
        for text in pasted {
            assert!(parse(&text).is_ok(), "{}", &text[..40]);
        }
    }
}

#[test]
fn each_error_is_recognized() {
    let key = pkcs1();
    let body: Vec<_> = key
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let begin_lost = key.replacen("-----BEGIN RSA PRIVATE KEY-----\n", "", 1);
    let end_lost = key.replacen("-----END RSA PRIVATE KEY-----\n", "", 1);
    let cut = format!(
        "{}\n{}\n-----END RSA PRIVATE KEY-----",
        key.lines().next().unwrap(),
        body[..8].join("\n")
    );
    let encrypted = key.replacen(
        "KEY-----\n",
        "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        1,
    );
    let cases = [
        ("", KeyError::NoBeginLine),
        ("hello", KeyError::NoBeginLine),
        (
            "/github-token-broker/app/private-key-pem",
            KeyError::NoBeginLine,
        ),
        ("aGVsbG8=", KeyError::NoBeginLine), // base64 of a text
        ("////", KeyError::NoBeginLine),     // and of three bytes that no DER begins with
        (&begin_lost, KeyError::NoBeginLine),
        (&body.join("\n"), KeyError::OnlyBody),
        (&body.concat(), KeyError::OnlyBody),
        (&end_lost, KeyError::Truncated),
        ("-----BEGIN RSA PRIVATE KEY", KeyError::Truncated),
        (
            "-----BEGIN RSA PRIVATE KEY-----\n!!!!\n-----END RSA PRIVATE KEY-----",
            KeyError::NotBase64,
        ),
        (
            "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
            KeyError::NotBase64,
        ),
        (&cut, KeyError::Damaged),
        (&encrypted, KeyError::Encrypted),
        (
            &pem("ENCRYPTED PRIVATE KEY", &[0x30, 0]),
            KeyError::Encrypted,
        ),
        (
            &pem("OPENSSH PRIVATE KEY", b"openssh-key-v1\0"),
            KeyError::OpenSsh,
        ),
        (&pem("PUBLIC KEY", &[0x30, 0]), KeyError::Public),
        (&pem("RSA PUBLIC KEY", &[0x30, 0]), KeyError::Public),
        (&pem("CERTIFICATE", &[0x30, 0]), KeyError::Certificate),
        (
            &pem("EC PRIVATE KEY", &[0x30, 0]),
            KeyError::DifferentAlgorithm,
        ),
        (
            &pem("CERTIFICATE REQUEST", &[0x30, 0]),
            KeyError::NoPrivateKey,
        ),
        (&pem("RSA PRIVATE KEY", &[0x30, 0]), KeyError::Damaged),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), expected, "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn content_decides_over_the_begin_line() {
    let (pkcs1, pkcs8) = (pkcs1(), pkcs8());
    let relabeled = [
        pkcs8.replace(" PRIVATE KEY", " RSA PRIVATE KEY"),
        pkcs1.replace(" RSA PRIVATE KEY", " PRIVATE KEY"),
        pkcs8
            .replace(" PRIVATE KEY", " RSA PRIVATE KEY")
            .replace('\n', "\\n"),
        Base64::encode_string(pkcs1.replace(" RSA PRIVATE KEY", " PRIVATE KEY").as_bytes()),
    ];
    for text in relabeled {
        assert!(parse(&text).is_ok(), "{}", &text[..40]);
    }
}

#[test]
fn non_ascii_character_is_reported() {
    let key = pkcs1();
    for text in [
        key.replacen("-----BEGIN", "\u{2014}---BEGIN", 1),
        key.replacen("BEGIN RSA", "BEGIN\u{a0}RSA", 1),
        key.replacen("RSA PRIVATE", "RSA\u{a0}PRIVATE", 1),
        key.replacen("-----END", "\u{2013}\u{2013}END", 1),
        key.replacen("\nMII", "\nM\u{200b}II", 1),
        key.replace("-----", "\u{2014}\u{2014}"),
    ] {
        assert_eq!(error(&text), KeyError::NonAscii, "{}", &text[..30]);
    }
    let named = format!("Zertifikat für Köln\n{}", pem("CERTIFICATE", &[0x30, 0]));
    assert_eq!(error(&named), KeyError::Certificate);
}

#[test]
fn unsuitable_key_is_rejected() {
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let ec = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
    let ec = ec.unwrap();
    assert_eq!(
        error(&pem("PRIVATE KEY", ec.as_ref())),
        KeyError::DifferentAlgorithm
    );
    // The shortest of all keys: its length takes one byte.
    let ed25519 = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new());
    assert_eq!(
        error(&pem("PRIVATE KEY", ed25519.unwrap().as_ref())),
        KeyError::DifferentAlgorithm
    );
    // AWS-LC no longer generates keys this small. This one was generated for this test only.
    let small = include_bytes!("rsa-1024.der");
    assert_eq!(error(&pem("RSA PRIVATE KEY", small)), KeyError::TooSmall);
    // Nor keys this large. The primes of this one are known to all: 2^4423 - 1 and 2^4253 - 1.
    let large = include_bytes!("rsa-8676.der");
    assert_eq!(error(&pem("RSA PRIVATE KEY", large)), KeyError::TooLarge);
}

/// An import into KMS sends the private key, and the public key proves which key it was.
#[test]
fn key_survives_its_way_to_der() {
    let key = parse(&pkcs1()).unwrap();
    assert_eq!(key.bits(), 2048);
    let (private, public) = key.to_der().unwrap();
    let same = parse(&pem("PRIVATE KEY", &private)).unwrap();
    let signature = same.sign(b"message").unwrap();
    assert_eq!(key.sign(b"message").unwrap(), signature);
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    assert!(public.verify(b"message", &signature).is_ok());
}

#[test]
fn debug_shows_nothing() {
    let key = parse(&pkcs1()).unwrap();
    let shown = format!("{key:?}");
    assert_eq!(shown, "PrivateKey([REDACTED])");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("-----BEGIN PRIVATE KEY-----{text}-----END PRIVATE KEY-----"));
    }

    /// A key that is cut short is never misread.
    #[test]
    fn truncated_key_is_rejected(cut in 0..1600_usize) {
        let key = pkcs1();
        prop_assert!(parse(&key[..cut.min(key.len() - 2)]).is_err());
    }

    /// Spaces and line breaks can be anywhere in the body.
    #[test]
    fn whitespace_in_the_body_is_ignored(at in 40..1600_usize, blank in "[ \t\r\n]{1,3}") {
        let mut key = pkcs1();
        let at = at.min(key.len() - 40);
        key.insert_str(at, &blank);
        prop_assert!(parse(&key).is_ok());
    }
}
