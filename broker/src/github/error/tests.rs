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
    fn any_answer_has_a_meaning_that_its_status_allows(
        status in 100..1000_u16,
        body in prop::collection::vec(any::<u8>(), 0..300),
        headers in prop::collection::vec(("retry-after|x-ratelimit-remaining|x-ratelimit-reset|date", "\\PC{0,30}"), 0..5),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                map.insert(http::HeaderName::try_from(name).unwrap(), value);
            }
        }
        let status = StatusCode::from_u16(status).unwrap();
        let refusal = Refusal::classify(Call::InstallationToken, status, &map, &body, NOW);
        // Only these two statuses may mean a limit, and only a server's fault is one that passes.
        let is_limit = matches!(refusal, Refusal::RateLimited { .. });
        prop_assert!(!is_limit || matches!(status.as_u16(), 403 | 429));
        prop_assert_eq!(refusal == Refusal::Unavailable, status.as_u16() >= 500);
    }

    /// A limit is waited for until GitHub's own reset, by GitHub's own clock, and never a negative time.
    #[test]
    fn the_wait_is_from_githubs_clock_to_its_reset(answered in 0..4_000_000_000_u64, reset in 0..4_000_000_000_u64) {
        use aws_smithy_types::date_time::{DateTime, Format};
        let date = DateTime::from_secs(i64::try_from(answered).unwrap()).fmt(Format::HttpDate).unwrap();
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset.to_string()), ("date", &date)];
        let wait = Duration::from_secs(reset.saturating_sub(answered));
        prop_assert_eq!(classify(Call::InstallationToken, 403, &headers, ""), Refusal::RateLimited { wait });
    }

    #[test]
    fn a_stated_wait_goes_before_all_else(seconds in any::<u64>(), reset in any::<u64>()) {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset.to_string()), ("retry-after", &seconds.to_string())];
        let wait = Duration::from_secs(seconds);
        for status in [403, 429] {
            prop_assert_eq!(classify(Call::InstallationToken, status, &headers, ""), Refusal::RateLimited { wait });
        }
    }
}
