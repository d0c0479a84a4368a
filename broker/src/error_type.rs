//! The one table of failures: the stable name of each, whether trying again may help, what it says, and what to do.
//!
//! In: nothing. Out: a [`Row`] for each [`ErrorType`]. The reference page on errors is held to this table by a test;
//! a name never changes its meaning, because scripts match it.

/// What there is to say about an [`ErrorType`].
pub struct Row {
    /// The `errorType` that the caller sees.
    pub name: &'static str,
    /// Whether the same call may succeed later without anyone changing anything.
    pub retryable: bool,
    /// How the `errorMessage` begins, with `<...>` for what varies. Scripts match these texts, too.
    pub messages: &'static [&'static str],
    /// What to do: the second sentence of the `errorMessage`.
    pub remedy: &'static str,
}

macro_rules! table {
    ($($name:ident, $retryable:literal, [$($message:literal),* $(,)?], $remedy:literal;)*) => {
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
                        messages: &[$($message,)*],
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

table! {
    InputRefused, false, ["github-token-broker does not accept invocation input"],
        "Invoke it with `null` or with no bytes at all: what the token may do was decided at deploy time";
    ConfigurationInvalid, false, [
            "<variable> is required",
            "<variable> contains unsupported characters",
            "<variable> must be an absolute literal SSM parameter path",
            "<variable> must name a parameter of its own",
            "<variable> must be a JSON object of string-to-string entries",
            "<variable> must request at least one permission",
            "<variable> entries must have non-empty keys and values",
            "GitHub API base URL must be absolute",
            "GitHub API base URL must use https unless the host is loopback",
            "GitHub API base URL must have no user info, query or fragment",
            "<variable> must be debug, info, warn or error",
            "<variable> must be the repository's numeric ID at GitHub",
            "<variable> must be a CloudWatch namespace: <rule>",
            "<variable> must be an absolute http or https URL",
            "<variable> must be true or false",
            "<variable> must not be true where <variable> or <variable> is set",
            "<variable> must be the http:// URL of a proxy",
            "<variable> must name a readable file of PEM certificates",
        ],
        "Correct the function's environment variables and deploy again";
    ParametersMissing, false, ["missing GitHub App SSM parameters: [<names>]"],
        "Create them in the function's region, or correct the GITHUB_TOKEN_BROKER_*_PARAM variables";
    ParameterEmpty, false, ["SSM parameter <name> is empty or missing"],
        "Put its value in the function's region";
    PrivateKeyNotEncrypted, false, ["SSM parameter <name> must be a SecureString"],
        "Delete it, put it again as a SecureString, and replace the key at GitHub: plain text may have been read";
    InstallationIdInvalid, false, ["SSM parameter <name> must be a GitHub App installation ID, a number"],
        "Put the number that ends the installation's URL at GitHub";
    ParametersAccessDenied, false, ["SSM GetParameters was denied to the function's role"],
        "Allow the function's role ssm:GetParameters on the three parameter ARNs";
    ParametersKmsDenied, false, ["SSM GetParameters could not decrypt: the KMS key is denied to the function's role, or disabled"],
        "Allow the function's role kms:Decrypt on the key of the private-key parameter, and see that the key is enabled";
    ParametersThrottled, true, ["SSM GetParameters was throttled"],
        "Try again in some seconds; raise SSM's throughput setting if it happens often";
    ParametersUnreachable, true, ["SSM GetParameters got no answer"],
        "Try again; in a VPC, see that the function has a route or an endpoint to SSM";
    ParametersUnavailable, true, ["SSM GetParameters failed by a fault of SSM's"],
        "Try again in some seconds";
    ParametersRefused, false, ["SSM GetParameters was refused"],
        "See that the parameter names are valid, and the function's AWS credentials and clock right; CloudTrail has SSM's reason";
    PrivateKeyNotPem, false, ["decode GitHub App private key PEM: <defect> (SSM parameter <name>)"],
        "Put the whole .pem file that GitHub let you download, first line to last";
    PrivateKeyUnreadable, false, ["parse GitHub App private key: <defect> (SSM parameter <name>)"],
        "Put the whole .pem file that GitHub let you download, unchanged";
    PrivateKeyNotRsa, false, ["GitHub App private key must be RSA: <defect> (SSM parameter <name>)"],
        "Put the .pem file that GitHub let you download when the App's private key was generated";
    GitHubUnreachable, true, [
            "GitHub <call> request could not be sent: no connection",
            "GitHub <call> request could not be sent: the TLS handshake failed",
            "GitHub <call> request was cut off before its answer was complete",
            "GitHub <call> request got no complete answer in time",
        ],
        "Try again; if it stays, see the function's route to GitHub, its proxy and its SSL_CERT_FILE";
    GitHubUnavailable, true, ["GitHub <call> request failed with status <n>"],
        "Try again; GitHub has a fault of its own";
    GitHubRateLimited, true, ["GitHub <call> request failed with status <n>: rate limited for <n> seconds"],
        "Try again after that wait, and mint less often";
    ClockSkew, true, ["GitHub <call> request failed with status <n>: GitHub does not accept the times in the App's JWT"],
        "Try again; if it stays, see the function's clock: GitHub's time was not believed, or a correction with it did not help";
    AppCredentialsRejected, false, ["GitHub <call> request failed with status <n>: GitHub does not accept the App's client ID and private key"],
        "See that the client ID and the private key belong to the same GitHub App, and that the key was not deleted there";
    AppNotInstalled, false, ["GitHub <call> request failed with status <n>: the GitHub App has no such installation"],
        "Install the GitHub App on the repository, or correct the repository's owner and name, or the API base URL";
    InstallationMismatch, false, ["GitHub repository installation <n> does not match configured installation <n>"],
        "Put the right installation ID, or correct the repository's owner and name";
    InstallationSuspended, false, [
            "GitHub App installation <n> is suspended",
            "GitHub <call> request failed with status <n>: the installation is suspended",
        ],
        "Unsuspend it in the settings of the account that installed the App";
    AccountMismatch, false, ["GitHub repository <owner>/<name> is installed for an account of another name"],
        "Correct GITHUB_TOKEN_BROKER_REPOSITORY_OWNER: the repository belongs to another account now";
    IpNotAllowed, false, ["GitHub <call> request failed with status <n>: the function's address is not on the account's IP allow list"],
        "Give the function a fixed address and add it to the account's IP allow list";
    PermissionNotGranted, false, ["GitHub <call> request failed with status <n>: the installation does not have the permissions asked for"],
        "Grant the App what GITHUB_TOKEN_BROKER_PERMISSIONS asks for and approve it on the installation, or ask for less";
    RepositoryNotCovered, false, ["GitHub <call> request failed with status <n>: the installation does not cover the repository"],
        "Add the repository to the installation, or correct the repository's owner, name and ID";
    RepositoryMoved, false, ["GitHub <call> request failed with status <n>: GitHub points elsewhere, and redirects are not followed"],
        "The repository was renamed or transferred: set GITHUB_TOKEN_BROKER_REPOSITORY_OWNER and GITHUB_TOKEN_BROKER_REPOSITORY_NAME to where it is now";
    UnexpectedAnswer, false, [
            "GitHub <call> request failed with status <n>",
            "GitHub <call> response is not JSON",
            "GitHub <call> response has another shape than GitHub documents",
            "GitHub <call> response is longer than any that GitHub documents",
            "GitHub <call> response did not include an installation ID",
            "GitHub <call> response did not include a token",
        ],
        "See that GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL names a GitHub REST API and that no proxy answers in its place; else look up the status in GitHub's documentation";
    TokenNotProven, false, [
            "GitHub granted another token than was configured: <differences>",
            "GitHub installation-token response did not include an expiration",
        ],
        "It was not returned, and its revocation was asked for; hold the differences against the installation's settings, and report it as a security event";
    DeadlineNear, true, ["Lambda's deadline came near during the step <step>"],
        "Try again; if it stays, raise the function's timeout or look at the network";
    Internal, true, ["github-token-broker failed by a fault of its own"],
        "Try again; if it stays, report it with the log line of this request";
}
