//! Apps, their installations, and repositories, as data.

use std::collections::BTreeMap;

use super::error::GitHubError;
use super::private_key::PublicKey;

/// A GitHub App.
#[derive(Debug, Clone)]
pub struct App {
    /// The numeric App ID.
    pub id: u64,
    /// The client ID, `Iv23li...`.
    pub client_id: String,
    /// The name in URLs.
    pub slug: String,
    /// The account that owns the App.
    pub owner: String,
    /// The permissions that the App requests. An installation may not have accepted all of them.
    pub permissions: BTreeMap<String, String>,
    /// Its public keys; GitHub allows 25.
    pub keys: Vec<PublicKey>,
}

/// The installation of an App on an account.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The numeric installation ID.
    pub id: u64,
    /// The ID of the App.
    pub app_id: u64,
    /// The account that installed it.
    pub account: String,
    /// The repositories it covers; `None` means all repositories of the account.
    pub repository_ids: Option<Vec<u64>>,
    /// The granted permissions: name to `read`, `write` or `admin`.
    pub permissions: BTreeMap<String, String>,
    /// Whether the account has suspended it.
    pub suspended: bool,
    /// Whether the account has an IP allow list that does not contain the caller.
    pub ip_allow_list: bool,
}

/// A repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The numeric ID, which never changes.
    pub id: u64,
    /// The account it belongs to.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Whether only principals with access can see it.
    pub private: bool,
    /// Each `owner/name` it had before: GitHub answers with a redirect.
    pub former_names: Vec<String>,
}

impl App {
    /// Whether this is the App's client ID or its numeric ID.
    pub(crate) fn is_issuer(&self, issuer: &str) -> bool {
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

    pub(crate) fn check_ip_allow_list(&self) -> Result<(), GitHubError> {
        if self.ip_allow_list {
            Err(GitHubError::IpNotAllowed(self.account.clone()))
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

    pub(crate) fn is_named(&self, full_name: &str) -> bool {
        self.full_name().eq_ignore_ascii_case(full_name)
    }

    pub(crate) fn was_named(&self, full_name: &str) -> bool {
        self.former_names
            .iter()
            .any(|former| former.eq_ignore_ascii_case(full_name))
    }
}

/// Orders the levels of a permission; 0 is not a level.
pub(crate) fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}
