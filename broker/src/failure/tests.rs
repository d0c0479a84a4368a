use super::*;
use crate::config::env::{ConfigurationError, Fault};

fn every_failure() -> Vec<Failure> {
    use Failure as F;
    let name = ParameterName("/a/b".to_owned());
    let calls = [
        Call::RepositoryInstallation,
        Call::InstallationToken,
        Call::InstallationRepositories,
        Call::TokenRevocation,
    ];
    let mut failures = vec![
        F::InputRefused,
        F::ParametersMissing(vec![name.clone(), name.clone()]),
        F::ParameterEmpty(name.clone()),
        F::PrivateKeyNotEncrypted(name.clone()),
        F::InstallationIdInvalid(name.clone()),
        F::InstallationMismatch {
            found: InstallationId(1),
            configured: InstallationId(2),
        },
        F::InstallationSuspended(InstallationId(1)),
        F::AccountMismatch(Repository {
            owner: "octo-org".to_owned(),
            name: "octo-repo".to_owned(),
        }),
        F::TokenNotProven(vec![Difference::NoExpiration, Difference::AllRepositories]),
        F::TokenNotProven(vec![Difference::AllRepositories]),
        F::Internal,
    ];
    failures.extend(
        [
            SsmFault::AccessDenied,
            SsmFault::KmsDenied,
            SsmFault::Throttled,
            SsmFault::Unreachable,
            SsmFault::Unavailable,
            SsmFault::Refused,
        ]
        .map(F::ParametersUnreadable),
    );
    failures.extend(KeyDefect::ALL.map(|defect| F::PrivateKeyDefective(name.clone(), defect)));
    failures.extend(
        [
            Step::Ssm,
            Step::Sign,
            Step::Confirm,
            Step::Mint,
            Step::Prove,
        ]
        .map(F::DeadlineNear),
    );
    for call in calls {
        let broken = [
            Broken::Connect,
            Broken::Tls,
            Broken::Interrupted,
            Broken::TimedOut,
        ];
        failures.extend(broken.map(|broken| F::GitHubUnreachable(call, broken)));
        let defects = [
            AnswerDefect::NotJson,
            AnswerDefect::Malformed,
            AnswerDefect::TooLong,
            AnswerDefect::NoInstallationId,
            AnswerDefect::NoToken,
        ];
        failures.extend(defects.map(|defect| F::UnexpectedAnswer(call, defect)));
        let refusals = [
            Refusal::AppCredentialsRejected,
            Refusal::ClockSkew { github_time: None },
            Refusal::AppNotInstalled,
            Refusal::InstallationSuspended,
            Refusal::IpNotAllowed,
            Refusal::PermissionNotGranted,
            Refusal::RepositoryNotCovered,
            Refusal::RepositoryMoved,
            Refusal::RateLimited {
                wait: Duration::from_millis(1500),
            },
            Refusal::Unavailable,
            Refusal::Unexpected,
        ];
        failures.extend(refusals.map(|refusal| F::GitHubRefused(call, 418, refusal)));
    }
    failures
}

/// Whether `text` is `pattern` with something for each of its `<...>`, and nothing before or after.
fn fits(pattern: &str, text: &str) -> bool {
    let mut literals = pattern.split('<');
    let Some(mut rest) = text.strip_prefix(literals.next().unwrap_or_default()) else {
        return false;
    };
    for literal in literals
        .filter_map(|piece| piece.split_once('>'))
        .map(|(_, literal)| literal)
    {
        let found = if literal.is_empty() {
            Some(rest.len())
        } else {
            rest.find(literal)
        };
        match found {
            Some(at) if at > 0 => rest = rest.get(at + literal.len()..).unwrap_or_default(),
            _ => return false,
        }
    }
    rest.is_empty()
}

/// What the message says before its remedy.
fn head(failure: &Failure) -> String {
    let message = failure.to_string();
    let remedy = format!(". {}.", failure.error_type().row().remedy);
    message.strip_suffix(&remedy).unwrap().to_owned()
}

#[test]
fn every_message_stands_in_the_table_and_ends_with_its_remedy() {
    for failure in every_failure() {
        let (row, head) = (failure.error_type().row(), head(&failure));
        let starts_as = |pattern: &&str| {
            // More may follow this one text: the other differences.
            fits(pattern, &head) || head.starts_with(&format!("{pattern}; "))
        };
        assert!(row.messages.iter().any(starts_as), "{}: {head}", row.name);
    }
}

#[test]
fn every_message_of_the_table_is_one_that_is_said() {
    let mut said: Vec<(&str, String)> = every_failure()
        .iter()
        .map(|failure| (failure.error_type().row().name, head(failure)))
        .collect();
    let no_expiration = head(&Failure::TokenNotProven(vec![Difference::NoExpiration]));
    said.push(("TokenNotProven", no_expiration));
    let faults = Fault::ALL.map(|fault| ConfigurationError::of("AWS_REGION", fault).to_string());
    said.extend(faults.map(|fault| ("ConfigurationInvalid", fault)));
    for row in ErrorType::ALL.iter().map(|error_type| error_type.row()) {
        for pattern in row.messages {
            let is_said = |(name, text): &(&str, String)| {
                let subject = format!("{pattern} (AWS_REGION)"); // where the text names its subject in words
                *name == row.name && (fits(pattern, text) || fits(&subject, text))
            };
            assert!(
                said.iter().any(is_said),
                "nothing says: {}: {pattern}",
                row.name
            );
        }
    }
    for (_, fault) in said
        .iter()
        .filter(|(name, _)| *name == "ConfigurationInvalid")
    {
        let messages = ErrorType::ConfigurationInvalid.row().messages;
        let listed = messages
            .iter()
            .any(|pattern| fits(pattern, fault) || fits(&format!("{pattern} (<variable>)"), fault));
        assert!(listed, "not in the table: {fault}");
    }
}

#[test]
fn a_pattern_fits_what_it_says_and_nothing_else() {
    assert!(fits("a <n> b <n>", "a 1 b 2"));
    assert!(fits("[<names>]", "[/a, /b]"));
    for text in ["a  b ", "a 1 b ", "a 1 c 2", "x a 1 b 2"] {
        assert!(!fits("a <n> b <n>", text), "{text}");
    }
    assert!(!fits("a", "a b"));
}
