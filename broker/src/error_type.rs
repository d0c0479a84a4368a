//! The table of failures: a stable name for each, whether trying again might help, and what to do.
//!
//! Scripts match the names, so a name never changes its meaning. The messages are in [`crate::failure`]. A test compares the
//! reference page on errors with both.

/// What an [`ErrorType`] means.
#[derive(Debug, Clone, Copy)]
pub struct ErrorInfo {
    /// The `errorType` that the caller sees.
    pub name: &'static str,
    /// Whether the same call might succeed later without any change.
    pub retryable: bool,
    /// What to do: the second sentence of most messages.
    pub remedy: &'static str,
}

macro_rules! error_types {
    ($($name:ident, $retryable:literal, $remedy:expr;)*) => {
        /// The stable name of a failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table documents each")]
        pub enum ErrorType {
            $($name,)*
        }

        impl ErrorType {
            /// Every type, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What the type means.
            pub const fn info(self) -> ErrorInfo {
                match self {
                    $(Self::$name => ErrorInfo {
                        name: stringify!($name),
                        retryable: $retryable,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

error_types! {
    InputRefused, false,
        "Pass `--payload null`. Lambda turns an omitted or empty payload into `{}`, which is rejected too";
    ConfigurationInvalid, false,
        "Correct the function's environment variables and deploy again";
    ParametersMissing, false,
        "Create them in that region, or correct the names in GITHUB_TOKEN_BROKER_*_PARAM (Terraform input: ssm_parameter_paths)";
    ParameterEmpty, false,
        "Store its value with `aws ssm put-parameter --overwrite`";
    PrivateKeyNotEncrypted, false,
        "Delete it, store the key again as a SecureString, and replace the key on GitHub, because others may have read it";
    ClientIdInvalid, false,
        "Store the client ID from the App's settings page, without quotes";
    InstallationIdInvalid, false,
        "Store the number at the end of the installation's URL on GitHub";
    ParametersAccessDenied, false,
        "Allow the function's role ssm:GetParameters on the ARN of each parameter";
    ParametersKmsDenied, false,
        "Allow the function's role kms:Decrypt on the key of the private-key parameter (Terraform input: kms_key_arn), and make sure that the key is enabled";
    ParametersThrottled, true,
        "Try again in a few seconds. If it happens often, raise SSM's throughput limit";
    ParametersUnreachable, true,
        "Try again. If it persists, check the function's route, security group and proxy to that host";
    ParametersUnavailable, true,
        "Try again in a few seconds";
    ParametersRefused, false,
        "Check the parameter names, and that the function's AWS credentials and clock are correct";
    SigningKeyNotFound, false,
        "Correct GITHUB_TOKEN_BROKER_KMS_KEY_ID (Terraform input: signing_key_arns). A key in a different region or account needs its ARN";
    SigningKeyDenied, false,
        "Allow the function's role kms:Sign on the key's ARN, in the role's policy or in the key policy. An alias ARN in a policy grants nothing";
    SigningKeyUnusable, false,
        "Use an enabled RSA_2048 key with the usage SIGN_VERIFY and imported key material";
    SigningRefused, false,
        "Check that the function's AWS credentials and clock are correct";
    SigningThrottled, true,
        "Try again in a few seconds. If it happens often, raise the KMS quota for RSA operations";
    SigningUnavailable, true,
        "Try again in a few seconds";
    SigningUnreachable, true,
        "Try again. If it persists, check the function's route, security group and proxy to that host";
    PrivateKeyNotPem, false,
        "Store the whole .pem file that GitHub generated, from its first line to its last";
    PrivateKeyUnreadable, false,
        "Store the .pem file that GitHub generated, unchanged";
    PrivateKeyNotRsa, false,
        "Store the .pem file that GitHub generated for the App's private key";
    GitHubUnreachable, true,
        "Try again. If it persists, check the function's route, security group and proxy to that host";
    GitHubUnavailable, true,
        "Try again. If it persists, check https://www.githubstatus.com";
    GitHubRateLimited, true,
        "Try again after that time, and mint less often";
    ClockSkew, true,
        "Try again. If it persists, the function's clock and GitHub's differ by more than 15 minutes, or GitHub rejected the corrected JWT as well";
    AppCredentialsRejected, false,
        "Check that the client ID and the private key belong to the same GitHub App, and that the key was not deleted on GitHub";
    AppNotInstalled, false,
        "Install the App on the repository, or correct the repository's owner and name (Terraform inputs: repository_owner, repository_name)";
    InstallationMismatch, false,
        "Correct the installation ID, or the repository's owner and name";
    InstallationSuspended, false,
        "Unsuspend it in the settings of the account that installed the App";
    AccountMismatch, false,
        "Find out who moved the repository before you change GITHUB_TOKEN_BROKER_REPOSITORY_OWNER (Terraform input: repository_owner)";
    IpNotAllowed, false,
        "Give the function a fixed address and add it to the account's IP allow list";
    PermissionNotGranted, false,
        "Add it in the App's settings and accept the request at ORG > Settings > GitHub Apps > Configure, or request less (Terraform input: permissions)";
    RepositoryNotCovered, false,
        "Add the repository to the installation, or correct its owner, name and ID";
    RepositoryMoved, false,
        "Find out who renamed or transferred the repository, then change GITHUB_TOKEN_BROKER_REPOSITORY_OWNER and GITHUB_TOKEN_BROKER_REPOSITORY_NAME (Terraform inputs: repository_owner, repository_name)";
    UnexpectedAnswer, false,
        "Check that GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL is the root of a GitHub REST API, and that no proxy answers instead. The log line has GitHub's request ID";
    TokenNotProven, false,
        "The token was withheld and its revocation requested. Compare the mismatches with the installation's settings, and report this as a security event";
    DeadlineNear, true,
        "Try again. If it persists, raise the function's timeout (Terraform input: timeout), or check the network";
    Internal, true,
        concat!(
            "Try again. If it persists, report the log line of this request at ",
            env!("CARGO_PKG_REPOSITORY"),
            "/issues"
        );
}
