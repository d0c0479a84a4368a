//! `--as-app`: what GitHub says to the App itself. Needs the right to read the App's key, or to sign with it. It mints nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use broker::{
    app::{
        ClientId, InstallationId,
        credentials::{KeySetting, Setting},
        private_key::PrivateKey,
    },
    aws::ssm::ParameterName,
    config::Config,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use secrecy::SecretString;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{
    not_checked,
    report::{Finding, Report},
    wanted_permissions,
};
use crate::{
    aws::{operator::CallError, session::Session},
    http::{HttpClient, HttpError},
    output::Diagnostics,
    settings::Settings,
};

/// GitHub answers within 10 s or not at all.
const TIMEOUT: Duration = Duration::from_secs(15);

/// GitHub rejects a JWT that is more than a minute in the future; the function backdates by as much.
const SKEW_TO_WARN: u64 = 30;

/// Under this rest of the hourly limit, a busy broker can run into it.
const FEW_REQUESTS: u64 = 500;

/// What the App signs with.
pub enum Signer {
    /// A private key.
    PrivateKey(PrivateKey),
    /// A key in KMS, in the region of the session.
    Kms {
        /// KMS.
        session: Box<Session>,
        /// The key.
        id: String,
    },
}

/// Calls GitHub with a JWT.
struct Caller {
    http: HttpClient,
    base: String,
    jwt: SecretString,
    diagnostics: Diagnostics,
}

/// GitHub, as the App sees it.
struct AsApp<'a> {
    caller: Caller,
    config: &'a Config,
}

/// Checks the App.
pub async fn check(session: &Session, config: &Config, settings: &Settings, report: &mut Report) {
    let (client_id, installation_id, signer) = match credentials(session, config).await {
        Ok(credentials) => credentials,
        Err(finding) => {
            report.add(finding);
            return;
        }
    };
    let jwt = match jwt(&client_id, &signer).await {
        Ok(jwt) => jwt,
        Err(finding) => {
            report.add(finding);
            return;
        }
    };
    let base = config.api_base.to_string().trim_end_matches('/').to_owned();
    let github = AsApp {
        caller: Caller {
            http: HttpClient::new(TIMEOUT),
            base,
            jwt,
            diagnostics: settings.diagnostics,
        },
        config,
    };
    let Some(app) = github.app(&client_id, report).await else {
        return;
    };
    if let Some(installation) = github.installation(installation_id, report).await {
        report.add(permissions(
            &wanted_permissions(config),
            &levels(&installation),
            &levels(&app),
            config,
        ));
        report.add(selection(&installation));
    }
    report.add(excess(&wanted_permissions(config), &levels(&app)));
    report.add(github.rate_limit().await);
}

/// The App's installation on a repository. `None` if there is none yet.
///
/// # Errors
/// GitHub does not accept the key, or there is no answer: the finding says why.
pub async fn find_installation(
    api: &str,
    client_id: &ClientId,
    signer: &Signer,
    repository: &str,
    settings: &Settings,
) -> Result<Option<u64>, Finding> {
    let jwt = jwt(client_id, signer).await?;
    let base = api.trim_end_matches('/').to_owned();
    let github = Caller {
        http: HttpClient::new(TIMEOUT),
        base,
        jwt,
        diagnostics: settings.diagnostics,
    };
    let answer = github
        .get(&format!("/repos/{repository}/installation"))
        .await;
    let answer =
        answer.map_err(|error| Finding::skip("app.installation", error.to_string(), "Retry"))?;
    match answer.status {
        StatusCode::OK => Ok(answer.body["id"].as_u64()),
        // Not installed yet; or not yet known to all of GitHub's servers, which takes a few seconds.
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => Ok(None),
        status => Err(Finding::fail(
            "app.installation",
            format!("GitHub answered HTTP {status}"),
            "Retry",
        )),
    }
}

/// Whether GitHub accepts this key for the App.
///
/// # Errors
/// It does not: the finding says why.
pub async fn verify_key(
    session: &Session,
    config: &Config,
    settings: &Settings,
    signer: &Signer,
) -> Result<(), Finding> {
    let client_id = client_id(session, config).await?;
    let jwt = jwt(&client_id, signer).await?;
    let base = config.api_base.to_string().trim_end_matches('/').to_owned();
    let github = AsApp {
        caller: Caller {
            http: HttpClient::new(TIMEOUT),
            base,
            jwt,
            diagnostics: settings.diagnostics,
        },
        config,
    };
    let mut report = Report::default();
    if github.app(&client_id, &mut report).await.is_some() {
        return Ok(());
    }
    let unknown = || Finding::skip("app.key", "GitHub did not answer", "Retry");
    Err(report
        .checks
        .into_iter()
        .find(|finding| finding.id == "app.key")
        .unwrap_or_else(unknown))
}

async fn client_id(session: &Session, config: &Config) -> Result<ClientId, Finding> {
    let name = match &config.app.client_id {
        Setting::Value(id) => return Ok(id.clone()),
        Setting::Parameter(name) => name.as_str(),
    };
    let read = session
        .ssm(
            "GetParameter",
            &json!({ "Name": name, "WithDecryption": true }),
        )
        .await;
    let body = read.map_err(|error| not_checked("app.key", &error))?;
    let id = body["Parameter"]["Value"]
        .as_str()
        .and_then(ClientId::parse);
    id.ok_or_else(|| {
        Finding::fail(
            "app.key",
            format!("{name} does not contain a client ID"),
            "Correct the parameter first",
        )
    })
}

async fn credentials(
    session: &Session,
    config: &Config,
) -> Result<(ClientId, InstallationId, Signer), Finding> {
    let names: Vec<&str> = config
        .app
        .parameters()
        .into_iter()
        .map(ParameterName::as_str)
        .collect();
    let body = if names.is_empty() {
        Value::Null
    } else {
        let read = session
            .ssm(
                "GetParameters",
                &json!({ "Names": names, "WithDecryption": true }),
            )
            .await;
        read.map_err(|error| not_checked("app.key", &error))?
    };
    let value = |name: &ParameterName| {
        let bare = name.as_str().split(':').next().unwrap_or_default();
        let parameters = body["Parameters"].as_array();
        let found = parameters
            .into_iter()
            .flatten()
            .find(|parameter| parameter["Name"] == bare);
        found
            .and_then(|parameter| parameter["Value"].as_str())
            .map(str::to_owned)
    };
    let missing = |name: &ParameterName| {
        Finding::skip(
            "app.key",
            format!("{} is missing or malformed", name.as_str()),
            "Correct the parameter first",
        )
    };
    let client_id = match &config.app.client_id {
        Setting::Value(id) => id.clone(),
        Setting::Parameter(name) => value(name)
            .and_then(|text| ClientId::parse(&text))
            .ok_or_else(|| missing(name))?,
    };
    let installation_id = match &config.app.installation_id {
        Setting::Value(id) => *id,
        Setting::Parameter(name) => value(name)
            .and_then(|text| InstallationId::parse(&text))
            .ok_or_else(|| missing(name))?,
    };
    let signer = match &config.app.key {
        KeySetting::Kms(id, endpoint) => Signer::Kms {
            session: Box::new(session.in_region(&endpoint.region)),
            id: id.as_str().to_owned(),
        },
        KeySetting::Parameter(name) => {
            let pem = value(name).ok_or_else(|| missing(name))?;
            let key = PrivateKey::parse(&SecretString::from(pem)).map_err(|error| {
                Finding::fail(
                    "app.key",
                    format!("{} does not contain the App's key: {error}", name.as_str()),
                    "Store the PEM file that GitHub created, unchanged",
                )
            })?;
            Signer::PrivateKey(key)
        }
    };
    Ok((client_id, installation_id, signer))
}

/// A JWT as the function signs it.
async fn jwt(client_id: &ClientId, signer: &Signer) -> Result<SecretString, Finding> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let claims =
        json!({ "iat": now.saturating_sub(60), "exp": now + 9 * 60, "iss": client_id.as_str() })
            .to_string();
    let encode = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let unsigned = format!(
        "{}.{}",
        encode(br#"{"alg":"RS256","typ":"JWT"}"#),
        encode(claims.as_bytes())
    );
    let signature = match signer {
        Signer::PrivateKey(key) => key.sign(unsigned.as_bytes()),
        Signer::Kms { session, id } => {
            let request = json!({
                "KeyId": id,
                "Message": Base64::encode_string(unsigned.as_bytes()),
                "MessageType": "RAW",
                "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
            });
            let answer: Result<Value, CallError> = session.kms("Sign", &request).await;
            let answer = answer.map_err(|error| not_checked("app.key", &error))?;
            answer["Signature"]
                .as_str()
                .and_then(|text| Base64::decode_vec(text).ok())
        }
    };
    let signature =
        signature.ok_or_else(|| Finding::skip("app.key", "the JWT cannot be signed", "Retry"))?;
    Ok(SecretString::from(format!(
        "{unsigned}.{}",
        encode(&signature)
    )))
}

/// A response, parsed.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// GitHub's message, to be compared and never repeated.
    fn says(&self, text: &str) -> bool {
        self.body["message"]
            .as_str()
            .is_some_and(|message| message.contains(text))
    }

    /// How far GitHub's clock is ahead or behind, in seconds.
    fn skew(&self) -> Option<u64> {
        let date = self.headers.get(header::DATE)?.to_str().ok()?;
        let date: SystemTime = OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822)
            .ok()?
            .into();
        let now = SystemTime::now();
        Some(
            now.duration_since(date)
                .or_else(|_| date.duration_since(now))
                .ok()?
                .as_secs(),
        )
    }
}

impl Caller {
    async fn get(&self, path: &str) -> Result<Answer, HttpError> {
        use secrecy::ExposeSecret as _;
        let url = format!("{}{path}", self.base);
        let invalid = || HttpError::InvalidUrl { url: url.clone() };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.jwt.expose_secret()))
            .map_err(|_| invalid())?;
        bearer.set_sensitive(true);
        self.diagnostics.detail(format!("GET {url}"));
        let request = Request::builder()
            .method(Method::GET)
            .uri(&url)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::AUTHORIZATION, bearer)
            .header(header::USER_AGENT, "github-token-broker")
            .header("x-github-api-version", "2022-11-28")
            .body(Vec::new())
            .map_err(|_| invalid())?;
        let response = self.http.send(request).await?;
        let body = serde_json::from_slice(&response.body).unwrap_or_default();
        Ok(Answer {
            status: response.status,
            headers: response.headers,
            body,
        })
    }
}

impl AsApp<'_> {
    /// Whether key and client ID belong together. The App, if so.
    async fn app(&self, client_id: &ClientId, report: &mut Report) -> Option<Value> {
        let answer = match self.caller.get("/app").await {
            Ok(answer) => answer,
            Err(error) => {
                report.add(Finding::fail(
                    "app.key",
                    error.to_string(),
                    "Check the way to GitHub, and the Terraform input github_api_base_url",
                ));
                return None;
            }
        };
        if let Some(skew) = answer.skew() {
            report.add(if skew > SKEW_TO_WARN {
                Finding::warn(
                    "app.clock",
                    format!("this machine's clock and GitHub's are {skew} s apart"),
                    "Synchronize this machine's clock. AWS synchronizes the function's",
                )
            } else {
                Finding::pass("app.clock", format!("{skew} s apart from GitHub"))
            });
        }
        let id = client_id.as_str();
        let (detail, remedy) = match answer.status {
            StatusCode::OK => {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (slug, owner) = (
                    text(&answer.body["slug"]),
                    text(&answer.body["owner"]["login"]),
                );
                let owner = if owner.is_empty() {
                    String::new()
                } else {
                    format!(" of {owner}")
                };
                report.add(Finding::pass(
                    "app.key",
                    format!("the key belongs to the App {slug}{owner} ({id})"),
                ));
                return Some(answer.body);
            }
            StatusCode::NOT_FOUND => (
                format!("GitHub does not know the client ID {id}"),
                "Correct the client ID, or the Terraform input github_api_base_url",
            ),
            StatusCode::UNAUTHORIZED if answer.says("must be an Integer") => (
                "this GitHub server does not accept client IDs".to_owned(),
                "Use the numeric App ID instead",
            ),
            StatusCode::UNAUTHORIZED
                if answer.says("'Expiration time'") || answer.says("'Issued at'") =>
            {
                (
                    "GitHub rejects the time in the JWT".to_owned(),
                    "Synchronize this machine's clock",
                )
            }
            StatusCode::UNAUTHORIZED => (
                format!("the key does not belong to the App {id}"),
                "Store the key and the client ID of the same App. If the key was deleted on GitHub, create a new one",
            ),
            StatusCode::FORBIDDEN if answer.says("IP allow list") => (
                "the IP allow list of the App's owner does not contain this machine".to_owned(),
                "Run the check from an allowed network. The function needs an allowed address too",
            ),
            status => (
                format!("GitHub answered HTTP {status} to GET /app"),
                "Check the Terraform input github_api_base_url: a GitHub Enterprise Server needs /api/v3",
            ),
        };
        report.add(Finding::fail("app.key", detail, remedy));
        None
    }

    async fn installation(&self, configured: InstallationId, report: &mut Report) -> Option<Value> {
        let repository = &self.config.scope.repository;
        let path = format!(
            "/repos/{}/{}/installation",
            repository.owner(),
            repository.name()
        );
        let answer = match self.caller.get(&path).await {
            Ok(answer) => answer,
            Err(error) => {
                report.add(Finding::skip(
                    "app.installation",
                    error.to_string(),
                    "Retry",
                ));
                return None;
            }
        };
        let id = answer.body["id"].as_u64().unwrap_or_default();
        let account = answer.body["account"]["login"].as_str().unwrap_or_default();
        let (detail, remedy) = match answer.status {
            StatusCode::OK if id != configured.get() => (
                format!("the installation on {repository} is {id}, and {configured} is configured"),
                format!("Store {id} as the installation ID"),
            ),
            StatusCode::OK if !account.eq_ignore_ascii_case(repository.owner()) => (
                format!("{repository} belongs to a different account now"),
                "Find out who moved it before you change repository_owner".to_owned(),
            ),
            StatusCode::OK if !answer.body["suspended_at"].is_null() => (
                format!("the installation {id} is suspended"),
                "Unsuspend it: the organization's settings > GitHub Apps > Configure".to_owned(),
            ),
            StatusCode::OK => {
                report.add(Finding::pass("app.installation", format!("installation {id} of {account} covers {repository}")));
                return Some(answer.body);
            }
            StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT | StatusCode::TEMPORARY_REDIRECT => (
                format!("{repository} was renamed or transferred"),
                "Find out who moved it, then change repository_owner and repository_name".to_owned(),
            ),
            StatusCode::NOT_FOUND => (
                format!("the App is not installed on {repository}, or that name is misspelled"),
                "Select the repository: the organization's settings > GitHub Apps > Configure".to_owned(),
            ),
            StatusCode::FORBIDDEN if answer.says("suspended") => (
                "the installation is suspended".to_owned(),
                "Unsuspend it: the organization's settings > GitHub Apps > Configure".to_owned(),
            ),
            StatusCode::FORBIDDEN if answer.says("IP allow list") || answer.says("correct authorization credentials") => (
                "the organization's IP allow list does not contain this machine".to_owned(),
                "Run the check from an allowed network. The function needs an allowed address too".to_owned(),
            ),
            status => (format!("GitHub answered HTTP {status} to GET {path}"), "Retry".to_owned()),
        };
        report.add(Finding::fail("app.installation", detail, remedy));
        None
    }

    async fn rate_limit(&self) -> Finding {
        let remaining = match self.caller.get("/rate_limit").await {
            Ok(answer) => answer.body["resources"]["core"]["remaining"].as_u64(),
            Err(_) => None,
        };
        match remaining {
            None => Finding::skip("app.rate_limit", "GitHub names no rate limit", "Retry"),
            Some(few) if few < FEW_REQUESTS => Finding::warn(
                "app.rate_limit",
                format!("{few} requests are left in this hour"),
                "Find out what else uses the App",
            ),
            Some(many) => Finding::pass(
                "app.rate_limit",
                format!("{many} requests are left in this hour"),
            ),
        }
    }
}

fn levels(object: &Value) -> BTreeMap<String, String> {
    let permissions = object["permissions"].as_object().into_iter().flatten();
    permissions
        .filter_map(|(name, level)| Some((name.clone(), level.as_str()?.to_owned())))
        .collect()
}

/// GitHub's levels, from the weakest.
fn rank(level: Option<&String>) -> usize {
    let order = ["read", "write", "admin"];
    level
        .and_then(|level| order.iter().position(|known| known == level))
        .map_or(0, |position| position + 1)
}

fn permissions(
    wanted: &[(String, String)],
    installation: &BTreeMap<String, String>,
    app: &BTreeMap<String, String>,
    config: &Config,
) -> Finding {
    let (mut pending, mut missing) = (Vec::new(), Vec::new());
    for (name, level) in wanted {
        let (needed, text) = (rank(Some(level)), format!("{name}={level}"));
        if rank(installation.get(name)) >= needed && needed > 0 {
            continue;
        }
        if rank(app.get(name)) >= needed && needed > 0 {
            pending.push(text);
        } else if name.contains('-') && app.contains_key(&name.replace('-', "_")) {
            missing.push(format!("{text} (GitHub writes {})", name.replace('-', "_")));
        } else {
            missing.push(text);
        }
    }
    if !missing.is_empty() {
        return Finding::fail(
            "app.permissions",
            format!("the App does not have {}", missing.join(", ")),
            "Correct the Terraform input permissions, or add the permission: the App's settings > Permissions & events",
        );
    }
    if !pending.is_empty() {
        return Finding::fail(
            "app.permissions",
            format!(
                "{} has not accepted {}",
                config.scope.repository.owner(),
                pending.join(", ")
            ),
            "Accept the App's request: the organization's settings > GitHub Apps > Configure",
        );
    }
    let texts: Vec<_> = wanted
        .iter()
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    Finding::pass(
        "app.permissions",
        format!("the installation has {}", texts.join(", ")),
    )
}

fn excess(wanted: &[(String, String)], app: &BTreeMap<String, String>) -> Finding {
    let needed = |name: &str| {
        rank(
            wanted
                .iter()
                .find(|(wanted, _)| wanted == name)
                .map(|(_, level)| level),
        )
    };
    // Every App has metadata=read.
    let more: Vec<_> = app
        .iter()
        .filter(|(name, level)| *name != "metadata" && rank(Some(level)) > needed(name))
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    if more.is_empty() {
        return Finding::pass(
            "app.excess",
            "the App has no permission that the broker does not need",
        );
    }
    Finding::warn(
        "app.excess",
        format!("the broker does not need {}", more.join(", ")),
        "Remove them from the App (Permissions & events): anyone who has the key has all of them",
    )
}

fn selection(installation: &Value) -> Finding {
    if installation["repository_selection"] == "all" {
        return Finding::warn(
            "app.selection",
            "the installation covers all repositories of the account",
            "Select the one repository: anyone who has the key can mint for all of them",
        );
    }
    Finding::pass(
        "app.selection",
        "the installation covers selected repositories only",
    )
}
