//! The folder of the cache, and the files in it: found, created, and rejected if another user could read or replace them.
//!
//! `$XDG_RUNTIME_DIR/github-token-broker` if there is one: it is in memory, and gone after logout. Otherwise the platform's
//! cache folder. On Windows the folder is in the user's profile, whose access control list every file in it inherits. The
//! client does not check that list: the standard library cannot read it, and no maintained crate reads it with a safe API.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::CacheError;
use crate::output::Diagnostics;

const NAME: &str = "github-token-broker";

/// A folder that only this user can read and write.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Finds the folder, and creates it if necessary. `None` if there can be no cache.
    ///
    /// # Errors
    /// The folder exists, and is not safe.
    pub fn open(diagnostics: Diagnostics) -> Result<Option<Self>, CacheError> {
        let Some(parent) = parent(|name| env::var_os(name).map(PathBuf::from)) else {
            diagnostics.detail("no cache: neither XDG_RUNTIME_DIR nor a home folder is known");
            return Ok(None);
        };
        let path = parent.join(NAME);
        if let Err(error) = create(&path) {
            diagnostics.detail(format!(
                "no cache: cannot create {}: {error}",
                path.display()
            ));
            return Ok(None);
        }
        let metadata = fs::symlink_metadata(&path).map_err(CacheError::io("inspect", &path))?;
        if metadata.is_symlink() || !metadata.is_dir() {
            return Err(refused(
                &path,
                "is a symbolic link or a file, not a folder",
                "Remove it",
            ));
        }
        check_owner_and_mode(&path, &metadata)?;
        Ok(Some(Self(path)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens a file to read it. `None` if there is none.
    ///
    /// # Errors
    /// It is not a regular file of this user, or cannot be opened.
    pub fn open_file(&self, path: &Path) -> Result<Option<File>, CacheError> {
        let mut options = OpenOptions::new();
        options.read(true);
        match open(options, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => checked(path, opened).map(Some),
        }
    }

    /// Opens a file to write it, and creates it if necessary.
    ///
    /// # Errors
    /// It is not a regular file of this user, or cannot be created.
    pub fn create_file(&self, path: &Path) -> Result<File, CacheError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        checked(path, open(options, path))
    }
}

fn checked(path: &Path, opened: io::Result<File>) -> Result<File, CacheError> {
    // A symbolic link is not followed: opening it fails, with a different error on each platform.
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(refused(path, "is a symbolic link", "Remove it"));
    }
    let file = opened.map_err(CacheError::io("open", path))?;
    let metadata = file.metadata().map_err(CacheError::io("inspect", path))?;
    if !metadata.is_file() {
        return Err(refused(path, "is not a regular file", "Remove it"));
    }
    check_owner_and_mode(path, &metadata)?;
    check_links(path, &metadata)?;
    Ok(file)
}

fn refused(path: &Path, why: &'static str, remedy: &'static str) -> CacheError {
    CacheError::Unsafe {
        path: path.to_owned(),
        why,
        remedy,
    }
}

/// The folder above ours.
fn parent(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // A relative path in these variables has to be ignored, says the XDG base directory specification.
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    if let Some(runtime) = absolute("XDG_RUNTIME_DIR").filter(|folder| is_own(folder)) {
        return Some(runtime);
    }
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    let home = || absolute("HOME");
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library").join("Caches"));
    }
    absolute("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")))
}

/// `sudo` and `su` can keep the variable of the user before: that folder is not for this user.
#[cfg(unix)]
fn is_own(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // A folder that does not exist cannot be created either, but the reason belongs in --verbose.
    fs::metadata(folder).map_or(true, |metadata| {
        metadata.uid() == rustix::process::geteuid().as_raw()
    })
}

/// The variable is not one of Windows.
#[cfg(not(unix))]
fn is_own(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(()),
        Err(_) => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path),
    }
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn open(mut options: OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A named pipe in the file's place must not block.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(options: OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

#[cfg(unix)]
fn check_owner_and_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    use std::os::unix::fs::MetadataExt as _;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(refused(path, "belongs to another user", "Remove it"));
    }
    if metadata.mode() & 0o077 != 0 {
        let remedy = if metadata.is_dir() {
            "Run `chmod 700` on it"
        } else {
            "Remove it"
        };
        return Err(refused(path, "can be accessed by other users", remedy));
    }
    Ok(())
}

#[cfg(unix)]
fn check_links(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    use std::os::unix::fs::MetadataExt as _;
    // 0 links: another process has just replaced it.
    if metadata.nlink() > 1 {
        return Err(refused(
            path,
            "has a second name (a hard link)",
            "Remove it",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner_and_mode(_: &Path, _: &fs::Metadata) -> Result<(), CacheError> {
    Ok(())
}

#[cfg(not(unix))]
fn check_links(_: &Path, _: &fs::Metadata) -> Result<(), CacheError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_runtime_folder_is_preferred_and_relative_paths_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().to_owned();
        let with = |set: Vec<(&'static str, PathBuf)>| {
            parent(move |name| {
                set.iter()
                    .find(|(set, _)| *set == name)
                    .map(|(_, path)| path.clone())
            })
        };
        let home = PathBuf::from("/home/octo");
        assert_eq!(with(vec![]), None);
        assert_eq!(
            with(vec![("HOME", home.clone())]),
            Some(home.join(".cache"))
        );
        assert_eq!(
            with(vec![
                ("XDG_RUNTIME_DIR", own.clone()),
                ("HOME", home.clone())
            ]),
            Some(own)
        );
        assert_eq!(
            with(vec![
                ("XDG_RUNTIME_DIR", "run".into()),
                ("XDG_CACHE_HOME", "c".into()),
                ("HOME", home.clone())
            ]),
            Some(home.join(".cache"))
        );
        assert_eq!(
            with(vec![("XDG_CACHE_HOME", "/c".into()), ("HOME", home)]),
            Some("/c".into())
        );
    }
}
