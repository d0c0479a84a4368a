//! How error messages begin: rendered from the code's own values, for people who search the book for what they see.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use github_token_broker::{
    config::Config,
    error::{AnswerDefect, Broken, Call, Failure, SsmFault, Step},
    error_type::ErrorType,
    parameters::InstallationId,
    private_key::KeyDefect,
    proof::Difference,
    refusal::Refusal,
};

use crate::hold;

#[test]
fn the_page_on_errors_has_the_messages_of_the_code() {
    let mut table = String::from("| `errorType` | How `errorMessage` begins |\n|---|---|\n");
    let mut shown = BTreeSet::new();
    for fault in configuration_faults() {
        shown.insert(ErrorType::ConfigurationInvalid.row().name);
        writeln!(table, "| `ConfigurationInvalid` | `{fault}` |").unwrap();
    }
    for failure in failures() {
        let row = failure.error_type().row();
        let message = failure.to_string();
        let begins = message.strip_suffix(&format!(". {}.", row.remedy)).unwrap();
        shown.insert(row.name);
        writeln!(table, "| `{}` | `{begins}` |", row.name).unwrap();
    }
    for error_type in ErrorType::ALL {
        let name = error_type.row().name;
        assert!(
            shown.contains(name),
            "tests/contract/messages.rs has no example of {name}: add one"
        );
    }
    hold("docs/src/reference/errors.md", "messages", &table);
}

/// What each rule says, told by a configuration that breaks it.
fn configuration_faults() -> Vec<String> {
    [
        ("REPOSITORY_OWNER", ""),
        ("REPOSITORY_NAME", "a/b"),
        ("CLIENT_ID_PARAM", "client-id"),
        ("PERMISSIONS", "[]"),
        ("PERMISSIONS", "{}"),
        ("PERMISSIONS", r#"{"contents":""}"#),
        ("GITHUB_API_BASE_URL", "github.example.com"),
        ("GITHUB_API_BASE_URL", "http://github.example.com"),
        ("GITHUB_API_BASE_URL", "https://github.example.com?a"),
        ("LOG_LEVEL", "loud"),
        ("REPOSITORY_ID", "your-repo"),
        ("METRICS_NAMESPACE", "AWS/Lambda"),
    ]
    .iter()
    .map(|(name, value)| {
        configuration(&format!("GITHUB_TOKEN_BROKER_{name}"), value)
            .err()
            .unwrap_or_else(|| panic!("{name}={value} is accepted"))
    })
    .collect()
}

fn configuration(changed: &str, value: &str) -> Result<Config, String> {
    let lookup = |name: &str| match name {
        name if name == changed => Some(value.to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER" => Some("your-org".to_owned()),
        "GITHUB_TOKEN_BROKER_REPOSITORY_NAME" => Some("your-repo".to_owned()),
        _ => None,
    };
    Config::from_lookup(lookup).map_err(|error| error.to_string())
}

/// A failure of each kind, in the order of the table of types.
fn failures() -> Vec<Failure> {
    use Call::{InstallationToken, RepositoryInstallation};
    let config = configuration("", "").unwrap();
    let names = &config.parameters;
    let key = |defect| Failure::PrivateKeyDefective(names.private_key.clone(), defect);
    let refused = Failure::GitHubRefused;
    let wait = Duration::from_mins(1);
    vec![
        Failure::InputRefused,
        Failure::ParametersMissing(vec![names.client_id.clone(), names.private_key.clone()]),
        Failure::ParameterEmpty(names.private_key.clone()),
        Failure::PrivateKeyNotEncrypted(names.private_key.clone()),
        Failure::InstallationIdInvalid(names.installation_id.clone()),
        Failure::ParametersUnreadable(SsmFault::AccessDenied),
        Failure::ParametersUnreadable(SsmFault::KmsDenied),
        Failure::ParametersUnreadable(SsmFault::Throttled),
        Failure::ParametersUnreadable(SsmFault::Unreachable),
        Failure::ParametersUnreadable(SsmFault::Unavailable),
        Failure::ParametersUnreadable(SsmFault::Refused),
        key(KeyDefect::ArmourLost),
        key(KeyDefect::Encrypted),
        key(KeyDefect::Public),
        Failure::GitHubUnreachable(RepositoryInstallation, Broken::Connect),
        Failure::GitHubUnreachable(RepositoryInstallation, Broken::Tls),
        Failure::GitHubUnreachable(InstallationToken, Broken::Interrupted),
        Failure::GitHubUnreachable(InstallationToken, Broken::TimedOut),
        refused(RepositoryInstallation, 503, Refusal::Unavailable),
        refused(InstallationToken, 429, Refusal::RateLimited { wait }),
        refused(
            RepositoryInstallation,
            401,
            Refusal::ClockSkew { github_time: None },
        ),
        refused(RepositoryInstallation, 401, Refusal::AppCredentialsRejected),
        refused(RepositoryInstallation, 404, Refusal::AppNotInstalled),
        Failure::InstallationMismatch {
            found: InstallationId(12_345_678),
            configured: InstallationId(87_654_321),
        },
        Failure::InstallationSuspended(InstallationId(12_345_678)),
        Failure::AccountMismatch(config.repository.clone()),
        refused(RepositoryInstallation, 403, Refusal::IpNotAllowed),
        refused(InstallationToken, 422, Refusal::PermissionNotGranted),
        refused(InstallationToken, 422, Refusal::RepositoryNotCovered),
        refused(RepositoryInstallation, 301, Refusal::RepositoryMoved),
        Failure::UnexpectedAnswer(RepositoryInstallation, AnswerDefect::NotJson),
        Failure::UnexpectedAnswer(RepositoryInstallation, AnswerDefect::NoInstallationId),
        Failure::UnexpectedAnswer(InstallationToken, AnswerDefect::NoToken),
        Failure::TokenNotProven(vec![Difference::NoExpiration]),
        Failure::TokenNotProven(vec![Difference::AllRepositories]),
        Failure::DeadlineNear(Step::Mint),
        Failure::Internal,
    ]
}
