//! The entries that make git call a helper for one repository, in git's configuration file or in the environment.
//!
//! A block between two marker lines holds what `setup-git` writes, so that `--remove` restores the file byte for byte. Git
//! itself reorders nothing and keeps comments.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{git::repository::Repository, github::host::Host};

/// Why git's configuration was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file to write.
    #[error("no git configuration file: HOME is not set. Set HOME or GIT_CONFIG_GLOBAL")]
    NoHome,
    /// `--local` outside of a repository.
    #[error("this folder is not in a git repository. Change to one, or omit --local")]
    NoRepository,
    /// Git cannot be started.
    #[error("cannot run git: {0}. Install git, or put it on the PATH")]
    NoGit(io::Error),
    /// The file cannot be read or written.
    #[error("cannot {action} {path}: {source}. Check its permissions", path = .path.display())]
    Io {
        /// What was not possible.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another git process is writing the file.
    #[error("{path} exists: another git process is changing the configuration. Retry; if none is running, remove that file", path = .0.display())]
    Locked(PathBuf),
    /// A marker was edited.
    #[error("{path}: the block of {repository} has no end marker. Remove its lines by hand, then retry", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The block.
        repository: String,
    },
}

/// Whose configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user's.
    Global,
    /// That of the repository in the current folder.
    Local,
}

/// The settings that make git call `helper`, and no other helper, for a repository: names and values in order.
///
/// Git matches a URL's path by whole components, so that `o/r` does not cover `o/r.git`. It sends the path to the helper
/// only with `useHttpPath`.
pub fn entries(host: &Host, repository: &Repository, helper: &str) -> Vec<(String, String)> {
    let url = host.repository_url(repository.full_name());
    let of_url = |url: String| {
        [
            (format!("credential.{url}.helper"), String::new()),
            (format!("credential.{url}.helper"), helper.to_owned()),
            (format!("credential.{url}.useHttpPath"), "true".to_owned()),
        ]
    };
    of_url(url.clone())
        .into_iter()
        .chain(of_url(format!("{url}.git")))
        .collect()
}

/// Writes the entries for a repository, instead of those from an earlier run. Returns the file.
///
/// # Errors
/// The file cannot be found, read or written.
pub fn write(
    scope: Scope,
    host: &Host,
    repository: &Repository,
    helper: &str,
) -> Result<PathBuf, ConfigError> {
    change(scope, host, repository, |text, existed| {
        let block = Block::find(text, host, repository)?;
        let origin = match &block {
            Some(block) => block.origin,
            None if !existed => Origin::NewFile,
            None if text.is_empty() || text.ends_with(b"\n") => Origin::Lines,
            None => Origin::NoFinalLineBreak,
        };
        let (before, after) = block.map_or((text, &[][..]), |block| {
            (&text[..block.start], &text[block.end..])
        });
        let line_break: &[u8] = if before.is_empty() || before.ends_with(b"\n") {
            b""
        } else {
            b"\n"
        };
        let block = render(host, repository, helper, origin);
        Some(Some([before, line_break, block.as_bytes(), after].concat()))
    })
}

/// Removes the entries for a repository. Returns the file.
///
/// # Errors
/// The file cannot be found, read or written.
pub fn remove(scope: Scope, host: &Host, repository: &Repository) -> Result<PathBuf, ConfigError> {
    change(scope, host, repository, |text, existed| {
        let Some(block) = Block::find(text, host, repository)? else {
            return Some(existed.then(|| text.to_owned()));
        };
        let (mut before, after) = (&text[..block.start], &text[block.end..]);
        if block.origin == Origin::NoFinalLineBreak && after.is_empty() {
            before = before.strip_suffix(b"\n").unwrap_or(before);
        }
        let rest = [before, after].concat();
        Some((block.origin != Origin::NewFile || !rest.is_empty()).then_some(rest))
    })
}

/// What the file was like before the block was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Lines,
    NoFinalLineBreak,
    NewFile,
}

impl Origin {
    fn note(self) -> &'static str {
        match self {
            Self::Lines => "",
            Self::NoFinalLineBreak => " (the file had no final line break)",
            Self::NewFile => " (the file is new)",
        }
    }
}

/// The bytes of a block in a file.
struct Block {
    start: usize,
    end: usize,
    origin: Origin,
}

impl Block {
    /// `None` if there is a begin without an end.
    #[expect(
        clippy::option_option,
        reason = "absent and damaged are different outcomes"
    )]
    fn find(text: &[u8], host: &Host, repository: &Repository) -> Option<Option<Self>> {
        let (mut offset, mut begun) = (0, None);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let end = offset + line.len();
            let marker = line.trim_ascii_end();
            for origin in [Origin::Lines, Origin::NoFinalLineBreak, Origin::NewFile] {
                if marker.eq_ignore_ascii_case(begin_marker(host, repository, origin).as_bytes()) {
                    begun = Some((offset, origin));
                }
            }
            if let Some((start, origin)) = begun
                && marker.eq_ignore_ascii_case(end_marker(host, repository).as_bytes())
            {
                return Some(Some(Self { start, end, origin }));
            }
            offset = end;
        }
        if begun.is_some() { None } else { Some(None) }
    }
}

fn begin_marker(host: &Host, repository: &Repository, origin: Origin) -> String {
    let name = format!("{}/{}", host.name(), repository.full_name());
    format!(
        "# github-token-broker setup-git {name}: begin{}",
        origin.note()
    )
}

fn end_marker(host: &Host, repository: &Repository) -> String {
    format!(
        "# github-token-broker setup-git {}/{}: end",
        host.name(),
        repository.full_name()
    )
}

fn render(host: &Host, repository: &Repository, helper: &str, origin: Origin) -> String {
    let url = host.repository_url(repository.full_name());
    let section = |url: &str| {
        let (url, helper) = (quoted(url), quoted(helper));
        format!("[credential {url}]\n\thelper =\n\thelper = {helper}\n\tuseHttpPath = true\n")
    };
    [
        begin_marker(host, repository, origin) + "\n",
        section(&url),
        section(&format!("{url}.git")),
        end_marker(host, repository) + "\n",
    ]
    .concat()
}

/// A value in git's configuration syntax.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// Reads the file, and replaces it if it changes. Its text has no encoding: git reads bytes. `change` gets the text and whether the file exists; it returns the new
/// text or the wish to remove the file, and nothing if the block is damaged.
fn change(
    scope: Scope,
    host: &Host,
    repository: &Repository,
    change: impl FnOnce(&[u8], bool) -> Option<Option<Vec<u8>>>,
) -> Result<PathBuf, ConfigError> {
    let named = file(scope)?;
    // A symbolic link, as dotfile managers make them, stays: its target is replaced.
    let path = fs::canonicalize(&named).unwrap_or_else(|_| named.clone());
    let failed = |action| {
        let path = path.clone();
        move |source| ConfigError::Io {
            action,
            path: path.clone(),
            source,
        }
    };
    let old = match fs::read(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read")(error)),
    };
    let changed = change(old.as_deref().unwrap_or_default(), old.is_some());
    let new = changed.ok_or_else(|| ConfigError::Damaged {
        path: path.clone(),
        repository: format!("{}/{}", host.name(), repository.full_name()),
    })?;
    match new {
        new if new == old => {}
        None => fs::remove_file(&path).map_err(failed("remove"))?,
        Some(text) => replace(&path, &text, failed("write"))?,
    }
    Ok(named)
}

/// Git's own way: a lock file next to the file, then a rename.
fn replace(
    path: &Path,
    text: &[u8],
    failed: impl Fn(io::Error) -> ConfigError,
) -> Result<(), ConfigError> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ConfigError::Locked(lock));
        }
        Err(error) => return Err(failed(error)),
    };
    let written = file.write_all(text).and_then(|()| {
        if let Ok(metadata) = fs::metadata(path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&lock, path)
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&lock);
        failed(error)
    })
}

/// The file that `git config --global` or `--local` writes.
fn file(scope: Scope) -> Result<PathBuf, ConfigError> {
    if scope == Scope::Local {
        let git = Command::new("git")
            .args(["rev-parse", "--git-path", "config"])
            .output();
        let output = git.map_err(ConfigError::NoGit)?;
        let path = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        return if output.status.success() && !path.is_empty() {
            Ok(path.into())
        } else {
            Err(ConfigError::NoRepository)
        };
    }
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = variable("GIT_CONFIG_GLOBAL") {
        return Ok(path);
    }
    let home = variable("HOME").or_else(|| {
        if cfg!(windows) {
            variable("USERPROFILE")
        } else {
            None
        }
    });
    let of_user = home.as_ref().map(|home| home.join(".gitconfig"));
    let of_xdg = variable("XDG_CONFIG_HOME")
        .or_else(|| home.map(|home| home.join(".config")))
        .map(|folder| folder.join("git").join("config"));
    match (of_user, of_xdg) {
        (Some(of_user), Some(of_xdg)) if !of_user.exists() && of_xdg.exists() => Ok(of_xdg),
        (Some(of_user), _) => Ok(of_user),
        (None, Some(of_xdg)) if of_xdg.exists() => Ok(of_xdg),
        _ => Err(ConfigError::NoHome),
    }
}
