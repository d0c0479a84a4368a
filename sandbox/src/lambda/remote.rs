//! Functions that are deployed in a remote Lambda API, such as moto's.
//!
//! Input: a function's name. Output: its configuration from there, and its program from the zip with the `CodeSha256` that
//! the configuration names. moto does not return zips, so they are looked up in folders. Of the function's variables, only
//! the endpoints of AWS and GitHub are changed. The sandbox describes the function, and returns its resource policy, as the
//! remote API does.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};
use uuid::Uuid;

use super::environment::Configuration;
use super::variables::Variables;
use crate::net::client;

/// ELF's number for aarch64, at byte 18.
const AARCH64: [u8; 2] = [183, 0];
/// The variable with GitHub's address.
const GITHUB: &str = "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL";

/// A remote Lambda API, and the endpoints for the functions that run here.
pub(crate) struct RemoteLambda {
    pub(crate) endpoint: String,
    pub(crate) zips: Vec<PathBuf>,
    pub(crate) ssm_url: String,
    pub(crate) github_url: String,
    /// The command that runs an aarch64 program on a different machine: `qemu-aarch64-static -L ...`.
    pub(crate) aarch64_runner: Vec<String>,
    pub(crate) unpacked: tempfile::TempDir,
}

/// Why there is no function to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The remote API does not know it, or its zip was not found.
    Function(String),
    /// The zip has no program `bootstrap` that this machine can run.
    Entrypoint(String),
}

/// A function as the remote API describes it. Environments are reused while it does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeployedFunction {
    configuration: DeployedConfiguration,
    description: Value,
    policy: Option<Value>,
}

/// The part of `GetFunctionConfiguration` that runs the function.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeployedConfiguration {
    function_name: String,
    function_arn: String,
    code_sha256: String,
    timeout: u64,
    memory_size: u32,
    #[serde(default)]
    environment: DeployedEnvironment,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeployedEnvironment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

impl RemoteLambda {
    /// Looks up a function with the caller's signature, which names the region.
    pub(crate) async fn deployed(
        &self,
        name: &str,
        caller: &HeaderMap,
    ) -> Result<DeployedFunction, Unavailable> {
        let malformed = |error: serde_json::Error| Unavailable::Function(error.to_string());
        let mut description = self.get(name, "configuration", caller).await?;
        if let Some(members) = description.as_object_mut() {
            members.remove("RevisionId"); // moto changes it with each read
            members.retain(|_, member| !member.is_null()); // AWS omits what moto sets to null
        }
        // A function without a resource policy is not found.
        let policy = self.get(name, "policy", caller).await.ok();
        let policy = policy.and_then(|body| serde_json::from_str(body["Policy"].as_str()?).ok());
        Ok(DeployedFunction {
            configuration: serde_json::from_value(description.clone()).map_err(malformed)?,
            description,
            policy,
        })
    }

    async fn get(&self, name: &str, what: &str, caller: &HeaderMap) -> Result<Value, Unavailable> {
        let endpoint = self.endpoint.trim_end_matches('/');
        let url = format!("{endpoint}/2015-03-31/functions/{name}/{what}");
        let failed = |reason: String| Unavailable::Function(format!("{url}: {reason}"));
        let mut request = Request::get(&url);
        for name in ["authorization", "x-amz-date", "x-amz-security-token"] {
            if let Some(value) = caller.get(name) {
                request = request.header(name, value);
            }
        }
        let request = request
            .body(Bytes::new())
            .map_err(|error| failed(error.to_string()))?;
        let response = client::send(request)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(response.status().to_string()));
        }
        serde_json::from_slice(response.body()).map_err(|error| failed(error.to_string()))
    }

    /// The function's configuration in this sandbox.
    pub(crate) fn configuration(
        &self,
        function: &DeployedFunction,
    ) -> Result<Configuration, Unavailable> {
        let deployed = &function.configuration;
        let description = function.description.clone();
        let folder = hex::encode(&deployed.code_sha256);
        let folder = self.unpacked.path().join(folder);
        if !folder.is_dir() {
            unpack(&self.zip(&deployed.code_sha256)?, &folder)?;
        }
        let binary = folder.join("bootstrap");
        let region = deployed.function_arn.split(':').nth(3);
        let region = region.unwrap_or("us-east-1");
        let mut variables = Variables::new(&deployed.function_name, region, deployed.memory_size);
        for (name, value) in &deployed.environment.variables {
            variables.set(name, value);
        }
        variables.set("AWS_ENDPOINT_URL", &self.ssm_url);
        let github_url = deployed.environment.variables.get(GITHUB);
        if !github_url.is_some_and(|url| is_loopback(url)) {
            variables.set(GITHUB, &self.github_url);
        }
        Ok(Configuration {
            name: deployed.function_name.clone(),
            launcher: self.launcher(&binary)?,
            binary,
            variables,
            timeout: Duration::from_secs(deployed.timeout),
            trace_id: None,
            freeze_after_init: false,
            edits: vec![Arc::new(move |edited: &mut Value| {
                *edited = description.clone();
            })],
            policy: function.policy.clone(),
            before_delivery: None,
        })
    }

    /// The zip with this SHA-256 in base64.
    fn zip(&self, code_sha256: &str) -> Result<PathBuf, Unavailable> {
        for folder in &self.zips {
            let entries = std::fs::read_dir(folder).map_err(|error| {
                Unavailable::Function(format!("cannot read {}: {error}", folder.display()))
            })?;
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let is_zip = path.extension().is_some_and(|extension| extension == "zip");
                let matches =
                    |bytes: Vec<u8>| STANDARD.encode(digest(&SHA256, &bytes)) == code_sha256;
                if is_zip && std::fs::read(&path).is_ok_and(matches) {
                    return Ok(path);
                }
            }
        }
        let folders: Vec<_> = self
            .zips
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        Err(Unavailable::Function(format!(
            "no zip in {} has the CodeSha256 {code_sha256}",
            folders.join(", ")
        )))
    }

    /// The command that runs the program on this machine; empty if it runs directly.
    fn launcher(&self, binary: &Path) -> Result<Vec<String>, Unavailable> {
        use std::io::Read as _;
        use std::os::unix::fs::PermissionsExt as _;
        let executable = std::fs::metadata(binary)
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
        if !executable {
            let message = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
            return Err(Unavailable::Entrypoint(message.to_owned()));
        }
        let mut header = [0; 20];
        let read = File::open(binary).and_then(|mut file| file.read_exact(&mut header));
        let needs_runner = read.is_ok()
            && header[..4] == *b"\x7fELF"
            && header[18..] == AARCH64
            && !cfg!(target_arch = "aarch64");
        if needs_runner && self.aarch64_runner.is_empty() {
            let message =
                "bootstrap is built for arm64 and this machine is not: set --aarch64-runner";
            return Err(Unavailable::Entrypoint(message.to_owned()));
        }
        Ok(if needs_runner {
            self.aarch64_runner.clone()
        } else {
            Vec::new()
        })
    }
}

/// Unpacks into a neighboring folder and renames it: two callers may do this at once.
fn unpack(zip: &Path, folder: &Path) -> Result<(), Unavailable> {
    let failed = |reason: String| {
        Unavailable::Function(format!("cannot unpack {}: {reason}", zip.display()))
    };
    let temporary = folder.with_extension(Uuid::new_v4().to_string());
    let file = File::open(zip).map_err(|error| failed(error.to_string()))?;
    zip::ZipArchive::new(file)
        .and_then(|mut archive| archive.extract(&temporary))
        .map_err(|error| failed(error.to_string()))?;
    match std::fs::rename(&temporary, folder) {
        Err(error) if !folder.is_dir() => Err(failed(error.to_string())),
        _ => Ok(()),
    }
}

fn is_loopback(url: &str) -> bool {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
