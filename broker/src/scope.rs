//! The permissions a token is asked for, and what a permission's name and level may look like.
//!
//! In: JSON text from the deployer, or the `permissions` object of a GitHub answer. Out: sorted names and levels.
//! It knows no list of permissions: GitHub adds names, and a name that GitHub does not know is refused there.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

/// Permission names and their levels, such as `contents: read`, as GitHub's "Permissions required for GitHub Apps" lists them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<String, String>);

impl Permissions {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name with its level, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, level)| (name.as_str(), level.as_str()))
    }

    /// The level of a permission, if it is there.
    pub fn level(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a name and a level are made of GitHub's characters only, and short: such text may be shown.
    pub fn is_showable(text: &str) -> bool {
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

/// Refuses a name that stands twice: which of the two levels was meant, nobody can tell.
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
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Permissions(permissions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let twice =
            serde_json::from_str::<Permissions>(r#"{"contents":"read","contents":"write"}"#);
        assert!(twice.is_err());
    }

    #[test]
    fn only_names_of_githubs_characters_are_showable() {
        assert!(Permissions::is_showable("organization_self_hosted_runners"));
        for name in ["", "Contents", "a b", "a\u{202e}", "x".repeat(65).as_str()] {
            assert!(!Permissions::is_showable(name), "{name}");
        }
    }
}
