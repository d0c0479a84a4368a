//! The command line, as `clap` types. Help, man page, completions and the reference page come from here.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use broker::aws::ssm::ParameterName;
use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};
use clap_complete::Shell;

/// Gets a GitHub token for one repository, and keeps it out of sight.
///
/// The github-token-broker Lambda function mints an installation token for the one repository that it is configured for.
/// This client invokes the function with your AWS identity and hands the token to git, gh or any other program.
#[derive(Debug, Parser)]
#[command(
    name = "github-token-broker",
    version,
    subcommand_required = true,
    max_term_width = 100
)]
pub struct Arguments {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the program's help text"
    )]
    pub options: Options,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "as above")]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Options {
    /// The Lambda function: NAME or ARN, with an optional :QUALIFIER [default: github-token-broker]
    #[arg(
        long,
        global = true,
        value_name = "NAME|ARN[:QUALIFIER]",
        env = "GITHUB_TOKEN_BROKER_FUNCTION"
    )]
    pub function: Option<String>,

    /// The AWS region. The region in a function ARN takes precedence [default: from the AWS configuration]
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,

    /// The profile in the AWS configuration files. It takes precedence over keys in the environment
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// Assume this IAM role first. In GitHub Actions with `id-token: write`, by OIDC
    #[arg(
        long,
        global = true,
        value_name = "ARN",
        env = "GITHUB_TOKEN_BROKER_ROLE_ARN"
    )]
    pub role_arn: Option<String>,

    /// The GitHub server [default: github.com]
    #[arg(long, global = true, value_name = "HOST", env = "GH_HOST")]
    pub github_host: Option<String>,

    /// Replace a cached token that has less time left than this, for example 30s, 9m, 1h30m
    #[arg(long, global = true, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub min_ttl: Duration,

    /// Neither read nor write the cache
    #[arg(long, global = true, env = "GITHUB_TOKEN_BROKER_NO_CACHE", value_parser = FalseyValueParser::new())]
    pub no_cache: bool,

    /// How long to wait for the function's response
    #[arg(long, global = true, value_name = "DURATION", default_value = "905s", value_parser = duration)]
    pub timeout: Duration,

    /// Report requests, retries and cache decisions on stderr. Never a token
    #[arg(long, short, global = true, env = "GITHUB_TOKEN_BROKER_VERBOSE", value_parser = FalseyValueParser::new())]
    pub verbose: bool,

    /// Print JSON if the command prints something
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a token, and nothing else
    ///
    /// With --json, prints the function's response: token, expires_at, repositories and permissions.
    Token,

    /// Run a command with a token in its environment
    ///
    /// Sets GH_TOKEN and GITHUB_TOKEN (for a GitHub Enterprise Server: GH_ENTERPRISE_TOKEN and GITHUB_ENTERPRISE_TOKEN),
    /// GH_REPO and, for every host except github.com, GH_HOST. Git inside the command authenticates for the repository.
    ///
    /// The exit code is the command's own, or 128+n if signal n ended it. 126: the command is not executable. 127: it
    /// does not exist. 111: there is no token.
    ///
    /// With --revoke, the client waits for the command, forwards signals to it, and then revokes the token. If a signal arrives
    /// before the command starts, the client revokes the token and starts nothing. A second one ends the client at once.
    Exec(Exec),

    /// Answer git as a credential helper
    ///
    /// Git calls this; `setup-git` configures it. The operations are get, store, erase and capability. Others are ignored.
    GitCredential(GitCredential),

    /// Configure git to use the broker for one repository
    SetupGit(SetupGit),

    /// Revoke the cached token and forget it
    Revoke(Revoke),

    /// Show what the token is good for, but not the token
    ///
    /// Prints repository, permissions, expiry, the token's hash as GitHub's audit log names it, and the bot's login.
    Whoami,

    /// Create a GitHub App for one repository, with its key in KMS or SSM
    ///
    /// Opens a page that creates the App on GitHub with exactly the permissions that the broker needs. The App's private key goes
    /// from GitHub straight into KMS, or into SSM with --ssm: it is never on a disk. Then the command waits until you install the
    /// App on the repository, and prints the Terraform configuration. Everything else is on stderr. A KMS key costs about $1 a
    /// month. If you cancel it or if a step fails, it says what exists and how to remove it.
    Setup(Setup),

    /// Check a broker, and say what is wrong with it
    ///
    /// Prints one line for each check, and changes nothing. With --json, each check has a stable ID. The exit code is 1 if a
    /// check failed.
    Check(Check),

    /// Manage the App's private key
    #[command(subcommand, disable_help_subcommand = true)]
    Key(Key),

    /// Print the version
    Version,

    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },

    /// Print the man page
    Man,
}

/// Arguments of `exec`.
#[derive(Debug, Args)]
#[command(override_usage = "github-token-broker exec [OPTIONS] -- COMMAND [ARG]...")]
pub struct Exec {
    /// Set NAME instead of the two token variables. Can be repeated
    #[arg(long, value_name = "NAME", value_parser = environment_variable_name)]
    pub env: Vec<String>,

    /// Mint a token for this command only, and revoke it when the command ends
    #[arg(long)]
    pub revoke: bool,

    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Arguments of `git-credential`.
#[derive(Debug, Args)]
pub struct GitCredential {
    /// get, store, erase or capability
    pub operation: String,
}

/// Arguments of `setup-git`.
#[derive(Debug, Args)]
pub struct SetupGit {
    /// Write the user's git configuration. This is the default
    #[arg(long, conflicts_with = "local")]
    pub global: bool,

    /// Write the configuration of the repository in the current folder
    #[arg(long)]
    pub local: bool,

    /// Remove what an earlier `setup-git` wrote for this repository
    #[arg(long)]
    pub remove: bool,

    /// The repository that the function is configured for
    #[arg(value_name = "OWNER/REPO")]
    pub repository: String,
}

/// Arguments of `setup`.
#[derive(Debug, Args)]
pub struct Setup {
    /// Create the App for your own account. Otherwise it belongs to the organization OWNER
    #[arg(long)]
    pub user: bool,

    /// The App's name, which is unique on GitHub. At most 34 characters [default: OWNER-REPO-broker]
    #[arg(long, value_name = "NAME", value_parser = app_name)]
    pub name: Option<String>,

    /// A permission that tokens have, such as contents=read. Can be repeated
    #[arg(long = "permission", value_name = "NAME=LEVEL", default_value = "contents=read", value_parser = permission)]
    pub permissions: Vec<(String, String)>,

    /// Use this empty KMS key instead of a new one. With --ssm: the KMS key that encrypts the private key
    #[arg(long, value_name = "ID|ARN", visible_alias = "kms-key-id")]
    pub key_id: Option<String>,

    /// Store the private key and both IDs in SSM parameters below PATH instead of KMS [default PATH: /github-token-broker/app]
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = PARAMETERS,
        requires = "key_id",
        value_parser = parameter_path
    )]
    pub ssm: Option<String>,

    /// Replace SSM parameters that exist, once the App is installed. A broker that uses them then acts as the new App
    #[arg(long, requires = "ssm")]
    pub overwrite: bool,

    /// Print the page's URL, and do not open a browser
    #[arg(long)]
    pub no_browser: bool,

    /// How long to wait for you on GitHub
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub patience: Duration,

    /// The repository that tokens are for
    #[arg(value_name = "OWNER/REPO")]
    pub repository: String,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Also mint a token, compare it with the configuration, and revoke it
    #[arg(long)]
    pub mint: bool,

    /// Also act as the GitHub App. This needs the right to read its key, or to sign with it
    #[arg(long)]
    pub as_app: bool,

    /// The checksums.txt of a release, to compare the function's code with
    #[arg(long, value_name = "FILE")]
    pub checksums: Option<PathBuf>,
}

/// What to do with the App's private key.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Import the App's private key into KMS, or store it in SSM
    ///
    /// Creates a KMS key and imports the App's private key into it, without expiry. The private key is wrapped in memory and
    /// never written to a disk. KMS keys cost about $1 a month. With --ssm, stores it as a SecureString instead.
    Import(KeyImport),

    /// Replace the App's private key without an interruption
    ///
    /// Create the new private key on the App's settings page first, and pass it here. The command proves that GitHub accepts it,
    /// imports it next to the old one, switches the function over (the KMS alias or the SSM parameter that it uses), and proves
    /// that the function can mint. If it cannot, the command switches back. Then it says what is left to do.
    Rotate(KeyRotate),

    /// Print the fingerprint that the App's settings page shows
    Fingerprint(KeyFingerprint),
}

/// Arguments of `key import`.
#[derive(Debug, Args)]
pub struct KeyImport {
    /// Use this empty KMS key instead of a new one. With --ssm: the KMS key that encrypts the parameter
    #[arg(long, value_name = "ID|ARN", visible_alias = "kms-key-id")]
    pub key_id: Option<String>,

    /// Give the KMS key this alias
    #[arg(long, value_name = "NAME", conflicts_with = "ssm", value_parser = key_alias)]
    pub alias: Option<String>,

    /// Store the private key in this SSM parameter instead of KMS
    #[arg(long, value_name = "NAME", requires = "key_id")]
    pub ssm: Option<String>,

    /// Replace an SSM parameter that exists
    #[arg(long, requires = "ssm")]
    pub overwrite: bool,

    /// The PEM file [default: standard input]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Arguments of `key rotate`.
#[derive(Debug, Args)]
pub struct KeyRotate {
    /// A KMS key that holds the new private key already, or an empty one, instead of a new one
    #[arg(long, value_name = "ID|ARN")]
    pub key_id: Option<String>,

    /// The PEM file of the new private key [default: standard input]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Arguments of `key fingerprint`.
#[derive(Debug, Args)]
pub struct KeyFingerprint {
    /// The key in KMS: an ID, an ARN, or an alias
    #[arg(long, value_name = "ID|ARN", conflicts_with_all = ["ssm", "file"])]
    pub key_id: Option<String>,

    /// The SSM parameter
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub ssm: Option<String>,

    /// The PEM file [default: standard input]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Arguments of `revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Revoke the token on standard input instead of the cached one
    #[arg(long)]
    pub stdin: bool,
}

/// Where the function looks for its parameters by default.
pub const PARAMETERS: &str = "/github-token-broker/app";

/// GitHub's limit for the name of an App.
/// <https://docs.github.com/en/apps/creating-github-apps/registering-a-github-app/registering-a-github-app>
pub const LONGEST_APP_NAME: usize = 34;

/// Far more than any wait here: a token lives for an hour, and Lambda stops a function after 15 minutes. A deadline that is
/// much later does not fit into the system's clock.
const LONGEST: Duration = Duration::from_hours(24);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration <= LONGEST {
        Ok(duration)
    } else {
        Err(format!(
            "the longest duration is {}",
            humantime::format_duration(LONGEST)
        ))
    }
}

/// KMS's limit for an alias, without `alias/`.
const LONGEST_ALIAS: usize = 250;

fn app_name(text: &str) -> Result<String, String> {
    if (1..=LONGEST_APP_NAME).contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "the name of an App has 1 to {LONGEST_APP_NAME} characters"
        ))
    }
}

/// The part of the parameters' names before `/client-id`.
fn parameter_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    ParameterName::parse(&format!("{path}/client-id"))
        .map(|_| path.to_owned())
        .ok_or_else(|| {
            "a path begins with a slash and has letters, digits, dots, hyphens, underscores and slashes"
                .to_owned()
        })
}

/// `alias/NAME`, from that or from `NAME`.
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>
fn key_alias(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("alias/").unwrap_or(text);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    if !(1..=LONGEST_ALIAS).contains(&name.len()) || !name.chars().all(is_allowed) {
        return Err(format!(
            "an alias has 1 to {LONGEST_ALIAS} letters, digits, slashes, underscores and hyphens"
        ));
    }
    if name.starts_with("aws/") {
        return Err("aliases that begin with alias/aws/ belong to AWS".to_owned());
    }
    Ok(format!("alias/{name}"))
}

/// `contents=read`. The function checks names and levels no further than that; GitHub does.
fn permission(text: &str) -> Result<(String, String), String> {
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    match text.split_once('=') {
        Some((name, level)) if is_name(name) && ["read", "write", "admin"].contains(&level) => {
            Ok((name.to_owned(), level.to_owned()))
        }
        _ => Err(
            "a permission is NAME=LEVEL, such as contents=read; the level is read, write or admin"
                .to_owned(),
        ),
    }
}

/// A name that a shell can read: git's helper inside the command is a line of shell.
fn environment_variable_name(text: &str) -> Result<String, String> {
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if text.is_empty() || !is_name || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("the name of a variable has letters, digits and underscores".to_owned());
    }
    if ["GH_HOST", "GH_REPO"].contains(&text) || text.starts_with("GIT_CONFIG_") {
        return Err("`exec` sets this variable to something else for git and gh".to_owned());
    }
    Ok(text.to_owned())
}
