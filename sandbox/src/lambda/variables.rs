//! The environment variables of a function: Lambda's own, then the configured ones. It inherits none from the sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use uuid::Uuid;

use crate::aws::ACCOUNT;
use crate::aws::sigv4::Signer;
use crate::github::token::alphanumeric;

/// The variables of a function.
#[derive(Debug, Clone)]
pub(crate) struct Variables {
    pub(crate) region: String,
    credentials: Credentials,
    function_name: String,
    memory: u32,
    configured: BTreeMap<String, String>,
    missing: BTreeSet<String>,
}

/// The role's credentials, which Lambda passes in the environment.
#[derive(Clone)]
struct Credentials {
    access_key: String,
    secret_key: String,
    session_token: String,
}

impl Credentials {
    fn fresh() -> Self {
        Self {
            access_key: format!("ASIA{}", alphanumeric(16).to_uppercase()),
            secret_key: alphanumeric(40),
            session_token: alphanumeric(300),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Variables {
    pub(crate) fn new(function_name: &str, region: &str, memory: u32) -> Self {
        Self {
            region: region.to_owned(),
            credentials: Credentials::fresh(),
            function_name: function_name.to_owned(),
            memory,
            configured: BTreeMap::new(),
            missing: BTreeSet::new(),
        }
    }

    /// Sets a variable, which may be one of Lambda's own.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.missing.remove(&name);
        self.configured.insert(name, value.into());
    }

    /// Removes a variable, which may be one of Lambda's own.
    pub(crate) fn unset(&mut self, name: &str) {
        self.configured.remove(name);
        self.missing.insert(name.to_owned());
    }

    /// The value of a variable that is the same in every environment.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.for_environment(Path::new("/"), "").remove(name)
    }

    /// The principal that signs the function's requests to AWS.
    pub(crate) fn signer(&self) -> Signer {
        let value = |name| self.value(name).unwrap_or_default();
        Signer::new(
            &value("AWS_ACCESS_KEY_ID"),
            &value("AWS_SECRET_ACCESS_KEY"),
            self.value("AWS_SESSION_TOKEN").as_deref(),
            &value("AWS_REGION"),
        )
    }

    /// The variables that the operator configured.
    pub(crate) fn configured(&self) -> &BTreeMap<String, String> {
        &self.configured
    }

    pub(crate) fn memory(&self) -> u32 {
        self.memory
    }

    pub(crate) fn function_arn(&self, name: &str) -> String {
        format!("arn:aws:lambda:{}:{ACCOUNT}:function:{name}", self.region)
    }

    /// All variables of one execution environment.
    pub(crate) fn for_environment(
        &self,
        folder: &Path,
        runtime_api: &str,
    ) -> BTreeMap<String, String> {
        let (name, memory, folder) = (
            &self.function_name,
            self.memory.to_string(),
            folder.display().to_string(),
        );
        let stream = format!("2026/11/23/[$LATEST]{}", Uuid::new_v4().simple());
        let own = [
            ("_HANDLER", "bootstrap"),
            ("AWS_ACCESS_KEY_ID", &self.credentials.access_key),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{name}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", &stream),
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_REGION", &self.region),
            ("AWS_SECRET_ACCESS_KEY", &self.credentials.secret_key),
            ("AWS_SESSION_TOKEN", &self.credentials.session_token),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("LAMBDA_TASK_ROOT", &folder),
            ("LANG", "en_US.UTF-8"),
            ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
            ("TZ", ":UTC"),
        ];
        let mut all: BTreeMap<_, _> = own
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        all.extend(self.configured.clone());
        all.retain(|name, _| !self.missing.contains(name));
        all
    }
}
