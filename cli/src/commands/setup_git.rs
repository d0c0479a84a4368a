//! `setup-git`: makes git call this program for one repository.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{
    arguments::{Options, SetupGit},
    error::Error,
    function,
    git::{
        config::{self, Scope},
        repository::Repository,
    },
    settings::Settings,
};

pub(super) fn run(
    settings: &Settings,
    options: &Options,
    arguments: &SetupGit,
) -> Result<(), Error> {
    let name = arguments
        .repository
        .strip_suffix(".git")
        .unwrap_or(&arguments.repository);
    let repository = Repository::parse(name).ok_or_else(|| {
        Error::Usage(format!(
            "{} is not of the form OWNER/REPO",
            crate::output::escape(&arguments.repository)
        ))
    })?;
    let scope = if arguments.local {
        Scope::Local
    } else {
        Scope::Global
    };
    let file = if arguments.remove {
        config::remove(scope, &settings.host, &repository)?
    } else {
        let program = own_path().map_err(|source| Error::Stdio {
            what: "cannot find this program's own path",
            source,
        })?;
        config::write(
            scope,
            &settings.host,
            &repository,
            &helper(&program, settings, options),
        )?
    };
    settings
        .diagnostics
        .detail(format!("git's configuration is in {}", file.display()));
    Ok(())
}

/// The line that git runs in a shell, with the options of this call.
fn helper(program: &Path, settings: &Settings, options: &Options) -> String {
    let mut words = vec![program.to_string_lossy().into_owned()];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    let function = settings.function.to_string();
    if function != function::DEFAULT {
        option("--function", &function);
    }
    for (name, value) in [
        ("--region", &settings.region),
        ("--profile", &settings.profile),
        ("--role-arn", &settings.role_arn),
    ] {
        if let Some(value) = value {
            option(name, value);
        }
    }
    // Always: GH_HOST might be another one when git runs.
    option("--github-host", settings.host.name());
    let defaults = <Options as clap::Args>::augment_args(clap::Command::new("defaults"));
    for (name, value) in [("min_ttl", options.min_ttl), ("timeout", options.timeout)] {
        let default = defaults
            .get_arguments()
            .find(|argument| argument.get_id() == name);
        let default = default.and_then(|argument| argument.get_default_values().first());
        let default = default
            .and_then(|text| text.to_str())
            .and_then(|text| humantime::parse_duration(text).ok());
        if default != Some(value) {
            let value = humantime::format_duration(value).to_string();
            option(
                &format!("--{}", name.replace('_', "-")),
                &value.replace(' ', ""),
            );
        }
    }
    if options.no_cache {
        words.push("--no-cache".to_owned());
    }
    words.push("git-credential".to_owned());
    let words: Vec<_> = words.iter().map(|word| shell_quoted(word)).collect();
    format!("!{}", words.join(" "))
}

/// A word of a POSIX shell.
fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The path under which this program was called: a package manager's link survives an upgrade, its target might not.
fn own_path() -> std::io::Result<PathBuf> {
    let program = env::current_exe()?;
    let called_as = env::args_os().next().unwrap_or_default();
    let is_this = |path: &PathBuf| {
        path.is_absolute() && path.canonicalize().ok() == program.canonicalize().ok()
    };
    let called_as = if Path::new(&called_as).components().count() > 1 {
        std::path::absolute(&called_as).ok()
    } else {
        on_the_path(&called_as)
    };
    Ok(called_as.filter(is_this).unwrap_or(program))
}

fn on_the_path(name: &OsStr) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(shell_quoted("/usr/bin/broker"), "/usr/bin/broker");
        assert_eq!(shell_quoted("/my folder/it's"), r"'/my folder/it'\''s'");
        assert_eq!(shell_quoted("f:$LATEST"), "'f:$LATEST'");
        assert_eq!(shell_quoted(""), "''");
    }
}
