//! Tokens on disk, until they expire. [`folder`]: where, and whether it is safe. [`key`]: what selects an entry.
//!
//! Input: the settings and the environment. Output: an [`Entry`] that can be read, locked, replaced and forgotten.
//! Invariant: nothing is read from, or written to, a folder or a file that another user could have written or can read.
//! An entry is the function's response, written to a temporary file and renamed.

pub mod folder;
pub mod key;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use crate::{output::Diagnostics, response::Grant, settings::Settings};
use folder::Folder;

/// An entry is about 1 KiB. A larger file is not one.
const LARGEST_ENTRY: u64 = 64 * 1024;

/// How often a process that waits for the lock tries to get it.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// The cache cannot be used safely.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Another user could read or replace what is there.
    #[error("the cache is not safe: {path} {why}. {remedy}, or use --no-cache", path = .path.display())]
    Unsafe {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The operating system does not let the client use it.
    #[error("cannot {action} {path}: {source}. Check the folder, or use --no-cache", path = .path.display())]
    Io {
        /// What was not possible.
        action: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl CacheError {
    /// A file system that takes no new file is no reason to refuse a token.
    pub fn is_lack_of_space(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let Self::Io { source, .. } = self else {
            return false;
        };
        matches!(
            source.kind(),
            QuotaExceeded | ReadOnlyFilesystem | StorageFull
        )
    }

    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// The place of one token.
pub struct Entry {
    folder: Folder,
    name: String,
    diagnostics: Diagnostics,
}

/// The right to replace an entry. The operating system takes it back when the process ends.
pub struct Lock {
    _file: File,
}

impl Entry {
    /// The entry that the settings select. `None` with `--no-cache`, or if there can be no cache: no home folder,
    /// or a read-only file system.
    ///
    /// # Errors
    /// There is a folder, and it is not safe.
    pub fn open(settings: &Settings) -> Result<Option<Self>, CacheError> {
        let diagnostics = settings.diagnostics;
        if !settings.use_cache {
            diagnostics.detail("the cache is off");
            return Ok(None);
        }
        let Some(folder) = Folder::open(diagnostics)? else {
            return Ok(None);
        };
        let name = key::of(settings, |name| std::env::var_os(name));
        Ok(Some(Self {
            folder,
            name,
            diagnostics,
        }))
    }

    /// The cached token, of any age. Content that is not a token counts as no entry.
    ///
    /// # Errors
    /// The file is not safe, or cannot be read.
    pub fn read(&self) -> Result<Option<Grant>, CacheError> {
        let path = self.path();
        let Some(file) = self.folder.open_file(&path)? else {
            self.diagnostics
                .detail(format!("no token in the cache ({})", path.display()));
            return Ok(None);
        };
        let mut body = Zeroizing::new(Vec::with_capacity(4096));
        let read = file.take(LARGEST_ENTRY + 1).read_to_end(&mut body);
        read.map_err(CacheError::io("read", &path))?;
        let grant = Grant::parse(&body).ok();
        if grant.is_none() {
            self.diagnostics
                .detail(format!("the cache entry is damaged ({})", path.display()));
        }
        Ok(grant)
    }

    /// Waits for the right to replace the entry, up to the timeout of an invocation. `None` if that was not long enough:
    /// another process must then be stuck. Also `None` if the file system is full or read-only.
    ///
    /// # Errors
    /// The lock file is not safe, or cannot be created.
    pub fn lock(&self, patience: Duration) -> Result<Option<Lock>, CacheError> {
        let path = self.folder.path().join(format!("{}.lock", self.name));
        let file = match self.folder.create_file(&path) {
            Err(error) if error.is_lack_of_space() => {
                self.diagnostics.detail(error);
                return Ok(None);
            }
            created => created?,
        };
        let end = Instant::now().checked_add(patience);
        loop {
            match file.try_lock() {
                Ok(()) => {
                    self.remove_leftovers();
                    return Ok(Some(Lock { _file: file }));
                }
                Err(TryLockError::WouldBlock) if end.is_none_or(|end| Instant::now() < end) => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => {
                    self.diagnostics.detail(
                        "another process holds the cache lock for too long; going on without it",
                    );
                    return Ok(None);
                }
                // Some network file systems have no locks: two processes might then mint at once, and that is all.
                Err(TryLockError::Error(error)) => {
                    self.diagnostics
                        .detail(format!("cannot lock {}: {error}", path.display()));
                    return Ok(None);
                }
            }
        }
    }

    /// Replaces the entry. Readers see the old one or the new one, and never a part.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, grant: &Grant) -> Result<(), CacheError> {
        let path = self.path();
        let failed = CacheError::io("write", &path);
        let mut builder = tempfile::Builder::new();
        let temporary = builder
            .prefix(&self.temporary_prefix())
            .tempfile_in(self.folder.path());
        let written = temporary.and_then(|mut file| {
            file.write_all(grant.body().as_bytes())?;
            file.persist(&path).map_err(|error| error.error)
        });
        written.map_err(failed)?;
        self.diagnostics
            .detail(format!("the token is in the cache ({})", path.display()));
        Ok(())
    }

    /// Forgets the token.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&self) -> Result<(), CacheError> {
        let path = self.path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::io("remove", &path)(error))
            }
            _ => {
                self.diagnostics.detail(format!(
                    "the cache has forgotten the token ({})",
                    path.display()
                ));
                Ok(())
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.json", self.name))
    }

    fn temporary_prefix(&self) -> String {
        format!("{}.new-", self.name)
    }

    /// Removes what a process left that was killed while it wrote. Only the owner of the lock writes.
    fn remove_leftovers(&self) {
        let prefix = self.temporary_prefix();
        for file in fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            if file
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(&prefix))
            {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_system_that_takes_no_file_is_no_reason_to_refuse_a_token() {
        let error = |kind| CacheError::io("open", Path::new("f"))(io::Error::from(kind));
        assert!(error(io::ErrorKind::ReadOnlyFilesystem).is_lack_of_space());
        assert!(error(io::ErrorKind::StorageFull).is_lack_of_space());
        assert!(error(io::ErrorKind::QuotaExceeded).is_lack_of_space());
        assert!(!error(io::ErrorKind::PermissionDenied).is_lack_of_space());
    }
}
