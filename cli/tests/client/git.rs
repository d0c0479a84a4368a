//! Git itself: clone, fetch and push with the client as credential helper, and the helper's protocol.

use std::fs;

use crate::support::{BINARY, Client, REPOSITORY, World, in_seconds};

/// Git in the environment of the world. It must never ask a person.
fn git(world: &World, args: &[&str]) -> Client {
    world
        .client(&[])
        .instead("git", args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .folder(world.home.path())
}

/// A helper that keeps what it is given, as a keychain does, and answers with it.
fn install_keychain(world: &World, stored: Option<&str>) {
    let home = world.home.path();
    let helper = home.join("keychain");
    let script = "#!/bin/sh\necho \"$1\" >> \"$HOME/keychain-calls\"\nif test \"$1\" = get && test -f \"$HOME/keychain-password\"; then\n  \
                  echo username=keychain; echo \"password=$(cat \"$HOME/keychain-password\")\"\nelse\n  cat >> \"$HOME/keychain-stored\"\nfi\n";
    fs::write(&helper, script).unwrap();
    Client::program("chmod")
        .args(&["755", helper.to_str().unwrap()])
        .stdout();
    if let Some(password) = stored {
        fs::write(home.join("keychain-password"), password).unwrap();
    }
    git(
        world,
        &[
            "config",
            "--global",
            "credential.helper",
            helper.to_str().unwrap(),
        ],
    )
    .stdout();
}

fn keychain_calls(world: &World) -> String {
    fs::read_to_string(world.home.path().join("keychain-calls")).unwrap_or_default()
}

#[test]
fn exec_clones_both_forms_of_the_url() {
    let world = World::new();
    for (form, folder) in [("", "a"), (".git", "b")] {
        let url = world.git.url(&format!("{REPOSITORY}{form}"));
        let finished = world
            .client(&["exec", "--", "git", "clone", "-q", &url, folder])
            .env("GIT_TERMINAL_PROMPT", "0")
            .folder(world.home.path())
            .run();
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{form}");
        let readme = fs::read_to_string(world.home.path().join(folder).join("README.md")).unwrap();
        assert_eq!(readme, "# octo-org/octo-repo\n");
        let config =
            fs::read_to_string(world.home.path().join(folder).join(".git/config")).unwrap();
        assert!(
            !config.contains("ghs_") && !config.contains("credential"),
            "{config}"
        );
    }
    assert_eq!(world.minted(), 1);
}

#[test]
fn without_the_client_nothing_can_be_cloned() {
    let world = World::new();
    let finished = git(&world, &["clone", "-q", &world.git.url(REPOSITORY), "a"]).run();
    assert_ne!(finished.code, 0);
}

#[test]
fn push_is_refused_to_a_token_that_only_reads() {
    let world = World::new();
    let script = "git clone -q $URL a && cd a && git -c user.name=o -c user.email=o@example.com commit -q --allow-empty -m x && git push -q";
    let push = |world: &World| {
        world
            .client(&["exec", "--", "sh", "-c", script])
            .env("URL", world.git.url(REPOSITORY))
            .env("GIT_TERMINAL_PROMPT", "0")
            .folder(world.home.path())
            .run()
    };
    let refused = push(&world);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("403") || refused.stderr.contains("not granted"),
        "{refused:?}"
    );
    let writable = World::with(|scenario| scenario.permissions(&[("contents", "write")]));
    assert_eq!(push(&writable).code, 0);
}

#[test]
fn setup_git_makes_plain_git_work() {
    let world = World::new();
    world.client(&["setup-git", REPOSITORY]).stdout();
    for (form, folder) in [("", "a"), (".git", "b"), ("/", "c")] {
        let url = world.git.url(&format!("{REPOSITORY}{form}"));
        git(&world, &["clone", "-q", &url, folder]).stdout();
    }
    world.commit("second");
    git(&world, &["-C", "a", "pull", "-q"]).stdout();
    let readme = fs::read_to_string(world.home.path().join("a/README.md")).unwrap();
    assert_eq!(readme, "second");
    assert_eq!(world.minted(), 1);
}

#[test]
fn inherited_keychain_is_never_used_for_the_repository() {
    for configured in [true, false] {
        let world = World::new();
        install_keychain(&world, Some("an old token"));
        let url = world.git.url(REPOSITORY);
        if configured {
            world.client(&["setup-git", REPOSITORY]).stdout();
            git(&world, &["clone", "-q", &url, "a"]).stdout();
        } else {
            world
                .client(&["exec", "--", "git", "clone", "-q", &url, "a"])
                .env("GIT_TERMINAL_PROMPT", "0")
                .folder(world.home.path())
                .stdout();
        }
        assert_eq!(keychain_calls(&world), "", "neither get nor store");
        // Other repositories keep their helpers.
        let other = world.git.url("octo-org/other");
        let request = format!("url={other}\n\n");
        let filled = git(&world, &["credential", "fill"]).stdin(request).stdout();
        assert!(filled.contains("username=keychain"), "{filled}");
    }
}

#[test]
fn expired_and_revoked_tokens_are_replaced() {
    let world = World::new();
    world.client(&["setup-git", REPOSITORY]).stdout();
    let url = world.git.url(REPOSITORY);
    git(&world, &["clone", "-q", &url, "a"]).stdout();
    // Expired: the client mints another before git sees it.
    world.age_cached_token(&in_seconds(-60));
    git(&world, &["-C", "a", "fetch", "-q"]).stdout();
    assert_eq!(world.minted(), 2);
    // Revoked: GitHub answers 401, git erases the token, and the next try gets another.
    world.revoke_all();
    let finished = git(&world, &["-C", "a", "fetch", "-q"]).run();
    assert_ne!(finished.code, 0);
    git(&world, &["-C", "a", "fetch", "-q"]).stdout();
    assert_eq!(world.minted(), 3);
}

#[test]
fn a_broker_that_refuses_stops_git_without_a_prompt() {
    let world = World::with(|scenario| {
        scenario.github(|github| github.installation_mut().suspended = true)
    });
    world.client(&["setup-git", REPOSITORY]).stdout();
    let finished = git(&world, &["clone", "-q", &world.git.url(REPOSITORY), "a"])
        .without("GIT_TERMINAL_PROMPT")
        .run();
    assert_ne!(finished.code, 0);
    assert!(
        finished.stderr.contains("InstallationSuspended: "),
        "{finished:?}"
    );
    assert!(finished.stderr.contains("quit"), "{finished:?}");
}

#[test]
fn lfs_paths_below_the_repository_match() {
    let world = World::new();
    let get = |path: &str| {
        let request = format!("protocol=http\nhost={}\npath={path}\n\n", world.git.host());
        world
            .client(&["git-credential", "get"])
            .stdin(request)
            .stdout()
    };
    assert!(
        get("octo-org/octo-repo.git/info/lfs/objects/batch")
            .starts_with("username=x-access-token\n")
    );
    assert!(get("Octo-Org/OCTO-repo").starts_with("username=x-access-token\n"));
    for path in [
        "octo-org/octo-repo2",
        "octo-org/other-repo",
        "octo-org",
        "../octo-org/octo-repo",
    ] {
        assert_eq!(get(path), "", "{path}");
    }
}

#[test]
fn get_answers_user_token_and_expiry() {
    let world = World::new();
    let request = format!("protocol=http\nhost={}\n", world.git.host());
    let answer = world
        .client(&["git-credential", "get"])
        .stdin(request)
        .stdout();
    let token = world.sandbox().github().tokens.last().unwrap().clone();
    assert_eq!(
        answer,
        format!(
            "username=x-access-token\npassword={}\npassword_expiry_utc={}\n",
            token.value, token.expires_at
        )
    );
}

#[test]
fn get_declines_another_protocol_or_host_without_a_request() {
    let world = World::new();
    let host = world.git.host();
    for request in [
        format!("protocol=https\nhost={host}\n\n"),
        "protocol=http\nhost=127.0.0.1\n\n".to_owned(),
        "protocol=https\nhost=github.com\n\n".to_owned(),
        "protocol=https\n\n".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            world
                .client(&["git-credential", "get"])
                .stdin(&request)
                .stdout(),
            "",
            "{request:?}"
        );
    }
    // Without TLS, only loopback gets a token.
    let plain = world.client(&["git-credential", "get", "--github-host", "github.com"]);
    assert_eq!(
        plain.stdin("protocol=http\nhost=github.com\n\n").stdout(),
        ""
    );
    assert_eq!(world.minted(), 0);
}

#[test]
fn control_characters_are_rejected() {
    let world = World::new();
    let host = world.git.host();
    for value in ["a\rb", "a\0b", "\x1b[31m", "\x7f"] {
        let request = format!("protocol=http\nhost={host}\npath={value}\n\n");
        let finished = world
            .client(&["git-credential", "get"])
            .stdin(request)
            .run();
        assert_eq!(
            (finished.code, finished.stdout.as_str()),
            (1, "quit=1\n"),
            "{value:?}"
        );
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    }
    assert_eq!(world.minted(), 0);
}

#[test]
fn wrong_options_stop_git_too() {
    let world = World::new();
    let client = world
        .client(&["git-credential", "get"])
        .env("GH_HOST", "a b");
    let finished = client.stdin("protocol=https\nhost=github.com\n\n").run();
    assert_eq!((finished.code, finished.stdout.as_str()), (2, "quit=1\n"));
    assert!(
        finished.stderr.contains("is not a host name"),
        "{finished:?}"
    );
}

#[test]
fn options_that_cannot_be_read_stop_git_with_one_line() {
    let wrong_number = Client::new(&["git-credential", "--min-ttl", "abc", "get"]);
    let mut not_text = Client::new(&["git-credential", "get"]);
    let name = std::os::unix::ffi::OsStrExt::from_bytes(b"broker-\xff");
    let name: &std::ffi::OsStr = name;
    not_text.command.env("GITHUB_TOKEN_BROKER_FUNCTION", name);
    for client in [wrong_number, not_text] {
        let finished = client.stdin("protocol=https\nhost=github.com\n\n").run();
        assert_eq!((finished.code, finished.stdout.as_str()), (2, "quit=1\n"));
        let line = finished.stderr;
        assert!(line.starts_with("github-token-broker: invalid "), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn a_failure_answers_quit_and_one_line() {
    let world = World::with(|scenario| {
        scenario.github(|github| github.installation_mut().suspended = true)
    });
    let finished = world
        .client(&["git-credential", "get"])
        .stdin(format!("protocol=http\nhost={}\n\n", world.git.host()))
        .run();
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "quit=1\n"));
    assert!(
        finished.stderr.starts_with("InstallationSuspended: ")
            && finished.stderr.lines().count() == 1,
        "{finished:?}"
    );
}

#[test]
fn erase_forgets_the_cached_token_and_sends_nothing() {
    let world = World::new();
    let token = world.client(&["token"]).stdout();
    let host = world.git.host();
    let erase = |rest: &str| {
        let request = format!("protocol=http\nhost={host}\n{rest}\n");
        assert_eq!(
            world
                .client(&["git-credential", "erase"])
                .stdin(request)
                .stdout(),
            ""
        );
    };
    erase("password=another\n");
    erase("path=octo-org/another\n");
    assert_eq!(
        world
            .client(&["git-credential", "erase"])
            .stdin("protocol=https\nhost=github.com\n\n")
            .stdout(),
        ""
    );
    assert_eq!(world.client(&["token"]).stdout(), token);
    erase(&format!(
        "path=octo-org/octo-repo.git\nusername=x-access-token\npassword={token}"
    ));
    assert_eq!(world.github_requests().len(), 0, "no request to GitHub");
    let second = world.client(&["token"]).stdout();
    assert_ne!(second, token);
    erase("");
    assert_ne!(world.client(&["token"]).stdout(), second);
}

#[test]
fn other_operations_are_ignored() {
    let world = World::new();
    let request = format!(
        "protocol=http\nhost={}\nusername=x\npassword=y\n\n",
        world.git.host()
    );
    for operation in ["store", "approve", "some-later-operation"] {
        assert_eq!(
            world
                .client(&["git-credential", operation])
                .stdin(&request)
                .stdout(),
            ""
        );
    }
    assert_eq!(
        world.client(&["git-credential", "capability"]).stdout(),
        "version 0\n"
    );
    assert_eq!(world.minted(), 0);
}

#[test]
fn the_helpers_name_stands_for_the_subcommand() {
    let world = World::new();
    let folder = world.home.path().join("bin");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(BINARY, folder.join("git-credential-github-token-broker")).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let url = world.git.url(REPOSITORY);
    let helper = "credential.helper=github-token-broker --min-ttl 1m";
    git(&world, &["-c", helper, "clone", "-q", &url, "a"])
        .env("PATH", path)
        .stdout();
    assert_eq!(world.minted(), 1);
}

#[test]
fn submodules_on_another_host_keep_their_helpers() {
    let (world, other) = (World::new(), World::new());
    let password = other.client(&["token"]).stdout();
    install_keychain(&world, Some(password.trim()));
    let script = "git clone -q $URL a && cd a && git clone -q $OTHER b";
    world
        .client(&["exec", "--", "sh", "-c", script])
        .env("URL", world.git.url(REPOSITORY))
        .env("OTHER", other.git.url(REPOSITORY))
        .env("GIT_TERMINAL_PROMPT", "0")
        .folder(world.home.path())
        .stdout();
    assert!(keychain_calls(&world).starts_with("get\n"));
}
