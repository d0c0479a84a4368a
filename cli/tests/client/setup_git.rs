//! `setup-git`: what it writes, where, and that `--remove` leaves no trace.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::PathBuf,
};

use crate::support::{BINARY, Client, REPOSITORY, World};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn setup(&self, args: &[&str]) -> Client {
        let args: Vec<_> = ["setup-git"].iter().chain(args).copied().collect();
        Client::new(&args).home(self.0.path()).folder(self.0.path())
    }

    /// The values that git sees for a name.
    fn values(&self, name: &str) -> Vec<String> {
        let git = Client::program("git")
            .home(self.0.path())
            .folder(self.0.path());
        let finished = git.args(&["config", "--get-all", name]).run();
        finished.stdout.lines().map(str::to_owned).collect()
    }

    fn helper(&self) -> Vec<String> {
        self.values("credential.https://github.com/octo-org/octo-repo.helper")
    }
}

#[test]
fn both_urls_get_the_helper_after_an_empty_one() {
    let home = Home::new();
    home.setup(&[REPOSITORY]).stdout();
    for url in [
        "https://github.com/octo-org/octo-repo",
        "https://github.com/octo-org/octo-repo.git",
    ] {
        let helper = format!("!{BINARY} --github-host github.com git-credential");
        assert_eq!(
            home.values(&format!("credential.{url}.helper")),
            ["", helper.as_str()]
        );
        assert_eq!(
            home.values(&format!("credential.{url}.useHttpPath")),
            ["true"]
        );
    }
}

#[test]
fn options_and_host_are_stored_and_quoted() {
    let home = Home::new();
    let folder = home.path("it's a folder");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("github-token-broker");
    fs::copy(BINARY, &program).unwrap();
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:broker";
    let mut client = Client::program(&program)
        .args(&[
            "setup-git",
            "--function",
            &format!("{arn}:$LATEST"),
            "--profile",
            "my profile",
            "--min-ttl",
            "10m",
        ])
        .args(&[
            "--role-arn",
            "arn:aws:iam::123456789012:role/r",
            "--region",
            "eu-west-1",
            "--no-cache",
            "--timeout",
            "30s",
        ])
        .args(&["o/r"])
        .env("GH_HOST", "GHE.example.com");
    client = client.home(home.0.path());
    client.stdout();
    let helper = home.values("credential.https://ghe.example.com/o/r.helper");
    let quoted = program.to_str().unwrap().replace('\'', r"'\''");
    assert_eq!(
        helper[1],
        format!(
            "!'{quoted}' --function '{arn}:$LATEST' --region eu-west-1 --profile 'my profile' --role-arn \
             arn:aws:iam::123456789012:role/r --github-host ghe.example.com --min-ttl 10m --timeout 30s --no-cache git-credential"
        )
    );
    // The shell that git starts finds the program: another host is declined, silently.
    let url = "url=https://ghe.example.com/o/r\n\n";
    let git = Client::program("git")
        .home(home.0.path())
        .args(&["credential", "fill"])
        .env("GIT_TERMINAL_PROMPT", "0");
    let finished = git
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .stdin(url)
        .run();
    assert!(
        finished.stderr.contains("github-token-broker: "),
        "{finished:?}"
    );
}

#[test]
fn twice_changes_nothing_and_other_options_replace() {
    let home = Home::new();
    fs::write(home.path(".gitconfig"), "[user]\n\tname = octo\n").unwrap();
    home.setup(&[REPOSITORY]).stdout();
    let first = fs::read(home.path(".gitconfig")).unwrap();
    let inode = fs::metadata(home.path(".gitconfig")).unwrap().ino();
    home.setup(&[REPOSITORY]).stdout();
    assert_eq!(fs::read(home.path(".gitconfig")).unwrap(), first);
    assert_eq!(
        fs::metadata(home.path(".gitconfig")).unwrap().ino(),
        inode,
        "it is not even rewritten"
    );
    home.setup(&["--function", "other", "Octo-Org/Octo-Repo.git"])
        .stdout();
    let text = fs::read_to_string(home.path(".gitconfig")).unwrap();
    assert_eq!(text.matches("helper =\n").count(), 2);
    assert!(
        text.starts_with("[user]\n\tname = octo\n") && text.contains("--function other"),
        "{text}"
    );
    assert_eq!(
        home.helper(),
        Vec::<String>::new(),
        "the spelling of the URL is the user's"
    );
}

#[test]
fn remove_restores_the_file_byte_for_byte() {
    for before in [
        "",
        "[user]\n\tname = octo\n",
        "[user]\n\tname = octo",
        "# no section\r\n[user]\r\n\tname = octo\r\n",
        "[credential]\n\thelper = store\n\n\n",
    ] {
        let home = Home::new();
        let file = home.path(".gitconfig");
        fs::write(&file, before).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        home.setup(&[REPOSITORY]).stdout();
        home.setup(&["o/second"]).stdout();
        assert_eq!(home.helper().len(), 2);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        home.setup(&["--remove", "o/second"]).stdout();
        home.setup(&["--remove", "OCTO-ORG/octo-repo"]).stdout();
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        home.setup(&["--remove", REPOSITORY]).stdout();
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            before,
            "nothing to remove changes nothing"
        );
    }
}

/// Git reads bytes: an old file can be in Latin-1.
#[test]
fn other_encodings_stay_as_they_are() {
    let home = Home::new();
    let old = b"[user]\n\tname = J\xf6rg\n";
    fs::write(home.path(".gitconfig"), old).unwrap();
    home.setup(&[REPOSITORY]).stdout();
    assert_eq!(home.helper().len(), 2);
    assert!(fs::read(home.path(".gitconfig")).unwrap().starts_with(old));
    home.setup(&[REPOSITORY, "--remove"]).stdout();
    assert_eq!(fs::read(home.path(".gitconfig")).unwrap(), old);
}

#[test]
fn blocks_are_removed_in_any_order() {
    let home = Home::new();
    let file = home.path(".gitconfig");
    fs::write(&file, "[user]\n\tname = octo").unwrap();
    home.setup(&["o/first"]).stdout();
    home.setup(&["o/second"]).stdout();
    home.setup(&["--remove", "o/first"]).stdout();
    assert_eq!(
        home.values("credential.https://github.com/o/second.helper")
            .len(),
        2
    );
    assert_eq!(home.values("user.name"), ["octo"]);
    home.setup(&["--remove", "o/second"]).stdout();
    assert_eq!(home.values("user.name"), ["octo"]);
}

#[test]
fn a_file_that_was_not_there_is_gone_again() {
    let home = Home::new();
    home.setup(&["--remove", REPOSITORY]).stdout();
    assert!(!home.path(".gitconfig").exists());
    home.setup(&[REPOSITORY]).stdout();
    home.setup(&["--remove", REPOSITORY]).stdout();
    assert!(!home.path(".gitconfig").exists());
    // What the user added meanwhile stays.
    home.setup(&[REPOSITORY]).stdout();
    Client::program("git")
        .home(home.0.path())
        .args(&["config", "--global", "user.name", "octo"])
        .stdout();
    home.setup(&["--remove", REPOSITORY]).stdout();
    assert_eq!(home.values("user.name"), ["octo"]);
}

#[test]
fn local_writes_the_repositorys_own_configuration() {
    let home = Home::new();
    let stderr = home.setup(&["--local", REPOSITORY]).fails(1);
    assert!(stderr.contains("not in a git repository"), "{stderr}");
    Client::program("git")
        .home(home.0.path())
        .folder(home.0.path())
        .args(&["init", "-q", "work"])
        .stdout();
    let before = fs::read(home.path("work/.git/config")).unwrap();
    fs::create_dir(home.path("work/below")).unwrap();
    home.setup(&["--local", REPOSITORY])
        .folder(&home.path("work/below"))
        .stdout();
    assert!(!home.path(".gitconfig").exists());
    assert_ne!(fs::read(home.path("work/.git/config")).unwrap(), before);
    home.setup(&["--local", "--remove", REPOSITORY])
        .folder(&home.path("work"))
        .stdout();
    assert_eq!(fs::read(home.path("work/.git/config")).unwrap(), before);
    home.setup(&["--local", "--global", REPOSITORY]).fails(2);
}

#[test]
fn xdg_file_and_symbolic_links_are_honored() {
    let home = Home::new();
    fs::create_dir_all(home.path(".config/git")).unwrap();
    fs::create_dir(home.path("dotfiles")).unwrap();
    fs::write(home.path("dotfiles/config"), "[user]\n\tname = octo\n").unwrap();
    symlink(
        home.path("dotfiles/config"),
        home.path(".config/git/config"),
    )
    .unwrap();
    home.setup(&[REPOSITORY]).stdout();
    assert!(!home.path(".gitconfig").exists());
    assert!(
        fs::symlink_metadata(home.path(".config/git/config"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(home.helper().len(), 2);
    home.setup(&["--remove", REPOSITORY]).stdout();
    assert_eq!(
        fs::read_to_string(home.path("dotfiles/config")).unwrap(),
        "[user]\n\tname = octo\n"
    );
}

#[test]
fn a_lock_of_git_is_respected() {
    let home = Home::new();
    fs::write(home.path(".gitconfig"), "").unwrap();
    fs::write(home.path(".gitconfig.lock"), "").unwrap();
    let stderr = home.setup(&[REPOSITORY]).fails(1);
    assert!(stderr.contains(".gitconfig.lock"), "{stderr}");
    assert_eq!(fs::read(home.path(".gitconfig")).unwrap(), b"");
}

#[test]
fn wrong_repository_is_a_usage_error() {
    let home = Home::new();
    for name in [
        "octo-repo",
        "a/b/c",
        "https://github.com/a/b",
        "a/..",
        "a/b]\n[core",
    ] {
        let stderr = home.setup(&[name]).fails(2);
        assert!(stderr.contains("OWNER/REPO"), "{stderr}");
    }
    assert!(!home.path(".gitconfig").exists());
}

#[test]
fn it_works_with_the_sandboxs_host() {
    let world = World::new();
    world.client(&["setup-git", REPOSITORY]).stdout();
    let config = fs::read_to_string(world.home.path().join(".gitconfig")).unwrap();
    assert!(
        config.contains(&format!(
            "[credential \"http://{}/octo-org/octo-repo\"]",
            world.git.host()
        )),
        "{config}"
    );
}
