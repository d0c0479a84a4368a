//! An AWS account as an operator sees it: Lambda's description of the function, its resource policy, its role in IAM, and STS.
//! Everything else goes to the sandbox: SSM, KMS and `Invoke`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Client, World,
    git_server::forward,
    server::{Request, Response, Server},
};

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/service/github-token-broker";
pub(crate) const FUNCTION: &str =
    "arn:aws:lambda:us-east-1:123456789012:function:github-token-broker";

/// What a test changes.
pub(crate) struct Account {
    /// Lambda's description of the function.
    pub(crate) function: Value,
    /// The function's resource policy.
    pub(crate) resource_policy: Option<Value>,
    /// The only policy of the role.
    pub(crate) role_policy: Value,
    /// The inline policy of the user `octo`.
    pub(crate) identity_policy: Value,
    /// How far AWS's clock is ahead of this machine's.
    pub(crate) clock_ahead: Duration,
    /// IAM actions that the operator may not perform.
    pub(crate) denied: BTreeSet<&'static str>,
}

impl Account {
    pub(crate) fn variables(&mut self) -> &mut serde_json::Map<String, Value> {
        self.function["Environment"]["Variables"]
            .as_object_mut()
            .unwrap()
    }
}

/// The account's endpoint.
pub(crate) struct Operator<'a> {
    world: &'a World,
    server: Server,
    account: Arc<Mutex<Account>>,
}

impl<'a> Operator<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let account = Arc::new(Mutex::new(healthy(world)));
        let (shared, aws) = (Arc::clone(&account), world.sandbox().aws_url());
        let server = Server::start(move |request| {
            let answer = answer(&shared.lock().unwrap(), request);
            answer.unwrap_or_else(|| {
                forward(
                    &format!("{aws}/"),
                    request.target.trim_start_matches('/'),
                    request,
                )
            })
        });
        Self {
            world,
            server,
            account,
        }
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    pub(crate) fn client(&self, args: &[&str]) -> Client {
        self.world
            .client(args)
            .env("AWS_ENDPOINT_URL", self.server.url())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// The IAM actions of all requests so far, except STS's, which needs no permission.
    pub(crate) fn actions(&self) -> BTreeSet<String> {
        let actions = self
            .requests()
            .iter()
            .filter_map(action)
            .collect::<BTreeSet<_>>();
        actions
            .into_iter()
            .filter(|action| !action.starts_with("sts:"))
            .collect()
    }
}

/// A broker as the Terraform module deploys it.
fn healthy(world: &World) -> Account {
    let parameters = "arn:aws:ssm:us-east-1:123456789012:parameter/github-token-broker/app";
    Account {
        function: json!({
            "FunctionName": "github-token-broker",
            "FunctionArn": FUNCTION,
            "Role": ROLE,
            "Runtime": "provided.al2023",
            "Architectures": ["arm64"],
            "MemorySize": 128,
            "Timeout": 10,
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "LastModified": "2026-04-23T16:48:32.000+0000",
            "Version": "$LATEST",
            "CodeSha256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            "LoggingConfig": { "LogGroup": "/aws/lambda/github-token-broker", "LogFormat": "JSON" },
            "Environment": { "Variables": {
                "GITHUB_TOKEN_BROKER_REPOSITORY_OWNER": "octo-org",
                "GITHUB_TOKEN_BROKER_REPOSITORY_NAME": "octo-repo",
                "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL": format!("http://{}/api/v3", world.git.host()),
            } },
        }),
        resource_policy: None,
        role_policy: json!({ "Version": "2012-10-17", "Statement": [
            {
                "Effect": "Allow",
                "Action": "ssm:GetParameters",
                "Resource": [format!("{parameters}/client-id"), format!("{parameters}/installation-id"), format!("{parameters}/private-key-pem")],
            },
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/github-token-broker:*",
            },
        ] }),
        identity_policy: json!({ "Statement": { "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": FUNCTION } }),
        clock_ahead: Duration::ZERO,
        denied: BTreeSet::new(),
    }
}

/// The IAM action that a request needs.
fn action(request: &Request) -> Option<String> {
    let path = request.target.split('?').next().unwrap_or_default();
    let form = form(request);
    let target = request.header("x-amz-target").unwrap_or_default();
    Some(
        match (
            path,
            form.get("Action").map(String::as_str),
            target.split_once('.'),
        ) {
            (path, ..) if path.ends_with("/configuration") => {
                "lambda:GetFunctionConfiguration".to_owned()
            }
            (path, ..) if path.ends_with("/policy") => "lambda:GetPolicy".to_owned(),
            (path, ..) if path.ends_with("/invocations") => "lambda:InvokeFunction".to_owned(),
            (_, Some("GetCallerIdentity"), _) => "sts:GetCallerIdentity".to_owned(),
            (_, Some(action), _) => format!("iam:{action}"),
            (_, _, Some(("AmazonSSM", operation))) => format!("ssm:{operation}"),
            (_, _, Some((_, operation))) => format!("kms:{operation}"),
            _ => return None,
        },
    )
}

fn form(request: &Request) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&request.body)
        .into_owned()
        .collect()
}

fn answer(account: &Account, request: &Request) -> Option<Response> {
    let path = request.target.split('?').next().unwrap_or_default();
    let (action, form) = (action(request)?, form(request));
    let is_query = action.starts_with("iam:") || action.starts_with("sts:");
    if account.denied.contains(action.as_str()) {
        return Some(if is_query {
            query_error("AccessDenied")
        } else {
            json_error(400, "AccessDeniedException")
        });
    }
    Some(match action.as_str() {
        "lambda:GetFunctionConfiguration" if !path.contains("/github-token-broker/") => {
            json_error(404, "ResourceNotFoundException")
        }
        "lambda:GetFunctionConfiguration" => {
            let date = httpdate::fmt_http_date(std::time::SystemTime::now() + account.clock_ahead);
            Response::new(200, account.function.to_string()).header("date", &date)
        }
        "lambda:GetPolicy" => match &account.resource_policy {
            Some(policy) => Response::new(
                200,
                json!({ "Policy": policy.to_string(), "RevisionId": "1" }).to_string(),
            ),
            None => json_error(404, "ResourceNotFoundException"),
        },
        "sts:GetCallerIdentity" => xml(
            "GetCallerIdentity",
            "<Arn>arn:aws:iam::123456789012:user/operator</Arn><UserId>AIDA</UserId><Account>123456789012</Account>",
        ),
        "iam:SimulatePrincipalPolicy" => simulate(account, &form),
        "iam:ListRolePolicies" => {
            assert_eq!(
                form["RoleName"], "github-token-broker",
                "IAM takes the name without its path"
            );
            xml(
                "ListRolePolicies",
                "<PolicyNames><member>github-token-broker-policy</member></PolicyNames>",
            )
        }
        "iam:GetRolePolicy" => {
            let document: String =
                url::form_urlencoded::byte_serialize(account.role_policy.to_string().as_bytes())
                    .collect();
            xml(
                "GetRolePolicy",
                &format!(
                    "<PolicyDocument>{}</PolicyDocument>",
                    document.replace('+', "%20")
                ),
            )
        }
        "iam:GetAccountAuthorizationDetails" => {
            authorization_details(account, form.contains_key("Marker"))
        }
        // SSM, KMS: the sandbox.
        _ => return None,
    })
}

/// Two pages: a user with `identity_policy`, inline, and an administrator with a managed policy.
fn authorization_details(account: &Account, is_second_page: bool) -> Response {
    let encoded = |policy: &Value| {
        url::form_urlencoded::byte_serialize(policy.to_string().as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    let everything = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    xml(
        "GetAccountAuthorizationDetails",
        &if is_second_page {
            format!(
                "<IsTruncated>false</IsTruncated><Policies><member><Arn>arn:aws:iam::aws:policy/Admin</Arn><PolicyVersionList>\
             <member><Document>{}</Document><IsDefaultVersion>true</IsDefaultVersion></member></PolicyVersionList></member></Policies>",
                encoded(&everything)
            )
        } else {
            format!(
                "<IsTruncated>true</IsTruncated><Marker>more</Marker><UserDetailList><member><Arn>arn:aws:iam::123456789012:user/octo</Arn>\
             <UserPolicyList><member><PolicyName>p</PolicyName><PolicyDocument>{}</PolicyDocument></member></UserPolicyList></member>\
             </UserDetailList><RoleDetailList><member><Arn>arn:aws:iam::123456789012:role/admin</Arn><AttachedManagedPolicies><member>\
             <PolicyArn>arn:aws:iam::aws:policy/Admin</PolicyArn></member></AttachedManagedPolicies></member></RoleDetailList>",
                encoded(&account.identity_policy)
            )
        },
    )
}

/// A small IAM: allow statements with wildcards and `StringEquals`.
fn simulate(account: &Account, form: &BTreeMap<String, String>) -> Response {
    assert_eq!(form["PolicySourceArn"], ROLE);
    let numbered = |prefix: &str| {
        let prefix = prefix.to_owned();
        (1..).map_while(move |number| form.get(&format!("{prefix}.member.{number}")).cloned())
    };
    let context: BTreeMap<String, String> = (1..)
        .map_while(|number| {
            let entry = format!("ContextEntries.member.{number}");
            let value = form.get(&format!("{entry}.ContextKeyValues.member.1"))?;
            Some((
                form[&format!("{entry}.ContextKeyName")].clone(),
                value.clone(),
            ))
        })
        .collect();
    let resources: Vec<_> = numbered("ResourceArns").collect();
    let resource = resources.first().map_or("*", String::as_str);
    let mut results = String::from("<EvaluationResults>");
    for action in numbered("ActionNames") {
        let statements = account.role_policy["Statement"].as_array().unwrap();
        let allowed = statements.iter().any(|statement| {
            let any = |name: &str, text: &str| {
                texts(&statement[name])
                    .iter()
                    .any(|pattern| matches(pattern, text))
            };
            let conditions = statement["Condition"]["StringEquals"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            let met = conditions.iter().all(|(key, value)| {
                context
                    .get(key)
                    .is_some_and(|actual| texts(value).contains(actual))
            });
            any("Action", &action) && any("Resource", resource) && met
        });
        let decision = if allowed { "allowed" } else { "implicitDeny" };
        write!(
            results,
            "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>\
             <EvalDecision>{decision}</EvalDecision><MatchedStatements/></member>"
        )
        .unwrap();
    }
    xml(
        "SimulatePrincipalPolicy",
        &(results + "</EvaluationResults>"),
    )
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(after, &rest[at..]))
        }),
    }
}

fn xml(operation: &str, result: &str) -> Response {
    let body = format!(
        "<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{operation}Result>{result}</{operation}Result></{operation}Response>"
    );
    Response::new(200, body).header("content-type", "text/xml")
}

fn query_error(code: &str) -> Response {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    Response::new(403, body).header("content-type", "text/xml")
}

fn json_error(status: u16, code: &str) -> Response {
    Response::new(status, "{}").header("x-amzn-errortype", code)
}
