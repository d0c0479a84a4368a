//! Whatever goes wrong with a call, the outcome is a token or a typed error, and the number of calls is known.
//!
//! The matrix is data: one row a fault, one column a call. A cell says what the caller gets, and how often the
//! sandbox saw the call. The harness fails a run that Lambda had to kill, or that let a secret out. `clock.rs`,
//! `installation.rs` and `parameters.rs` look closer at what is said.

use std::{
    fmt::Write as _,
    pin::pin,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, stream};
use sandbox::{Answer, Call, CannedAnswer, Fault, Scenario, Schedule};

const CALLS: [Call; 3] = [Call::Ssm, Call::Lookup, Call::Mint];

/// How often the fault happens.
#[derive(Clone, Copy)]
enum Often {
    Once,
    Always,
    /// Always, with so few seconds to the deadline that one attempt uses them up.
    AlwaysAndHurried,
}
use Often::{Always, AlwaysAndHurried, Once};

struct Row {
    fault: &'static str,
    often: Often,
    make: fn() -> Fault,
    /// For SSM, the lookup and the mint: the outcome, and how often the call was seen.
    cells: [(&'static str, usize); 3],
}

const fn row(
    fault: &'static str,
    often: Often,
    make: fn() -> Fault,
    ssm: (&'static str, usize),
    lookup: (&'static str, usize),
    mint: (&'static str, usize),
) -> Row {
    Row {
        fault,
        often,
        make,
        cells: [ssm, lookup, mint],
    }
}

const TOKEN: &str = "token";
const SSM_SILENT: &str = "ParametersUnreachable";
const SSM_FAILS: &str = "ParametersUnavailable";
const SILENT: &str = "GitHubUnreachable";
const FAILS: &str = "GitHubUnavailable";
const ODD: &str = "UnexpectedAnswer";
const LATE: &str = "DeadlineNear";
const UNPROVEN: &str = "TokenNotProven";
/// An answer that only GitHub gives, or that only one of its calls gets.
const NO_CASE: (&str, usize) = ("", 0);

fn secondary_limit() -> CannedAnswer {
    Fault::answer(403).message(
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    )
}

fn used_up(until: u64) -> CannedAnswer {
    Fault::answer(403)
        .header("x-ratelimit-remaining", 0)
        .header("x-ratelimit-reset", until)
        .message("API rate limit exceeded for installation ID 12345678.")
}

fn in_a_second() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 1
}

fn said(status: u16, message: &str) -> Fault {
    Fault::answer(status).message(message).into()
}

const EXP: &str = "'Expiration time' claim ('exp') is too far in the future";
const IAT: &str = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
const SUSPENDED: &str = "This installation has been suspended";
const ALLOW_LIST: &str = "Although you appear to have the correct authorization credentials, the `octo-org` organization has an IP allow list enabled";
const NOT_GRANTED: &str = "The permissions requested are not granted to this installation.";
const NOT_COVERED: &str = "There is at least one repository that does not exist or is not accessible to the parent installation.";

#[rustfmt::skip]
const MATRIX: &[Row] = &[
    //   fault                          how often         how to make it                                       SSM                        lookup                    mint
    row("refused connection",           Once,             || Fault::RefusedConnection,                         (TOKEN, 1),                (TOKEN, 1),               (TOKEN, 1)),
    row("refused connection",           Always,           || Fault::RefusedConnection,                         (SSM_SILENT, 0),           (SILENT, 0),              (SILENT, 0)),
    row("reset before the answer",      Once,             || Fault::ResetBeforeAnswer,                         (TOKEN, 2),                (TOKEN, 2),               (TOKEN, 2)),
    row("reset before the answer",      Always,           || Fault::ResetBeforeAnswer,                         (SSM_SILENT, 4),           (SILENT, 4),              (SILENT, 4)),
    row("reset in mid-answer",          Once,             || Fault::ResetMidAnswer,                            (TOKEN, 2),                (TOKEN, 2),               (TOKEN, 2)),
    row("reset in mid-answer",          Always,           || Fault::ResetMidAnswer,                            (SSM_SILENT, 3),           (SILENT, 3),              (SILENT, 3)),
    row("truncated answer",             Once,             || Fault::Truncated,                                 (TOKEN, 2),                (TOKEN, 2),               (TOKEN, 2)),
    row("truncated answer",             Always,           || Fault::Truncated,                                 (SSM_SILENT, 3),           (SILENT, 3),              (SILENT, 3)),
    row("dead after a freeze",          Once,             || Fault::CutWhileFrozen,                            (TOKEN, 1),                (TOKEN, 1),               (TOKEN, 1)),
    row("TLS failure",                  Once,             || Fault::TlsFailure,                                (TOKEN, 1),                (TOKEN, 1),               (TOKEN, 1)),
    row("TLS failure",                  Always,           || Fault::TlsFailure,                                (SSM_SILENT, 0),           (SILENT, 0),              (SILENT, 0)),
    row("certificate of another host",  Always,           || Fault::WrongHost,                                 (SSM_SILENT, 0),           (SILENT, 0),              (SILENT, 0)),
    row("untrusted certificate",        Always,           || Fault::UntrustedCertificate,                      (SSM_SILENT, 0),           (SILENT, 0),              (SILENT, 0)),
    row("500",                          Once,             || Fault::Status(500),                               (TOKEN, 2),                (TOKEN, 2),               (TOKEN, 2)),
    row("500",                          Always,           || Fault::Status(500),                               (SSM_FAILS, 3),            (FAILS, 3),               (FAILS, 3)),
    row("502",                          Always,           || Fault::Status(502),                               (SSM_FAILS, 3),            (FAILS, 3),               (FAILS, 3)),
    row("503",                          Always,           || Fault::Status(503),                               (SSM_FAILS, 3),            (FAILS, 3),               (FAILS, 3)),
    row("504",                          Always,           || Fault::Status(504),                               (SSM_FAILS, 3),            (FAILS, 3),               (FAILS, 3)),
    row("SSM throttles",                Once,             || Fault::answer(400).aws("ThrottlingException", "Rate exceeded").into(), (TOKEN, 2), (ODD, 1),           (ODD, 1)),
    row("SSM throttles",                Always,           || Fault::answer(400).aws("ThrottlingException", "Rate exceeded").into(), ("ParametersThrottled", 3), (ODD, 1), (ODD, 1)),
    row("429, retry-after 1",           Once,             || Fault::answer(429).header("retry-after", 1).message("").into(),     (TOKEN, 2),                (TOKEN, 2), (TOKEN, 2)),
    row("429, retry-after 120",         Always,           || Fault::answer(429).header("retry-after", 120).message("").into(),   ("ParametersThrottled", 3), ("GitHubRateLimited", 1), ("GitHubRateLimited", 1)),
    row("secondary rate limit",         Always,           || secondary_limit().into(),                         ("ParametersRefused", 1),  ("GitHubRateLimited", 1), ("GitHubRateLimited", 1)),
    row("429 and no more",              Always,           || Fault::answer(429).into(),                        ("ParametersThrottled", 3), ("GitHubRateLimited", 1), ("GitHubRateLimited", 1)),
    row("hourly limit used up",         Always,           || used_up(4_102_444_800).into(),                    ("ParametersRefused", 1),  ("GitHubRateLimited", 1), ("GitHubRateLimited", 1)),
    row("hourly limit, nearly over",    Once,             || used_up(in_a_second()).into(),                    NO_CASE,                   (TOKEN, 2),               (TOKEN, 2)),
    row("401, JWT not decoded",         Always,           || said(401, "A JSON web token could not be decoded"), NO_CASE,                  ("AppCredentialsRejected", 1), ("AppCredentialsRejected", 1)),
    row("401, exp",                     Once,             || said(401, EXP),                                   NO_CASE,                   (TOKEN, 2),               (TOKEN, 2)),
    row("401, exp",                     Always,           || said(401, EXP),                                   NO_CASE,                   ("ClockSkew", 2),         ("ClockSkew", 2)),
    row("401, iat",                     Once,             || said(401, IAT),                                   NO_CASE,                   (TOKEN, 2),               (TOKEN, 2)),
    row("401, iat",                     Always,           || said(401, IAT),                                   NO_CASE,                   ("ClockSkew", 2),         ("ClockSkew", 2)),
    row("403, suspended",               Always,           || said(403, SUSPENDED),                             NO_CASE,                   ("InstallationSuspended", 1), ("InstallationSuspended", 1)),
    row("403, IP allow list",           Always,           || said(403, ALLOW_LIST),                            NO_CASE,                   ("IpNotAllowed", 1),      ("IpNotAllowed", 1)),
    row("403, another reason",          Always,           || said(403, "Resource not accessible by integration"), NO_CASE,                (ODD, 1),                 (ODD, 1)),
    row("404",                          Always,           || said(404, "Not Found"),                           NO_CASE,                   ("AppNotInstalled", 1),   ("AppNotInstalled", 1)),
    row("422, permission not granted",  Always,           || said(422, NOT_GRANTED),                           NO_CASE,                   NO_CASE,                  ("PermissionNotGranted", 1)),
    row("422, repository not covered",  Always,           || said(422, NOT_COVERED),                           NO_CASE,                   NO_CASE,                  ("RepositoryNotCovered", 1)),
    row("422, another reason",          Always,           || said(422, "Validation Failed"),                   NO_CASE,                   NO_CASE,                  (ODD, 1)),
    row("Date two hours ahead",         Always,           || Fault::SkewedDate(7200),                          NO_CASE,                   (TOKEN, 1),               (UNPROVEN, 1)),
    row("Date two hours behind",        Always,           || Fault::SkewedDate(-7200),                         NO_CASE,                   (TOKEN, 1),               (UNPROVEN, 1)),
    row("slow headers",                 Once,             || Fault::SlowHeaders(Duration::from_millis(200)),   (TOKEN, 2),                (TOKEN, 2),               (TOKEN, 2)),
    row("slow headers",                 AlwaysAndHurried, || Fault::SlowHeaders(Duration::from_millis(200)),   (LATE, 1),                 (LATE, 1),                (LATE, 1)),
    row("trickling body",               Once,             || Fault::TricklingBody(Duration::from_millis(200)), (TOKEN, 2),                (TOKEN, 2),               (TOKEN, 2)),
    row("trickling body",               AlwaysAndHurried, || Fault::TricklingBody(Duration::from_millis(200)), (LATE, 1),                 (LATE, 1),                (LATE, 1)),
    row("endless body",                 Always,           || Fault::EndlessBody,                               (SSM_FAILS, 3),            (ODD, 1),                 (ODD, 1)),
    row("empty body",                   Always,           || Fault::EmptyBody,                                 (SSM_FAILS, 3),            (ODD, 1),                 (ODD, 1)),
    row("HTML",                         Always,           || Fault::Html,                                      (SSM_FAILS, 3),            (ODD, 1),                 (ODD, 1)),
    row("not an object",                Always,           || Fault::Json("[1]".into()),                        (SSM_FAILS, 3),            (ODD, 1),                 (ODD, 1)),
    row("wrong types",                  Always,           || Fault::Json(r#"{"Parameters":7,"id":"x","token":7}"#.into()), (SSM_FAILS, 3), (ODD, 1),               (ODD, 1)),
    row("missing fields",               Always,           || Fault::Json("{}".into()),                         (SSM_FAILS, 3),            (ODD, 1),                 (ODD, 1)),
    row("huge numbers",                 Always,           || Fault::Json(r#"{"Parameters":1e400,"id":1e400,"token":1e400}"#.into()), (SSM_FAILS, 3), (ODD, 1),      (ODD, 1)),
    row("301",                          Always,           || Fault::Redirect(301),                             ("ParametersRefused", 1),  ("RepositoryMoved", 1),   (ODD, 1)),
    row("302",                          Always,           || Fault::Redirect(302),                             ("ParametersRefused", 1),  ("RepositoryMoved", 1),   (ODD, 1)),
    row("307",                          Always,           || Fault::Redirect(307),                             ("ParametersRefused", 1),  ("RepositoryMoved", 1),   (ODD, 1)),
    row("308",                          Always,           || Fault::Redirect(308),                             ("ParametersRefused", 1),  ("RepositoryMoved", 1),   (ODD, 1)),
];

#[tokio::test]
async fn every_fault_of_every_call_is_survived_or_said() {
    let cells = MATRIX.iter().flat_map(|row| {
        CALLS
            .into_iter()
            .zip(row.cells)
            .filter(|(_, cell)| *cell != NO_CASE)
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
        .buffered(6)
        .collect()
        .await;

    let mut table = String::from(
        "| fault | how often | call | outcome | seen | |\n|---|---|---|---|---|---|\n",
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
        #[expect(clippy::use_debug, reason = "the name of a call")]
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

/// Once more, where the machine stood still: what came of that run says nothing of the fault.
async fn run_as_expected(row: &Row, call: Call, expected: (&str, usize)) -> (String, usize) {
    let (found, longest) = with_pulse(run(row, call)).await;
    if (found.0.as_str(), found.1) == expected || longest < STANDSTILL {
        return found;
    }
    run(row, call).await
}

/// A third of what an attempt may take: a machine that stands still for so long makes time-outs of its own.
const STANDSTILL: Duration = Duration::from_secs(1);

/// What comes of `work`, and the longest time for which this process got nothing done meanwhile.
async fn with_pulse<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let (mut beat, mut longest) = (Instant::now(), Duration::ZERO);
    loop {
        tokio::select! {
            done = &mut work => return (done, longest.max(beat.elapsed())),
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                longest = longest.max(beat.elapsed());
                beat = Instant::now();
            }
        }
    }
}

/// The outcome, and how often the sandbox saw the call.
async fn run(row: &Row, call: Call) -> (String, usize) {
    let fault = (row.make)();
    let tls = matches!(
        fault,
        Fault::TlsFailure | Fault::WrongHost | Fault::UntrustedCertificate
    );
    let mut scenario = Scenario::default();
    if tls {
        scenario = scenario.tls();
    }
    if matches!(row.often, AlwaysAndHurried) {
        scenario = scenario.timeout(Duration::from_secs(3));
    }
    let schedule = if matches!(row.often, Once) {
        Schedule::First(fault)
    } else {
        Schedule::Always(fault)
    };
    let outcome = scenario.faults(call, schedule).run().await;
    let answer = match &outcome.answer {
        Answer::Response(_) => TOKEN.to_owned(),
        Answer::FunctionError(_) => outcome.error().0,
        other => format!("{other:?}"),
    };
    (answer, outcome.calls(call))
}
