//! What a token is for: one repository and the permissions on it. The deployer decides it; nothing else can widen it.
//!
//! Input: texts from the deployer, or JSON from GitHub.
//! Output: a [`TokenScope`], which is what the broker requests, proves and returns.
//! Invariant: a [`Repository`] is one path segment per part, so it cannot change the path of a request.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

/// The repository and the permissions of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenScope {
    /// The only repository.
    pub repository: Repository,
    /// GitHub's numeric ID of the repository, if the deployer pinned it.
    pub repository_id: Option<RepositoryId>,
    /// What the token may do there.
    pub permissions: Permissions,
}

/// A repository by owner and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    owner: String,
    name: String,
}

impl Repository {
    /// `None` if [`Self::is_valid_part`] is false for either part.
    pub fn parse(owner: &str, name: &str) -> Option<Self> {
        (Self::is_valid_part(owner) && Self::is_valid_part(name)).then(|| Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Whether an owner or a name has only GitHub's characters and is neither `.` nor `..`, which would change the path of
    /// a request.
    pub fn is_valid_part(part: &str) -> bool {
        let supported = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        !part.is_empty() && part.bytes().all(supported) && part != "." && part != ".."
    }

    /// The account that owns the repository.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The name within the account.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `full_name` (`owner/name`) names this repository. GitHub ignores the case of both parts.
    pub fn matches(&self, full_name: &str) -> bool {
        full_name.split_once('/').is_some_and(|(owner, name)| {
            owner.eq_ignore_ascii_case(&self.owner) && name.eq_ignore_ascii_case(&self.name)
        })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// GitHub's number for a repository. Unlike the name, GitHub never reuses it for a different repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryId(u64);

impl RepositoryId {
    /// `None` unless `text` is a positive whole number in digits only.
    pub fn parse(text: &str) -> Option<Self> {
        positive_integer(text).map(Self)
    }
}

/// A whole number from 1, in digits only: `str::parse` alone would accept a sign.
pub fn positive_integer(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

/// Permission names and their levels, such as `contents: read`. The names are those of GitHub's
/// [Permissions required for GitHub Apps](https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps).
///
/// This type has no list of names: GitHub adds new ones, and rejects a name that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<String, String>);

impl Permissions {
    /// Whether there is no permission.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name with its level, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, level)| (name.as_str(), level.as_str()))
    }

    /// The level of a permission, if it is present.
    pub fn level(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a name or a level consists of GitHub's characters only and is short. Only such text is repeated in a message.
    pub fn is_printable(text: &str) -> bool {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueNames)
    }
}

/// Rejects a repeated name: nobody can tell which of the two levels was meant.
struct UniqueNames;

impl<'de> Visitor<'de> for UniqueNames {
    type Value = Permissions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of permission names and levels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Permissions, A::Error> {
        let mut permissions = BTreeMap::new();
        while let Some((name, level)) = entries.next_entry()? {
            if permissions.insert(name, level).is_some() {
                return Err(A::Error::custom("a permission name is repeated"));
            }
        }
        Ok(Permissions(permissions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_permission_name_is_rejected() {
        let twice =
            serde_json::from_str::<Permissions>(r#"{"contents":"read","contents":"write"}"#);
        assert!(twice.is_err());
    }

    #[test]
    fn other_json_is_rejected() {
        for json in ["[]", "null", r#""contents""#, r#"{"contents":1}"#] {
            assert!(serde_json::from_str::<Permissions>(json).is_err(), "{json}");
        }
        let list = serde_json::from_str::<Permissions>("[]").unwrap_err();
        let expected = "expected an object of permission names and levels";
        assert!(list.to_string().contains(expected), "{list}");
    }

    #[test]
    fn only_github_characters_are_printable() {
        assert!(Permissions::is_printable(
            "organization_self_hosted_runners"
        ));
        for name in ["", "Contents", "a b", "a\u{202e}", "x".repeat(65).as_str()] {
            assert!(!Permissions::is_printable(name), "{name}");
        }
    }

    #[test]
    fn positive_integer_accepts_digits_only() {
        assert_eq!(positive_integer("12345678"), Some(12_345_678));
        assert_eq!(positive_integer("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "0",
            "00",
            "+1",
            "-1",
            "1.0",
            "0x1",
            "1 2",
            " 1",
            "4.47597e+06",
            "18446744073709551616",
            "Iv23li",
            "١",
        ] {
            assert_eq!(positive_integer(text), None, "{text}");
        }
    }

    #[test]
    fn full_name_matches_without_case() {
        let repository = Repository::parse("octo-org", "octo-repo").unwrap();
        assert!(repository.matches("Octo-Org/OCTO-repo"));
        for full_name in [
            "octo-org",
            "octo-org/",
            "/octo-repo",
            "octo-org/octo-repo/x",
            "x/octo-org/octo-repo",
            "",
        ] {
            assert!(!repository.matches(full_name), "{full_name}");
        }
    }

    #[test]
    fn repository_parts_cannot_change_a_path() {
        assert!(Repository::parse(".github", "...").is_some());
        for part in [
            "", ".", "..", "a/b", "a b", "a%2e", "é", "a\0", "a?b", "a#b", "*",
        ] {
            assert_eq!(Repository::parse(part, "octo-repo"), None, "{part}");
            assert_eq!(Repository::parse("octo-org", part), None, "{part}");
        }
    }
}
