use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn classify(call: Call, status: u16, headers: &[(&'static str, &str)], body: &str) -> Refusal {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    Refusal::classify(
        call,
        StatusCode::from_u16(status).unwrap(),
        &map,
        body.as_bytes(),
        NOW,
    )
}

fn said(call: Call, status: u16, message: &str) -> Refusal {
    classify(
        call,
        status,
        &[],
        &serde_json::json!({ "message": message }).to_string(),
    )
}

#[test]
fn githubs_answers_mean_what_they_mean() {
    use Call::{
        InstallationRepositories as Reach, InstallationToken as Mint,
        RepositoryInstallation as Lookup,
    };
    let cases = [
        (
            Lookup,
            401,
            "A JSON web token could not be decoded",
            Refusal::AppCredentialsRejected,
        ),
        (Lookup, 404, "Not Found", Refusal::AppNotInstalled),
        (Mint, 404, "Not Found", Refusal::AppNotInstalled),
        (
            Mint,
            403,
            "This installation has been suspended",
            Refusal::InstallationSuspended,
        ),
        (
            Mint,
            403,
            "Although you appear to have the correct authorization credentials, the ...",
            Refusal::IpNotAllowed,
        ),
        (
            Mint,
            422,
            "The permissions requested are not granted to this installation.",
            Refusal::PermissionNotGranted,
        ),
        (
            Mint,
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
            Refusal::RepositoryNotCovered,
        ),
        (Mint, 403, "Something new", Refusal::Unexpected),
        (Mint, 422, "Something new", Refusal::Unexpected),
        (Mint, 400, "Problems parsing JSON", Refusal::Unexpected),
        (Lookup, 500, "", Refusal::Unavailable),
        (Lookup, 503, "", Refusal::Unavailable),
        (Reach, 401, "Bad credentials", Refusal::TokenNotYetKnown),
        (Reach, 404, "Not Found", Refusal::TokenNotYetKnown),
        (Mint, 301, "Moved Permanently", Refusal::Unexpected),
        (Lookup, 200, "", Refusal::Unexpected),
    ];
    for (call, status, message, expected) in cases {
        assert_eq!(
            said(call, status, message),
            expected,
            "{call} {status} {message}"
        );
    }
    for status in [301, 302, 307, 308] {
        assert_eq!(
            said(Lookup, status, "Moved Permanently"),
            Refusal::RepositoryMoved
        );
    }
}

#[test]
fn a_skewed_clock_is_told_with_githubs_time() {
    let date = "Thu, 01 Jan 1970 00:01:00 GMT";
    for message in [
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    ] {
        let body = serde_json::json!({ "message": message }).to_string();
        let refusal = classify(Call::InstallationToken, 401, &[("date", date)], &body);
        assert_eq!(
            refusal,
            Refusal::ClockSkew {
                github_time: Some(NOW + Duration::from_mins(1))
            }
        );
    }
}

#[test]
fn a_rate_limit_is_told_with_its_wait() {
    let wait = |status, headers: &[_], message: &str| {
        let body = serde_json::json!({ "message": message }).to_string();
        match classify(Call::RepositoryInstallation, status, headers, &body) {
            Refusal::RateLimited { wait } => Some(wait.as_secs()),
            _ => None,
        }
    };
    let date = ("date", "Thu, 01 Jan 1970 00:01:00 GMT");
    assert_eq!(wait(429, &[("retry-after", "7")], ""), Some(7));
    assert_eq!(wait(403, &[("retry-after", "7")], ""), Some(7));
    assert_eq!(
        wait(
            403,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "100"),
                date
            ],
            ""
        ),
        Some(40)
    );
    assert_eq!(
        wait(
            403,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "9"),
                date
            ],
            ""
        ),
        Some(0)
    );
    assert_eq!(wait(403, &[("x-ratelimit-remaining", "0")], ""), Some(60));
    assert_eq!(
        wait(403, &[], "You have exceeded a secondary rate limit."),
        Some(60)
    );
    assert_eq!(wait(429, &[], ""), Some(60));
    assert_eq!(wait(429, &[("retry-after", "soon")], ""), Some(60));
    assert_eq!(
        wait(403, &[("x-ratelimit-remaining", "4999")], "Forbidden"),
        None
    );
}

proptest! {
    #[test]
    fn no_answer_panics_or_is_repeated(
        status in 100..1000_u16,
        body in prop::collection::vec(any::<u8>(), 0..300),
        retry_after in any::<u64>(),
        reset in any::<u64>(),
        message in "[a-z]{12,40}",
    ) {
        let body_of_message = serde_json::json!({ "message": message }).to_string();
        for body in [body, body_of_message.into_bytes()] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", retry_after.into());
            headers.insert("x-ratelimit-remaining", 0.into());
            headers.insert("x-ratelimit-reset", reset.into());
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = Refusal::classify(Call::InstallationToken, status, &headers, &body, NOW);
            prop_assert!(!refusal.to_string().contains(&message));
        }
    }
}
