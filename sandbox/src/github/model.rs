//! Who may do what at GitHub, as data: Apps, where they are installed, and the repositories they are installed on.

use std::collections::BTreeMap;

use crate::github::error::Refusal;
use crate::github::private_key::PublicKey;

/// A GitHub App.
#[derive(Debug, Clone)]
pub struct App {
    /// The numeric App ID.
    pub id: u64,
    /// The client ID, `Iv23li...`.
    pub client_id: String,
    /// The name in URLs.
    pub slug: String,
    /// The public halves of its keys; GitHub allows 25.
    pub keys: Vec<PublicKey>,
}

/// An App on an account.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The numeric installation ID.
    pub id: u64,
    /// Whose App it is.
    pub app_id: u64,
    /// The account that installed it.
    pub account: String,
    /// The repositories it covers; nothing means all of the account's.
    pub repository_ids: Option<Vec<u64>>,
    /// What it was granted: name to `read`, `write` or `admin`.
    pub permissions: BTreeMap<String, String>,
    /// Whether the account has suspended it.
    pub suspended: bool,
    /// Whether the account admits only known IP addresses, ours not among them.
    pub ip_allow_list: bool,
}

/// A repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The numeric ID, which outlives every name.
    pub id: u64,
    /// The account it belongs to.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Whether only those with access can see it.
    pub private: bool,
    /// `owner/name` it had before: answered with a redirect.
    pub former_names: Vec<String>,
}

impl App {
    /// Whether this is the App's client ID or its numeric ID.
    pub(crate) fn is(&self, issuer: &str) -> bool {
        self.client_id == issuer || self.id.to_string() == issuer
    }
}

impl Installation {
    pub(crate) fn covers(&self, repository: &Repository) -> bool {
        self.account.eq_ignore_ascii_case(&repository.owner)
            && self
                .repository_ids
                .as_ref()
                .is_none_or(|ids| ids.contains(&repository.id))
    }

    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        if self.ip_allow_list {
            Err(Refusal::IpNotAllowed(self.account.clone()))
        } else {
            Ok(())
        }
    }

    pub(crate) fn grants(&self, name: &str, level: &str) -> bool {
        let granted = self
            .permissions
            .get(name)
            .map_or(0, |granted| rank(granted));
        let implied = u8::from(name == "metadata");
        (1..=granted.max(implied)).contains(&rank(level))
    }
}

impl Repository {
    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(crate) fn is(&self, full_name: &str) -> bool {
        self.full_name().eq_ignore_ascii_case(full_name)
    }

    pub(crate) fn was(&self, full_name: &str) -> bool {
        self.former_names
            .iter()
            .any(|former| former.eq_ignore_ascii_case(full_name))
    }
}

pub(crate) fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}
