//! Each failure, written out. The tables of the reference page on errors are generated from the same list.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use strum::IntoEnumIterator;

use super::*;
use crate::{
    app::{InstallationId, private_key::KeyError},
    aws::ssm::ParameterName,
    config::env::{ConfigError, ValueError},
    github::error::ResponseError,
};

fn parameter() -> ParameterName {
    ParameterName::parse("/github-token-broker/app/client-id").unwrap()
}

fn key_parameter() -> ParameterName {
    ParameterName::parse("/github-token-broker/app/private-key-pem").unwrap()
}

fn at(service: &str) -> AwsLocation {
    AwsLocation {
        region: "eu-west-1".to_owned(),
        host: format!("{service}.eu-west-1.amazonaws.com:443"),
    }
}

fn github(call: Call, error: GitHubError) -> Failure {
    Failure::GitHub {
        call,
        error,
        repository: Repository::parse("octo-org", "octo-repo").unwrap(),
        host: "api.github.com:443".to_owned(),
    }
}

fn rejected(call: Call, status: u16, rejection: Rejection) -> Failure {
    github(call, GitHubError::Rejected { status, rejection })
}

/// The errors of a call to AWS, without the exceptions that only the other service has.
fn aws_errors(only_elsewhere: &[Exception]) -> Vec<AwsError> {
    let mut errors = vec![
        AwsError::Throttled,
        AwsError::Unavailable,
        AwsError::OutOfTime,
        AwsError::NoCredentials,
    ];
    errors.extend(HttpError::iter().map(AwsError::Unreachable));
    let exceptions = Exception::iter().filter(|exception| !only_elsewhere.contains(exception));
    errors.extend(exceptions.map(AwsError::Rejected));
    errors
}

const ONLY_KMS: [Exception; 4] = [
    Exception::NotFound,
    Exception::InvalidKeyUsage,
    Exception::UnsupportedOperation,
    Exception::WrongSignature,
];

const ONLY_SSM: [Exception; 4] = [
    Exception::DecryptionDenied,
    Exception::SecretDenied,
    Exception::InvalidKeyId,
    Exception::ParameterNotFound,
];

fn credentials_failures() -> Vec<Failure> {
    let mut errors = vec![
        CredentialsError::Missing(vec![parameter(), key_parameter()]),
        CredentialsError::Empty(parameter()),
        CredentialsError::NotEncrypted(key_parameter()),
        CredentialsError::ClientId {
            name: parameter(),
            may_be_secret: false,
        },
        CredentialsError::ClientId {
            name: parameter(),
            may_be_secret: true,
        },
        CredentialsError::InstallationId(parameter()),
    ];
    errors.extend(KeyError::iter().map(|error| CredentialsError::Key(key_parameter(), error)));
    errors.extend(aws_errors(&ONLY_KMS).into_iter().map(CredentialsError::Ssm));
    let failure = |error| Failure::Credentials {
        error,
        at: at("ssm"),
    };
    errors.into_iter().map(failure).collect()
}

fn github_failures() -> Vec<Failure> {
    let id = |number| InstallationId::from_number(number).unwrap();
    let missing = MissingPermission {
        name: "contents".to_owned(),
        requested: "write".to_owned(),
        installed: Some("read".to_owned()),
    };
    let mut failures = vec![
        rejected(Call::Confirm, 401, Rejection::AppCredentials),
        rejected(Call::Confirm, 401, Rejection::NumericAppIdRequired),
        rejected(Call::Confirm, 401, Rejection::NoPublicKey),
        rejected(Call::Confirm, 404, Rejection::UnknownClientId),
        rejected(
            Call::Confirm,
            401,
            Rejection::ClockSkew { github_time: None },
        ),
        rejected(Call::Confirm, 404, Rejection::AppNotInstalled),
        rejected(Call::Mint, 403, Rejection::InstallationSuspended),
        rejected(Call::Mint, 403, Rejection::IpNotAllowed),
        rejected(Call::Mint, 403, Rejection::Forbidden),
        rejected(Call::Confirm, 451, Rejection::Blocked),
        rejected(
            Call::Mint,
            422,
            Rejection::PermissionNotGranted(vec![missing]),
        ),
        rejected(Call::Mint, 422, Rejection::RepositoryNotCovered),
        rejected(Call::Confirm, 301, Rejection::RepositoryMoved),
        rejected(Call::Confirm, 302, Rejection::WebPage),
        rejected(
            Call::Mint,
            403,
            Rejection::RateLimited {
                wait: Duration::from_millis(59_500),
            },
        ),
        rejected(Call::Confirm, 503, Rejection::Unavailable),
        rejected(Call::ListRepositories, 401, Rejection::TokenNotPropagated),
        rejected(Call::Mint, 418, Rejection::Unknown),
        github(
            Call::Confirm,
            GitHubError::InstallationMismatch {
                found: id(87_654_321),
                configured: id(12_345_678),
            },
        ),
        github(
            Call::Confirm,
            GitHubError::InstallationSuspended(id(12_345_678)),
        ),
        github(Call::Confirm, GitHubError::AccountMismatch),
        github(Call::Confirm, GitHubError::Internal),
    ];
    failures.extend(
        HttpError::iter().map(|error| github(Call::Confirm, GitHubError::Unreachable(error))),
    );
    failures.extend(ResponseError::iter().map(|error| {
        let call = match error {
            ResponseError::NoToken => Call::Mint,
            _ => Call::Confirm,
        };
        github(call, GitHubError::Unexpected(error))
    }));
    failures
}

/// Every failure, in the order of the reference page.
fn every_failure() -> Vec<Failure> {
    let mut failures = vec![Failure::InputRefused];
    failures.extend(credentials_failures());
    let signing = |error| Failure::Signing {
        error,
        at: at("kms"),
    };
    failures.extend(
        aws_errors(&ONLY_SSM)
            .into_iter()
            .map(SignError::Kms)
            .map(signing),
    );
    failures.push(signing(SignError::Internal));
    failures.extend(github_failures());
    failures.extend([
        Failure::NotProven(vec![
            Mismatch::UnexpectedPermission("secrets".to_owned()),
            Mismatch::AllRepositories,
        ]),
        Failure::NotProven(vec![Mismatch::NoExpiration, Mismatch::AllRepositories]),
        Failure::DeadlineNear {
            step: Step::Confirm,
            limit: Duration::from_secs(10),
        },
        Failure::Internal,
    ]);
    failures
}

struct Problem<'a>(&'a Failure);

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.problem(f)
    }
}

#[test]
fn message_has_problem_remedy_and_link() {
    for failure in every_failure() {
        let message = failure.to_string();
        let (problem, remedy) = (Problem(&failure).to_string(), failure.remedy());
        let name = failure.error_type().info().name.to_ascii_lowercase();
        assert!(
            message.starts_with(&format!("{problem}. {remedy}. See https://")),
            "{message}"
        );
        assert!(
            message.ends_with(&format!("/docs/src/reference/errors.md#{name}")),
            "{message}"
        );
        assert!(
            !problem.ends_with('.') && !remedy.ends_with('.'),
            "{message}"
        );
        let imperative = remedy.chars().next().is_some_and(char::is_uppercase);
        assert!(imperative, "{message}");
    }
}

#[test]
fn every_error_type_has_a_failure() {
    let used: Vec<_> = every_failure().iter().map(Failure::error_type).collect();
    for error_type in ErrorType::ALL {
        let is_start = *error_type == ErrorType::ConfigurationInvalid;
        assert!(is_start || used.contains(error_type), "{error_type:?}");
    }
}

/// Users and scripts match these beginnings.
#[test]
fn promised_texts_begin_their_messages() {
    let messages: Vec<_> = every_failure().iter().map(ToString::to_string).collect();
    for text in [
        "github-token-broker does not accept invocation input",
        "missing GitHub App SSM parameters: [/github-token-broker/app/client-id, /github-token-broker/app/private-key-pem]",
        "SSM parameter /github-token-broker/app/client-id is empty or missing",
        "decode GitHub App private key PEM",
        "parse GitHub App private key",
        "GitHub App private key must be RSA",
        "GitHub repository-installation request failed with status 404",
        "GitHub repository-installation response did not include an installation ID",
        "GitHub repository installation 87654321 does not match configured installation 12345678",
        "GitHub installation-token request failed with status 422",
        "GitHub installation-token response did not include a token",
        "GitHub installation-token response did not include an expiration",
    ] {
        assert!(
            messages.iter().any(|message| message.starts_with(text)),
            "{text}"
        );
    }
}

#[test]
fn missing_permission_is_named_with_what_the_installation_has() {
    let missing = |name: &str, installed: Option<&str>| MissingPermission {
        name: name.to_owned(),
        requested: "write".to_owned(),
        installed: installed.map(str::to_owned),
    };
    let rejection = Rejection::PermissionNotGranted(vec![
        missing("contents", Some("read")),
        missing("pull-requests", None),
        missing("issues", Some("<script>")),
    ]);
    let message = rejected(Call::Mint, 422, rejection).to_string();
    let expected = "the installation does not have the requested permissions contents=write (it has read), \
        pull-requests=write (it has none) (GitHub's names have underscores instead of hyphens), \
        issues=write (it has a different level). Add it";
    assert!(message.contains(expected), "{message}");
}

/// `BLESS=1 cargo test -p broker --lib` writes the tables.
#[test]
fn reference_page_has_the_tables_of_the_code() {
    let mut types = String::from("| `errorType` | Try again? | What to do |\n|---|---|---|\n");
    for info in ErrorType::ALL.iter().map(|error_type| error_type.info()) {
        let retryable = if info.retryable { "yes" } else { "no" };
        writeln!(
            types,
            "| `{}` | {retryable} | {}. |",
            info.name,
            cell(info.remedy)
        )
        .unwrap();
    }
    let mut messages: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for failure in every_failure() {
        // The exceptions that AWS gives no special meaning for these calls differ only in their names.
        let problem = Problem(&failure).to_string();
        let problem = match problem.split_once(" was rejected in eu-west-1: ") {
            Some((call, _)) => format!("{call} was rejected in eu-west-1: ExpiredTokenException"),
            None => problem,
        };
        add(&mut messages, failure.error_type(), problem);
    }
    for error in ValueError::iter() {
        let error = match error {
            ValueError::Excludes(_) => ValueError::Excludes("<variable>"),
            error => error,
        };
        let text = ConfigError::for_tests(error).to_string();
        let text = text.replace("GITHUB_TOKEN_BROKER_REPOSITORY_OWNER", "<variable>");
        add(&mut messages, ErrorType::ConfigurationInvalid, text);
    }
    let mut table = String::from(
        "| `errorType` | How `errorMessage` begins, with example values |\n|---|---|\n",
    );
    for (index, texts) in messages {
        let name = ErrorType::ALL[index].info().name;
        for text in texts {
            writeln!(table, "| `{name}` | {} |", cell(&text)).unwrap();
        }
    }
    compare_with_page("error types", &types);
    compare_with_page("messages", &table);
}

fn add(messages: &mut BTreeMap<usize, Vec<String>>, error_type: ErrorType, text: String) {
    let index = ErrorType::ALL
        .iter()
        .position(|known| *known == error_type)
        .unwrap();
    let texts = messages.entry(index).or_default();
    if !texts.contains(&text) {
        texts.push(text);
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('<', "\\<")
        .replace('*', "\\*")
}

/// Compares the part of the page between two marks with what the code says.
fn compare_with_page(mark: &str, expected: &str) {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/src/reference/errors.md"
    ));
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (found, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    } else {
        assert!(
            found == expected,
            "errors.md differs from the code in the table \"{mark}\". BLESS=1 cargo test -p broker --lib rewrites it"
        );
    }
}
