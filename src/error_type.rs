//! The one table of failures: the stable name of each, whether trying again may help, and what to do.
//!
//! In: nothing. Out: a [`Row`] for each [`ErrorType`]. The reference page on errors is held to this table by a test;
//! a name never changes its meaning, because scripts match it.

/// What there is to say about an [`ErrorType`].
pub struct Row {
    /// The `errorType` that the caller sees.
    pub name: &'static str,
    /// Whether the same call may succeed later without anyone changing anything.
    pub retryable: bool,
    /// What to do: the second sentence of the `errorMessage`.
    pub remedy: &'static str,
}

macro_rules! table {
    ($($name:ident, $retryable:literal, $remedy:literal;)*) => {
        /// The stable name of a failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table documents each")]
        pub enum ErrorType {
            $($name,)*
        }

        impl ErrorType {
            /// Every type, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What there is to say about it.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        name: stringify!($name),
                        retryable: $retryable,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

table! {
    InputRefused, false,
        "Invoke it with `null` or with no bytes at all: what the token may do was decided at deploy time";
    ConfigurationInvalid, false,
        "Correct the function's environment variables and deploy again";
    ParametersMissing, false,
        "Create them in the function's region, or correct the GITHUB_TOKEN_BROKER_*_PARAM variables";
    ParameterEmpty, false,
        "Put its value in the function's region";
    PrivateKeyNotEncrypted, false,
        "Delete it, put it again as a SecureString, and replace the key at GitHub: plain text may have been read";
    InstallationIdInvalid, false,
        "Put the number that ends the installation's URL at GitHub";
    ParametersAccessDenied, false,
        "Allow the function's role ssm:GetParameters on the three parameter ARNs";
    ParametersKmsDenied, false,
        "Allow the function's role kms:Decrypt on the key of the private-key parameter, and see that the key is enabled";
    ParametersThrottled, true,
        "Try again in some seconds; raise SSM's throughput setting if it happens often";
    ParametersUnreachable, true,
        "Try again; in a VPC, see that the function has a route or an endpoint to SSM";
    ParametersUnavailable, true,
        "Try again in some seconds";
    ParametersRefused, false,
        "See that the parameter names are valid and the function's AWS credentials current; CloudTrail has SSM's reason";
    PrivateKeyNotPem, false,
        "Put the whole .pem file that GitHub let you download, first line to last";
    PrivateKeyUnreadable, false,
        "Put the whole .pem file that GitHub let you download, unchanged";
    PrivateKeyNotRsa, false,
        "Put the .pem file that GitHub let you download when the App's private key was generated";
    GitHubUnreachable, true,
        "Try again; if it stays, see the function's route to GitHub, its proxy and its SSL_CERT_FILE";
    GitHubUnavailable, true,
        "Try again; GitHub has a fault of its own";
    GitHubRateLimited, true,
        "Try again after that wait, and mint less often";
    ClockSkew, true,
        "Try again; GitHub and the function disagree on the time, also after a correction";
    AppCredentialsRejected, false,
        "See that the client ID and the private key belong to the same GitHub App, and that the key was not deleted there";
    AppNotInstalled, false,
        "Install the GitHub App on the repository, or correct the repository's owner and name, or the API base URL";
    InstallationMismatch, false,
        "Put the right installation ID, or correct the repository's owner and name";
    InstallationSuspended, false,
        "Unsuspend it in the settings of the account that installed the App";
    AccountMismatch, false,
        "Correct GITHUB_TOKEN_BROKER_REPOSITORY_OWNER: the repository belongs to another account now";
    IpNotAllowed, false,
        "Give the function a fixed address and add it to the account's IP allow list";
    PermissionNotGranted, false,
        "Grant the App what GITHUB_TOKEN_BROKER_PERMISSIONS asks for and approve it on the installation, or ask for less";
    RepositoryNotCovered, false,
        "Add the repository to the installation, or correct the repository's owner, name and ID";
    RepositoryMoved, false,
        "The repository was renamed or transferred: set GITHUB_TOKEN_BROKER_REPOSITORY_OWNER and GITHUB_TOKEN_BROKER_REPOSITORY_NAME to where it is now";
    UnexpectedAnswer, false,
        "See that GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL names a GitHub REST API and that no proxy answers in its place";
    TokenNotProven, false,
        "It was not returned, and its revocation was asked for; hold the differences against the installation's settings, and report it as a security event";
    DeadlineNear, true,
        "Try again; if it stays, raise the function's timeout or look at the network";
    Internal, true,
        "Try again; if it stays, report it with the log line of this request";
}
