//! Functions that somebody else's Lambda API knows, such as moto's. Comes in: a name. Goes out: its configuration from
//! there, and its program out of the zip that has the `CodeSha256` it names. moto does not give zips back, so they are
//! looked for in a folder. Nothing of the function's own variables is changed but where AWS and GitHub are.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde::Deserialize;
use url::{Host, Url};

use crate::lambda::environment::Configuration;
use crate::lambda::variables::Variables;
use crate::net::client;
use crate::random;

/// ELF's number for aarch64, at byte 18.
const AARCH64: [u8; 2] = [183, 0];
/// The variable that says where GitHub is.
const GITHUB: &str = "GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL";

/// Where functions come from, and where they find AWS and GitHub.
pub(crate) struct Source {
    pub(crate) endpoint: String,
    pub(crate) zips: Vec<PathBuf>,
    pub(crate) ssm_url: String,
    pub(crate) github_url: String,
    /// What runs a program for aarch64 on another machine: `qemu-aarch64-static -L ...`.
    pub(crate) aarch64_runner: Vec<String>,
    pub(crate) unpacked: tempfile::TempDir,
}

/// Why there is no function to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The other API does not know it, or its zip is not here.
    Function(String),
    /// The zip has no program named `bootstrap` that this machine can run.
    Entrypoint(String),
}

/// What matters of `GetFunctionConfiguration`. Two that are equal are served by the same environments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Deployed {
    function_name: String,
    function_arn: String,
    code_sha256: String,
    timeout: u64,
    memory_size: u32,
    #[serde(default)]
    environment: Environment,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

impl Source {
    /// Asks the other API for a function, with the caller's signature, which names the region.
    pub(crate) async fn deployed(
        &self,
        name: &str,
        caller: &HeaderMap,
    ) -> Result<Deployed, Missing> {
        let url = format!(
            "{}/2015-03-31/functions/{name}/configuration",
            self.endpoint.trim_end_matches('/')
        );
        let header = |name| {
            caller
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(|value| (name, value))
        };
        let headers: Vec<_> = ["authorization", "x-amz-date", "x-amz-security-token"]
            .into_iter()
            .filter_map(header)
            .collect();
        let missing = |reason: String| Missing::Function(format!("{url}: {reason}"));
        let answer = client::send("GET", &url, &headers, "")
            .await
            .map_err(|error| missing(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(missing(answer.status().to_string()));
        }
        serde_json::from_slice(answer.body()).map_err(|error| missing(error.to_string()))
    }

    /// The function as this sandbox runs it.
    pub(crate) fn configuration(&self, deployed: &Deployed) -> Result<Configuration, Missing> {
        let folder = self
            .unpacked
            .path()
            .join(random::hex(deployed.code_sha256.as_bytes()));
        if !folder.is_dir() {
            unpack(&self.zip_of(&deployed.code_sha256)?, &folder)?;
        }
        let binary = folder.join("bootstrap");
        let region = deployed
            .function_arn
            .split(':')
            .nth(3)
            .unwrap_or("us-east-1");
        let mut variables = Variables::new(&deployed.function_name, region, deployed.memory_size);
        for (name, value) in &deployed.environment.variables {
            variables.set(name, value);
        }
        variables.set("AWS_ENDPOINT_URL", &self.ssm_url);
        if !deployed
            .environment
            .variables
            .get(GITHUB)
            .is_some_and(|url| is_loopback(url))
        {
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
            before_delivery: None,
        })
    }

    /// The zip whose bytes have this SHA-256 in base64.
    fn zip_of(&self, code_sha256: &str) -> Result<PathBuf, Missing> {
        for folder in &self.zips {
            let entries = std::fs::read_dir(folder)
                .map_err(|error| Missing::Function(format!("{}: {error}", folder.display())))?;
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let is_zip = path.extension().is_some_and(|extension| extension == "zip");
                if is_zip
                    && std::fs::read(&path)
                        .is_ok_and(|bytes| STANDARD.encode(digest(&SHA256, &bytes)) == code_sha256)
                {
                    return Ok(path);
                }
            }
        }
        Err(Missing::Function(format!(
            "no zip in {:?} has the CodeSha256 {code_sha256}",
            self.zips
        )))
    }

    /// What has to stand before a program on this machine.
    fn launcher(&self, binary: &Path) -> Result<Vec<String>, Missing> {
        use std::io::Read as _;
        use std::os::unix::fs::PermissionsExt as _;
        let executable = std::fs::metadata(binary)
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
        if !executable {
            let message = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
            return Err(Missing::Entrypoint(message.to_owned()));
        }
        let mut start = [0; 20];
        let read = File::open(binary).and_then(|mut file| file.read_exact(&mut start));
        let foreign = read.is_ok()
            && start[..4] == *b"\x7fELF"
            && start[18..] == AARCH64
            && !cfg!(target_arch = "aarch64");
        match (foreign, self.aarch64_runner.is_empty()) {
            (false, _) => Ok(Vec::new()),
            (true, false) => Ok(self.aarch64_runner.clone()),
            (true, true) => {
                let message = "bootstrap is for arm64 and this machine is not: name what runs it in --aarch64-runner";
                Err(Missing::Entrypoint(message.to_owned()))
            }
        }
    }
}

/// Unpacks beside the folder, and moves it there as a whole: two callers may do this at once.
fn unpack(zip: &Path, folder: &Path) -> Result<(), Missing> {
    let failed = |reason: String| Missing::Function(format!("{}: {reason}", zip.display()));
    let beside = folder.with_extension(random::letters(8));
    let file = File::open(zip).map_err(|error| failed(error.to_string()))?;
    let archive = zip::ZipArchive::new(file);
    archive
        .and_then(|mut archive| archive.extract(&beside))
        .map_err(|error| failed(error.to_string()))?;
    match std::fs::rename(&beside, folder) {
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
