//! The fault matrix: every fault of every call ends in a token or a typed error, after a known number of calls.
//!
//! A row is a fault, a column is a call. A cell has the outcome and the number of calls that the sandbox saw. A run fails if
//! Lambda had to kill the function or if a secret leaked. Other files test the messages.

use std::{
    fmt::Write as _,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, stream};
use sandbox::{Call, CannedResponse, Fault, InvokeResult, Scenario, Schedule};
use tokio::time::{Instant, advance, sleep, sleep_until};

const CALLS: [Call; 4] = [Call::GetParameters, Call::Sign, Call::Confirm, Call::Mint];

/// How often the fault happens.
#[derive(Clone, Copy)]
enum Often {
    Once,
    Always,
    /// Always, with a timeout so short that one attempt uses it up.
    AlwaysWithShortTimeout,
}
use Often::{Always, AlwaysWithShortTimeout, Once};

struct Row {
    fault: &'static str,
    often: Often,
    fault_value: fn() -> Fault,
    /// For `get_parameters`, `sign`, `confirm` and `mint`: the outcome and the number of calls.
    cells: [(&'static str, usize); 4],
}

const fn row(
    fault: &'static str,
    often: Often,
    fault_value: fn() -> Fault,
    get_parameters: (&'static str, usize),
    sign: (&'static str, usize),
    confirm: (&'static str, usize),
    mint: (&'static str, usize),
) -> Row {
    Row {
        fault,
        often,
        fault_value,
        cells: [get_parameters, sign, confirm, mint],
    }
}

const TOKEN: &str = "token";
const SSM_UNREACHABLE: &str = "ParametersUnreachable";
const SSM_UNAVAILABLE: &str = "ParametersUnavailable";
const KMS_UNREACHABLE: &str = "SigningUnreachable";
const KMS_UNAVAILABLE: &str = "SigningUnavailable";
const UNREACHABLE: &str = "GitHubUnreachable";
const UNAVAILABLE: &str = "GitHubUnavailable";
const UNEXPECTED: &str = "UnexpectedAnswer";
const DEADLINE: &str = "DeadlineNear";
/// This service never returns this response, or not for this call.
const NOT_APPLICABLE: (&str, usize) = ("", 0);

fn secondary_limit() -> CannedResponse {
    Fault::response(403).message(
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    )
}

fn exhausted(until: u64) -> CannedResponse {
    Fault::response(403)
        .header("x-ratelimit-remaining", 0)
        .header("x-ratelimit-reset", until)
        .message("API rate limit exceeded for installation ID 12345678.")
}

fn exhausted_with(message: &str) -> Fault {
    Fault::response(403)
        .header("x-ratelimit-remaining", 0)
        .header("x-ratelimit-reset", 4_102_444_800_u64)
        .message(message)
        .into()
}

fn one_second_from_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 1
}

fn error(status: u16, message: &str) -> Fault {
    Fault::response(status).message(message).into()
}

/// AWS's error with this name.
fn aws_error(name: &str) -> Fault {
    Fault::response(400).aws(name, "").into()
}

/// The real response with a different value of this field.
fn edit(field: &'static str, value: &'static str) -> Fault {
    Fault::edit(move |body| body[field] = value.into())
}

const EXP: &str = "'Expiration time' claim ('exp') is too far in the future";
const IAT: &str = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
const SUSPENDED: &str = "This installation has been suspended";
const ALLOW_LIST: &str = "Although you appear to have the correct authorization credentials, the `octo-org` organization has an IP allow list enabled";
const NOT_GRANTED: &str = "The permissions requested are not granted to this installation.";
const NOT_COVERED: &str = "There is at least one repository that does not exist or is not accessible to the parent installation.";

#[rustfmt::skip]
const MATRIX: &[Row] = &[
    //  fault                                how often               fault value                                          get_parameters               sign                       confirm                      mint
    row("refused connection",                Once,                   || Fault::ConnectionRefused,                         (TOKEN, 1),                  (TOKEN, 1),                (TOKEN, 1),                  (TOKEN, 1)),
    row("refused connection",                Always,                 || Fault::ConnectionRefused,                         (SSM_UNREACHABLE, 0),        (KMS_UNREACHABLE, 0),      (UNREACHABLE, 0),            (UNREACHABLE, 0)),
    row("reset before the response",         Once,                   || Fault::ResetBeforeResponse,                       (TOKEN, 2),                  (TOKEN, 2),                (TOKEN, 2),                  (TOKEN, 2)),
    row("reset before the response",         Always,                 || Fault::ResetBeforeResponse,                       (SSM_UNREACHABLE, 4),        (KMS_UNREACHABLE, 4),      (UNREACHABLE, 4),            (UNREACHABLE, 3)),
    row("reset in mid-response",             Once,                   || Fault::ResetMidResponse,                          (TOKEN, 2),                  (TOKEN, 2),                (TOKEN, 2),                  (TOKEN, 2)),
    row("reset in mid-response",             Always,                 || Fault::ResetMidResponse,                          (SSM_UNREACHABLE, 3),        (KMS_UNREACHABLE, 3),      (UNREACHABLE, 3),            (UNREACHABLE, 3)),
    row("truncated response",                Once,                   || Fault::TruncatedBody,                             (TOKEN, 2),                  (TOKEN, 2),                (TOKEN, 2),                  (TOKEN, 2)),
    row("truncated response",                Always,                 || Fault::TruncatedBody,                             (SSM_UNREACHABLE, 3),        (KMS_UNREACHABLE, 3),      (UNREACHABLE, 3),            (UNREACHABLE, 3)),
    row("closed while frozen",               Once,                   || Fault::ClosedWhileFrozen,                         (TOKEN, 1),                  (TOKEN, 1),                (TOKEN, 1),                  (TOKEN, 1)),
    row("TLS failure",                       Once,                   || Fault::TlsFailure,                                (TOKEN, 1),                  (TOKEN, 1),                (TOKEN, 1),                  (TOKEN, 1)),
    row("TLS failure",                       Always,                 || Fault::TlsFailure,                                (SSM_UNREACHABLE, 0),        (KMS_UNREACHABLE, 0),      (UNREACHABLE, 0),            (UNREACHABLE, 0)),
    row("certificate of a different host",   Always,                 || Fault::WrongHost,                                 (SSM_UNREACHABLE, 0),        (KMS_UNREACHABLE, 0),      (UNREACHABLE, 0),            (UNREACHABLE, 0)),
    row("untrusted certificate",             Always,                 || Fault::UntrustedCertificate,                      (SSM_UNREACHABLE, 0),        (KMS_UNREACHABLE, 0),      (UNREACHABLE, 0),            (UNREACHABLE, 0)),
    row("500",                               Once,                   || Fault::Status(500),                               (TOKEN, 2),                  (TOKEN, 2),                (TOKEN, 2),                  (TOKEN, 2)),
    row("500",                               Always,                 || Fault::Status(500),                               (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNAVAILABLE, 3),            (UNAVAILABLE, 3)),
    row("502",                               Always,                 || Fault::Status(502),                               (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNAVAILABLE, 3),            (UNAVAILABLE, 3)),
    row("503",                               Always,                 || Fault::Status(503),                               (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNAVAILABLE, 3),            (UNAVAILABLE, 3)),
    row("504",                               Always,                 || Fault::Status(504),                               (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNAVAILABLE, 3),            (UNAVAILABLE, 3)),
    row("AWS throttles",                     Once,                   || aws_error("ThrottlingException"),                 (TOKEN, 2),                  (TOKEN, 2),                (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("AWS throttles",                     Always,                 || aws_error("ThrottlingException"),                 ("ParametersThrottled", 3),  ("SigningThrottled", 3),   (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("AccessDeniedException",             Always,                 || aws_error("AccessDeniedException"),               ("ParametersAccessDenied", 1), ("SigningKeyDenied", 1),   NOT_APPLICABLE,              NOT_APPLICABLE),
    row("ExpiredTokenException",             Always,                 || aws_error("ExpiredTokenException"),               ("ParametersRefused", 1),    ("SigningRefused", 1),     NOT_APPLICABLE,              NOT_APPLICABLE),
    row("ValidationException",               Always,                 || aws_error("ValidationException"),                 ("ParametersRefused", 1),    ("SigningRefused", 1),     NOT_APPLICABLE,              NOT_APPLICABLE),
    row("NotFoundException",                 Always,                 || aws_error("NotFoundException"),                   NOT_APPLICABLE,              ("SigningKeyNotFound", 1), NOT_APPLICABLE,              NOT_APPLICABLE),
    row("DisabledException",                 Always,                 || aws_error("DisabledException"),                   NOT_APPLICABLE,              ("SigningKeyUnusable", 1), NOT_APPLICABLE,              NOT_APPLICABLE),
    row("KMSInvalidStateException",          Always,                 || aws_error("KMSInvalidStateException"),            NOT_APPLICABLE,              ("SigningKeyUnusable", 1), NOT_APPLICABLE,              NOT_APPLICABLE),
    row("InvalidKeyUsageException",          Always,                 || aws_error("InvalidKeyUsageException"),            NOT_APPLICABLE,              ("SigningKeyUnusable", 1), NOT_APPLICABLE,              NOT_APPLICABLE),
    row("KeyUnavailableException",           Once,                   || aws_error("KeyUnavailableException"),             NOT_APPLICABLE,              (TOKEN, 2),                NOT_APPLICABLE,              NOT_APPLICABLE),
    row("KeyUnavailableException",           Always,                 || aws_error("KeyUnavailableException"),             NOT_APPLICABLE,              (KMS_UNAVAILABLE, 3),      NOT_APPLICABLE,              NOT_APPLICABLE),
    row("DependencyTimeoutException",        Once,                   || aws_error("DependencyTimeoutException"),          NOT_APPLICABLE,              (TOKEN, 2),                NOT_APPLICABLE,              NOT_APPLICABLE),
    row("DependencyTimeoutException",        Always,                 || aws_error("DependencyTimeoutException"),          NOT_APPLICABLE,              (KMS_UNAVAILABLE, 3),      NOT_APPLICABLE,              NOT_APPLICABLE),
    row("signature of a different algorithm", Always,                 || edit("SigningAlgorithm", "RSASSA_PSS_SHA_256"),   NOT_APPLICABLE,              ("SigningKeyUnusable", 1), NOT_APPLICABLE,              NOT_APPLICABLE),
    row("signature of a different length",   Always,                 || edit("Signature", "AAE="),                        NOT_APPLICABLE,              ("SigningKeyUnusable", 1), NOT_APPLICABLE,              NOT_APPLICABLE),
    row("signature that is not base64",      Always,                 || edit("Signature", "*"),                           NOT_APPLICABLE,              (KMS_UNAVAILABLE, 3),      NOT_APPLICABLE,              NOT_APPLICABLE),
    row("429, retry-after 1",                Once,                   || Fault::response(429).header("retry-after", 1).message("").into(), (TOKEN, 2),                  (TOKEN, 2),                (TOKEN, 2),                  (TOKEN, 2)),
    row("429, retry-after 120",              Always,                 || Fault::response(429).header("retry-after", 120).message("").into(), ("ParametersThrottled", 3),  ("SigningThrottled", 3),   ("GitHubRateLimited", 1),    ("GitHubRateLimited", 1)),
    row("secondary rate limit",              Always,                 || secondary_limit().into(),                         ("ParametersRefused", 1),    ("SigningRefused", 1),     ("GitHubRateLimited", 1),    ("GitHubRateLimited", 1)),
    row("429 without details",               Always,                 || Fault::response(429).into(),                      ("ParametersThrottled", 3),  ("SigningThrottled", 3),   ("GitHubRateLimited", 1),    ("GitHubRateLimited", 1)),
    row("hourly limit exhausted",            Always,                 || exhausted(4_102_444_800).into(),                  ("ParametersRefused", 1),    ("SigningRefused", 1),     ("GitHubRateLimited", 1),    ("GitHubRateLimited", 1)),
    row("hourly limit, about to reset",      Once,                   || exhausted(one_second_from_now()).into(),          NOT_APPLICABLE,              NOT_APPLICABLE,            (TOKEN, 2),                  (TOKEN, 2)),
    row("401, JWT not decoded",              Always,                 || error(401, "A JSON web token could not be decoded"), NOT_APPLICABLE,              NOT_APPLICABLE,            ("AppCredentialsRejected", 1), ("AppCredentialsRejected", 1)),
    row("401, exp",                          Once,                   || error(401, EXP),                                  NOT_APPLICABLE,              NOT_APPLICABLE,            (TOKEN, 2),                  (TOKEN, 2)),
    row("401, exp",                          Always,                 || error(401, EXP),                                  NOT_APPLICABLE,              NOT_APPLICABLE,            ("ClockSkew", 2),            ("ClockSkew", 2)),
    row("401, iat",                          Once,                   || error(401, IAT),                                  NOT_APPLICABLE,              NOT_APPLICABLE,            (TOKEN, 2),                  (TOKEN, 2)),
    row("401, iat",                          Always,                 || error(401, IAT),                                  NOT_APPLICABLE,              NOT_APPLICABLE,            ("ClockSkew", 2),            ("ClockSkew", 2)),
    row("403, suspended",                    Always,                 || error(403, SUSPENDED),                            NOT_APPLICABLE,              NOT_APPLICABLE,            ("InstallationSuspended", 1), ("InstallationSuspended", 1)),
    row("403, IP allow list",                Always,                 || error(403, ALLOW_LIST),                           NOT_APPLICABLE,              NOT_APPLICABLE,            ("IpNotAllowed", 1),         ("IpNotAllowed", 1)),
    row("403, other reason",                 Always,                 || error(403, "Resource not accessible by integration"), NOT_APPLICABLE,              NOT_APPLICABLE,            (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("401, numeric App ID required",      Always,                 || error(401, "'Issuer' claim ('iss') must be an Integer"), NOT_APPLICABLE,              NOT_APPLICABLE,            ("AppCredentialsRejected", 1), ("AppCredentialsRejected", 1)),
    row("404, unknown client ID",            Always,                 || error(404, "Integration not found"),               NOT_APPLICABLE,              NOT_APPLICABLE,            ("AppCredentialsRejected", 1), ("AppCredentialsRejected", 1)),
    row("403, too many logins",              Always,                 || error(403, "Maximum number of login attempts exceeded. Please try again later."), NOT_APPLICABLE,              NOT_APPLICABLE,            ("GitHubRateLimited", 1),    ("GitHubRateLimited", 1)),
    row("403, suspended, limit headers",     Always,                 || exhausted_with(SUSPENDED),                         NOT_APPLICABLE,              NOT_APPLICABLE,            ("InstallationSuspended", 1), ("InstallationSuspended", 1)),
    row("403, IP allow list, limit headers", Always,                 || exhausted_with(ALLOW_LIST),                        NOT_APPLICABLE,              NOT_APPLICABLE,            ("IpNotAllowed", 1),         ("IpNotAllowed", 1)),
    row("451",                               Always,                 || error(451, "Repository access blocked"),           NOT_APPLICABLE,              NOT_APPLICABLE,            (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("302 to a login page",               Always,                 || Fault::response(302).header("location", "/login?return_to=x").into(), NOT_APPLICABLE,              NOT_APPLICABLE,            (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("404",                               Always,                 || error(404, "Not Found"),                          NOT_APPLICABLE,              NOT_APPLICABLE,            ("AppNotInstalled", 1),      ("AppNotInstalled", 1)),
    row("422, permission not granted",       Always,                 || error(422, NOT_GRANTED),                          NOT_APPLICABLE,              NOT_APPLICABLE,            NOT_APPLICABLE,              ("PermissionNotGranted", 1)),
    row("422, repository not covered",       Always,                 || error(422, NOT_COVERED),                          NOT_APPLICABLE,              NOT_APPLICABLE,            NOT_APPLICABLE,              ("RepositoryNotCovered", 1)),
    row("422, other reason",                 Always,                 || error(422, "Validation Failed"),                  NOT_APPLICABLE,              NOT_APPLICABLE,            NOT_APPLICABLE,              (UNEXPECTED, 1)),
    row("Date two hours ahead",              Always,                 || Fault::SkewedDate(7200),                          NOT_APPLICABLE,              NOT_APPLICABLE,            (TOKEN, 1),                  (TOKEN, 1)),
    row("Date two hours behind",             Always,                 || Fault::SkewedDate(-7200),                         NOT_APPLICABLE,              NOT_APPLICABLE,            (TOKEN, 1),                  (TOKEN, 1)),
    row("slow headers",                      Once,                   || Fault::SlowHeaders(Duration::from_millis(200)),   (TOKEN, 2),                  (TOKEN, 2),                (TOKEN, 2),                  (DEADLINE, 1)),
    row("slow headers",                      AlwaysWithShortTimeout, || Fault::SlowHeaders(Duration::from_millis(200)),   (DEADLINE, 1),               (DEADLINE, 1),             (DEADLINE, 1),               (DEADLINE, 1)),
    row("trickling body",                    Once,                   || Fault::SlowBody(Duration::from_millis(200)),      (TOKEN, 2),                  (TOKEN, 2),                (TOKEN, 2),                  (DEADLINE, 1)),
    row("trickling body",                    AlwaysWithShortTimeout, || Fault::SlowBody(Duration::from_millis(200)),      (DEADLINE, 1),               (DEADLINE, 1),             (DEADLINE, 1),               (DEADLINE, 1)),
    row("endless body",                      Always,                 || Fault::EndlessBody,                               (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("endless chunk size",                Always,                 || Fault::EndlessBytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "0"), (SSM_UNREACHABLE, 3),        (KMS_UNREACHABLE, 3),      (UNREACHABLE, 3),            (UNREACHABLE, 3)),
    row("endless header",                    Always,                 || Fault::EndlessBytes("HTTP/1.1 200 OK\r\nx: ", "y"), (SSM_UNREACHABLE, 4),        (KMS_UNREACHABLE, 4),      (UNREACHABLE, 4),            (UNREACHABLE, 3)),
    row("100 Continue without end",          Always,                 || Fault::EndlessBytes("", "HTTP/1.1 100 Continue\r\n\r\n"), (SSM_UNREACHABLE, 4),        (KMS_UNREACHABLE, 4),      (UNREACHABLE, 4),            (UNREACHABLE, 3)),
    row("empty body",                        Always,                 || Fault::EmptyBody,                                 (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("HTML",                              Always,                 || Fault::Html,                                      (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("not an object",                     Always,                 || Fault::Json("[1]".into()),                        (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("wrong types",                       Always,                 || Fault::Json(r#"{"Parameters":7,"Signature":7,"id":"x","token":7}"#.into()), (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("missing fields",                    Always,                 || Fault::Json("{}".into()),                         (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("huge numbers",                      Always,                 || Fault::Json(r#"{"Parameters":1e400,"Signature":1e400,"id":1e400,"token":1e400}"#.into()), (SSM_UNAVAILABLE, 3),        (KMS_UNAVAILABLE, 3),      (UNEXPECTED, 1),             (UNEXPECTED, 1)),
    row("301",                               Always,                 || Fault::Redirect(301),                             ("ParametersRefused", 1),    ("SigningRefused", 1),     ("RepositoryMoved", 1),      (UNEXPECTED, 1)),
    row("302",                               Always,                 || Fault::Redirect(302),                             ("ParametersRefused", 1),    ("SigningRefused", 1),     ("RepositoryMoved", 1),      (UNEXPECTED, 1)),
    row("307",                               Always,                 || Fault::Redirect(307),                             ("ParametersRefused", 1),    ("SigningRefused", 1),     ("RepositoryMoved", 1),      (UNEXPECTED, 1)),
    row("308",                               Always,                 || Fault::Redirect(308),                             ("ParametersRefused", 1),    ("SigningRefused", 1),     ("RepositoryMoved", 1),      (UNEXPECTED, 1)),
];

#[tokio::test]
async fn every_fault_of_every_call_ends_in_a_token_or_a_typed_error() {
    let cells = MATRIX.iter().flat_map(|row| {
        CALLS
            .into_iter()
            .zip(row.cells)
            .filter(|(_, cell)| *cell != NOT_APPLICABLE)
            .map(move |(call, cell)| (row, call, cell))
    });
    let results: Vec<_> = stream::iter(cells)
        .map(|(row, call, expected)| async move {
            (
                row,
                call,
                expected,
                run_as_expected(row, call, expected).await,
            )
        })
        .buffered(12)
        .collect()
        .await;

    let mut table = String::from(
        "| fault | how often | call | outcome | calls | |\n|---|---|---|---|---|---|\n",
    );
    let mut wrong = 0;
    for (row, call, expected, found) in &results {
        let right = (expected.0, expected.1) == (found.0.as_str(), found.1);
        wrong += usize::from(!right);
        let verdict = if right {
            String::new()
        } else {
            format!("expected {} {}", expected.0, expected.1)
        };
        let often = if matches!(row.often, Once) {
            "once"
        } else {
            "always"
        };
        #[expect(clippy::use_debug, reason = "prints the name of a call")]
        writeln!(
            table,
            "| {} | {often} | {call:?} | {} | {} | {verdict} |",
            row.fault, found.0, found.1
        )
        .unwrap();
    }
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault-matrix.md");
    std::fs::write(path, &table).unwrap();
    assert_eq!(wrong, 0, "\n{table}");
}

/// Runs a cell again if the machine stalled: that run says nothing about the fault.
async fn run_as_expected(row: &Row, call: Call, expected: (&str, usize)) -> (String, usize) {
    for _ in 0..2 {
        let (found, longest) = measure_stalls(run(row, call)).await;
        if (found.0.as_str(), found.1) == expected || longest < STALL {
            return found;
        }
    }
    run(row, call).await
}

/// The time that the function reserves for its response. A machine that stalls for this long makes it miss Lambda's deadline.
const STALL: Duration = Duration::from_millis(100);

/// How often [`measure_stalls`] checks that this process makes progress. A stall is measured too short by this at most.
const BEAT: Duration = Duration::from_millis(10);

/// Awaits `work`. Also returns the longest time by which this process was late for a beat.
async fn measure_stalls<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let (mut due, mut longest) = (Instant::now() + BEAT, Duration::ZERO);
    loop {
        tokio::select! {
            done = &mut work => return (done, longest.max(due.elapsed())),
            () = sleep_until(due) => {
                longest = longest.max(due.elapsed());
                due = Instant::now() + BEAT;
            }
        }
    }
}

/// A run without a stall is not repeated, however long it takes.
#[tokio::test(start_paused = true)]
async fn stall_is_the_delay_of_a_beat() {
    let ((), longest) = measure_stalls(sleep(20 * STALL)).await;
    assert_eq!(longest, Duration::ZERO);
    let ((), longest) = measure_stalls(advance(BEAT + STALL)).await;
    assert_eq!(longest, STALL);
}

/// Returns the outcome and the number of calls that the sandbox saw.
async fn run(row: &Row, call: Call) -> (String, usize) {
    let fault = (row.fault_value)();
    let tls = matches!(
        fault,
        Fault::TlsFailure | Fault::WrongHost | Fault::UntrustedCertificate
    );
    let mut scenario = Scenario::default();
    if call == Call::Sign {
        scenario = scenario.kms_key();
    }
    if tls {
        scenario = scenario.tls();
    }
    if matches!(row.often, AlwaysWithShortTimeout) {
        scenario = scenario.timeout(Duration::from_secs(3));
    }
    let schedule = if matches!(row.often, Once) {
        Schedule::First(fault)
    } else {
        Schedule::Always(fault)
    };
    let outcome = scenario.faults(call, schedule).run().await;
    let result = match &outcome.result {
        InvokeResult::Response(_) => TOKEN.to_owned(),
        InvokeResult::FunctionError(_) => outcome.error().0,
        other => format!("{other:?}"),
    };
    (result, outcome.calls(call))
}
