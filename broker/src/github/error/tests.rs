use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn classify(call: Call, status: u16, headers: &[(&'static str, &str)], body: &str) -> Rejection {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    Rejection::classify(
        call,
        StatusCode::from_u16(status).unwrap(),
        &map,
        body.as_bytes(),
        &Uri::from_static("https://ghe.example.com/api/v3"),
        NOW,
    )
}

fn with_message(call: Call, status: u16, message: &str) -> Rejection {
    classify(
        call,
        status,
        &[],
        &serde_json::json!({ "message": message }).to_string(),
    )
}

#[test]
fn github_responses_are_classified() {
    use Call::{Confirm, ListRepositories as List, Mint};
    let cases = [
        (
            Confirm,
            401,
            "A JSON web token could not be decoded",
            Rejection::AppCredentials,
        ),
        (Confirm, 404, "Not Found", Rejection::AppNotInstalled),
        (Mint, 404, "Not Found", Rejection::AppNotInstalled),
        (
            Mint,
            403,
            "This installation has been suspended",
            Rejection::InstallationSuspended,
        ),
        (
            Mint,
            403,
            "Although you appear to have the correct authorization credentials, the ...",
            Rejection::IpNotAllowed,
        ),
        (
            Mint,
            422,
            "The permissions requested are not granted to this installation.",
            Rejection::PermissionNotGranted(Vec::new()),
        ),
        (
            Mint,
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
            Rejection::RepositoryNotCovered,
        ),
        (Mint, 403, "Something new", Rejection::Forbidden),
        (Mint, 422, "Something new", Rejection::Unknown),
        (Mint, 400, "Problems parsing JSON", Rejection::Unknown),
        (Confirm, 500, "", Rejection::Unavailable),
        (Confirm, 503, "", Rejection::Unavailable),
        (
            Confirm,
            401,
            "'Issuer' claim ('iss') must be an Integer",
            Rejection::NumericAppIdRequired,
        ),
        (
            Confirm,
            401,
            "Integration must generate a public key",
            Rejection::NoPublicKey,
        ),
        (
            Confirm,
            404,
            "Integration not found",
            Rejection::UnknownClientId,
        ),
        (
            Confirm,
            403,
            "Resource not accessible by integration",
            Rejection::Forbidden,
        ),
        (
            Confirm,
            451,
            "Repository access blocked",
            Rejection::Blocked,
        ),
        (
            Confirm,
            403,
            "Maximum number of login attempts exceeded. Please try again later.",
            Rejection::RateLimited { wait: DEFAULT_WAIT },
        ),
        (
            List,
            403,
            "Resource not accessible by integration",
            Rejection::TokenNotPropagated,
        ),
        (List, 403, "Something new", Rejection::TokenNotPropagated),
        (List, 401, "Bad credentials", Rejection::TokenNotPropagated),
        (List, 404, "Not Found", Rejection::TokenNotPropagated),
        (Mint, 301, "Moved Permanently", Rejection::WebPage),
        (Confirm, 200, "", Rejection::Unknown),
    ];
    for (call, status, message, expected) in cases {
        assert_eq!(
            with_message(call, status, message),
            expected,
            "{call} {status} {message}"
        );
    }
    for status in [301, 307, 308] {
        assert_eq!(
            with_message(Confirm, status, "Moved Permanently"),
            Rejection::RepositoryMoved
        );
    }
}

#[test]
fn only_a_redirect_within_the_api_is_a_rename() {
    let redirect = |status, location: &str| {
        let call = Call::Confirm;
        classify(call, status, &[("location", location)], "{}")
    };
    for (status, location) in [
        (
            301,
            "https://ghe.example.com/api/v3/repositories/7/installation",
        ),
        (307, "/api/v3/repositories/7/installation"),
        (302, "https://ghe.example.com/api/v3/repositories/7"),
        (308, "/api/v3/repos/octo-org/renamed/installation"),
    ] {
        assert_eq!(
            redirect(status, location),
            Rejection::RepositoryMoved,
            "{location}"
        );
    }
    for (status, location) in [
        (302, "https://ghe.example.com/login?return_to=%2Fapi"),
        (302, "/login?return_to=x"),
        (301, "https://sso.example.com/api/v3/repositories/7"),
        (301, "https://ghe.example.com/"),
        (302, "https://ghe.example.com/repositories/7"),
        (303, "not a URL at all"),
    ] {
        assert_eq!(redirect(status, location), Rejection::WebPage, "{location}");
    }
}

#[test]
fn text_decides_before_the_rate_limit_headers() {
    let headers = [("x-ratelimit-remaining", "0"), ("retry-after", "60")];
    for (message, expected) in [
        (
            "This installation has been suspended",
            Rejection::InstallationSuspended,
        ),
        (
            "Although you appear to have the correct authorization credentials, the ...",
            Rejection::IpNotAllowed,
        ),
        (
            "Resource not accessible by integration",
            Rejection::Forbidden,
        ),
    ] {
        let body = serde_json::json!({ "message": message }).to_string();
        assert_eq!(classify(Call::Mint, 403, &headers, &body), expected);
    }
}

#[test]
fn missing_permissions_are_compared_with_the_installation() {
    let permissions = |json: &str| serde_json::from_str::<Permissions>(json).unwrap();
    let requested = permissions(
        r#"{"contents":"write","issues":"read","pull-requests":"write","metadata":"read"}"#,
    );
    let installed = permissions(r#"{"contents":"read","issues":"write","metadata":"read"}"#);
    let missing = |installed| match Rejection::permission_not_granted(&requested, installed) {
        Rejection::PermissionNotGranted(missing) => missing,
        _ => unreachable!(),
    };
    let names = |missing: Vec<MissingPermission>| -> Vec<_> {
        missing
            .into_iter()
            .map(|missing| (missing.name, missing.installed))
            .collect()
    };
    assert_eq!(
        names(missing(Some(&installed))),
        [
            ("contents".to_owned(), Some("read".to_owned())),
            ("pull-requests".to_owned(), None)
        ]
    );
    assert_eq!(missing(None).len(), 4, "unknown: all that was requested");
}

#[test]
fn clock_skew_has_githubs_time() {
    let date = "Thu, 01 Jan 1970 00:01:00 GMT";
    for message in [
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    ] {
        let body = serde_json::json!({ "message": message }).to_string();
        let rejection = classify(Call::Mint, 401, &[("date", date)], &body);
        assert_eq!(
            rejection,
            Rejection::ClockSkew {
                github_time: Some(NOW + Duration::from_mins(1))
            }
        );
    }
}

#[test]
fn rate_limit_has_its_wait() {
    let wait = |status, headers: &[_], message: &str| {
        let body = serde_json::json!({ "message": message }).to_string();
        match classify(Call::Confirm, status, headers, &body) {
            Rejection::RateLimited { wait } => Some(wait.as_secs()),
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
        wait(
            429,
            &[("retry-after", "Thu, 01 Jan 1970 00:01:30 GMT"), date],
            ""
        ),
        Some(30)
    );
    assert_eq!(
        wait(403, &[("x-ratelimit-remaining", "4999")], "Forbidden"),
        None
    );
}

proptest! {
    #[test]
    fn classification_fits_the_status(
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
        let rejection = Rejection::classify(Call::Mint, status, &map, &body, &Uri::from_static("https://api.github.com"), NOW);
        // Only these two statuses can mean a limit, and only a server error is transient.
        let is_limit = matches!(rejection, Rejection::RateLimited { .. });
        prop_assert!(!is_limit || matches!(status.as_u16(), 403 | 429));
        prop_assert_eq!(rejection == Rejection::Unavailable, status.as_u16() >= 500);
    }

    /// The wait ends at GitHub's reset, by GitHub's clock, and is never negative.
    #[test]
    fn wait_lasts_from_githubs_clock_to_its_reset(answered in 0..4_000_000_000_u64, reset in 0..4_000_000_000_u64) {
        use aws_smithy_types::date_time::{DateTime, Format};
        let date = DateTime::from_secs(i64::try_from(answered).unwrap()).fmt(Format::HttpDate).unwrap();
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset.to_string()), ("date", &date)];
        let wait = Duration::from_secs(reset.saturating_sub(answered));
        prop_assert_eq!(classify(Call::Mint, 403, &headers, ""), Rejection::RateLimited { wait });
    }

    #[test]
    fn stated_wait_takes_precedence(seconds in any::<u64>(), reset in any::<u64>()) {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset.to_string()), ("retry-after", &seconds.to_string())];
        let wait = Duration::from_secs(seconds);
        for status in [403, 429] {
            prop_assert_eq!(classify(Call::Mint, status, &headers, ""), Rejection::RateLimited { wait });
        }
    }
}

fn rejected(status: u16, rejection: Rejection) -> GitHubError {
    GitHubError::Rejected { status, rejection }
}

#[test]
fn each_failure_says_whether_to_retry_and_whether_it_may_have_minted() {
    let wait = Duration::from_secs(7);
    let limited = Rejection::RateLimited { wait };
    let unreachable = GitHubError::Unreachable;
    let cases = [
        (unreachable(HttpError::Resolve), Retry::Backoff, false),
        (
            unreachable(HttpError::ProxyAuthentication),
            Retry::Never,
            false,
        ),
        (unreachable(HttpError::Interrupted), Retry::Backoff, true),
        (unreachable(HttpError::TimedOut), Retry::Backoff, true),
        (GitHubError::OutOfTime, Retry::Never, true),
        (
            GitHubError::Unexpected(ResponseError::NotJson),
            Retry::Never,
            true,
        ),
        (rejected(202, Rejection::Unknown), Retry::Never, true),
        (rejected(503, Rejection::Unavailable), Retry::Backoff, true),
        (rejected(429, limited), Retry::After(wait), false),
        (
            rejected(404, Rejection::TokenNotPropagated),
            Retry::UntilPropagated,
            false,
        ),
        (
            rejected(404, Rejection::AppNotInstalled),
            Retry::Never,
            false,
        ),
        (GitHubError::AccountMismatch, Retry::Never, false),
    ];
    for (error, retry, may_have_minted) in cases {
        assert_eq!(error.retry(), retry, "{error:?}");
        assert_eq!(
            error.may_have_been_processed(),
            may_have_minted,
            "{error:?}"
        );
    }
}

#[test]
fn only_401_says_that_github_does_not_know_the_token() {
    for (status, is_unknown) in [(401, true), (403, false), (404, false)] {
        let error = rejected(status, Rejection::TokenNotPropagated);
        assert_eq!(error.is_unknown_token(), is_unknown, "{status}");
    }
    assert!(!rejected(401, Rejection::AppCredentials).is_unknown_token());
}
