//! A repository's `OWNER/REPO`. Names ignore case, as on GitHub.

/// A repository on one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// Parses `OWNER/REPO`.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        (is_name(owner) && is_name(name)).then(|| Self(text.to_owned()))
    }

    /// `OWNER/REPO`, spelled as the function spells it.
    pub fn full_name(&self) -> &str {
        &self.0
    }

    /// Whether a URL's path is in this repository: `OWNER/REPO`, `OWNER/REPO.git`, or a path below one of them, as for LFS.
    pub fn contains(&self, path: &str) -> bool {
        let path = path.strip_prefix('/').unwrap_or(path).to_ascii_lowercase();
        let Some(rest) = path.strip_prefix(&self.0.to_ascii_lowercase()) else {
            return false;
        };
        let rest = rest.strip_prefix(".git").unwrap_or(rest);
        rest.is_empty() || rest.starts_with('/')
    }
}

/// What GitHub allows in the name of an owner or a repository.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.chars().all(allowed) && text != "." && text != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_the_repository_match() {
        let repository = Repository::parse("Octo-Org/octo-repo").unwrap();
        for path in [
            "octo-org/octo-repo",
            "Octo-Org/Octo-Repo.git",
            "/octo-org/octo-repo.git/",
            "octo-org/octo-repo.git/info/lfs/objects/batch",
        ] {
            assert!(repository.contains(path), "{path}");
        }
        for path in [
            "",
            "octo-org",
            "octo-org/octo-repo2",
            "octo-org/octo-repo.github",
            "octo-org/octo-repo.git.git",
            "other/octo-org/octo-repo",
        ] {
            assert!(!repository.contains(path), "{path}");
        }
    }

    #[test]
    fn only_owner_and_name_are_a_repository() {
        for text in [
            "",
            "octo-org",
            "a/b/c",
            "a/",
            "/b",
            "a/..",
            "a b/c",
            "a/b\n",
            "https://github.com/a/b",
        ] {
            assert_eq!(Repository::parse(text), None, "{text:?}");
        }
    }
}
