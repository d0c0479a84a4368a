//! `token`, `revoke`, `whoami`: what they print, and what they change.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, mpsc},
};

use crate::support::{
    Client, REPOSITORY, World, files, in_seconds, read_until,
    server::{Response, Server},
};

#[test]
fn token_prints_the_token_and_nothing_else() {
    let world = World::new();
    let printed = world.client(&["token"]).stdout();
    assert_eq!(printed, format!("{}\n", world.newest_token()));
}

#[test]
fn token_as_json_is_the_response_of_the_function() {
    let world = World::new();
    let printed = world.client(&["token", "--json"]).stdout();
    let response: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(response["token"], world.newest_token());
    assert_eq!(
        response["repositories"],
        serde_json::json!(["octo-org/octo-repo"])
    );
    assert_eq!(
        response["permissions"],
        serde_json::json!({"contents": "read"})
    );
    assert_eq!(response.as_object().unwrap().len(), 4);
    assert!(printed.ends_with("}\n") && printed.lines().count() == 1);
    // From the cache, byte for byte.
    assert_eq!(world.client(&["token", "--json"]).stdout(), printed);
    assert_eq!(world.minted(), 1);
}

#[test]
fn function_error_is_one_unchanged_line() {
    let world = World::with(|scenario| {
        scenario.github(|github| github.installation_mut().suspended = true)
    });
    for args in [&["token"][..], &["token", "--json"], &["whoami"]] {
        let stderr = world.client(args).fails(1);
        assert!(stderr.starts_with("InstallationSuspended: "), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn no_token_appears_in_diagnostics() {
    let world = World::new();
    for args in [
        &["token", "--verbose"][..],
        &["token", "-v", "--min-ttl", "2h"],
        &["whoami", "--verbose"],
        &["revoke", "--verbose"],
    ] {
        // No library of the client writes a log either.
        let finished = world.client(args).env("RUST_LOG", "trace").run();
        assert_eq!(finished.code, 0, "{finished:?}");
        assert!(
            finished
                .stderr
                .lines()
                .all(|line| line.starts_with("github-token-broker: ")),
            "{finished:?}"
        );
        assert!(!finished.stderr.is_empty(), "{args:?}");
        for token in &world.sandbox().github().tokens {
            assert!(!finished.stderr.contains(&token.value), "{args:?}");
            // No part of it either.
            assert!(!finished.stderr.contains("ghs_"), "{args:?}");
        }
    }
}

/// The files below a folder that contain a text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files(folder) {
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).is_ok_and(|bytes| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        }) {
            found.push(path);
        }
    }
    found
}

#[test]
fn token_is_in_no_file_except_the_cache() {
    let world = World::new();
    let url = world.git.url(REPOSITORY);
    let run = |args: &[&str]| {
        world
            .client(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            .folder(world.home.path())
            .stdout()
    };
    run(&["exec", "--", "git", "clone", "-q", &url, "a"]);
    run(&["setup-git", REPOSITORY]);
    run(&["exec", "--revoke", "--", "git", "-C", "a", "fetch", "-q"]);
    run(&["whoami"]);
    assert_eq!(files_with(world.home.path(), "ghs_"), [world.cache_entry()]);
}

#[test]
#[cfg(target_os = "linux")] // It needs a terminal.
fn waiting_is_reported_on_a_terminal_only() {
    let world = World::new();
    let (answer, answered) = mpsc::channel();
    let answered = Mutex::new(answered);
    let server = Server::start(move |_| {
        let _ = answered.lock().unwrap().recv();
        Response::new(500, "").header("x-amzn-errortype", "ServiceException")
    });
    let client = || {
        world
            .client(&["token"])
            .env("AWS_ENDPOINT_URL", server.url())
    };
    let mut on_terminal = client().on_terminal("token");
    let mut child = on_terminal.command.stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = child.stdout.take().unwrap();
    let mut text = read_until(&mut printed, "Invoking github-token-broker...");
    answer.send(()).unwrap();
    printed.read_to_string(&mut text).unwrap();
    assert!(
        text.contains("\r\u{1b}[Kgithub-token-broker: Lambda cannot run"),
        "{text:?}"
    );
    child.wait().unwrap();
    answer.send(()).unwrap();
    let stderr = client().fails(1);
    assert!(!stderr.contains("Invoking"), "{stderr}");
}

#[test]
fn durations_have_units() {
    let world = World::new();
    world.client(&["token"]).stdout();
    for duration in ["30s", "9m", "50m30s", "0s"] {
        world.client(&["token", "--min-ttl", duration]).stdout();
    }
    assert_eq!(world.minted(), 1);
    world.client(&["token", "--min-ttl", "1h30m"]).stdout();
    assert_eq!(world.minted(), 2);
}

#[test]
fn whoami_prints_what_the_token_is_good_for() {
    let world = World::new();
    let printed = world.client(&["whoami"]).stdout();
    let token = world.newest_token();
    for part in [
        "sandbox-app[bot]",
        "octo-org/octo-repo",
        "contents=read",
        "(in 59 min)",
        "token hash:  ",
    ] {
        assert!(
            printed.contains(part) || part.contains("59") && printed.contains("(in 60 min)"),
            "{printed}"
        );
    }
    assert!(!printed.contains(&token) && !printed.contains("ghs_"));

    let json: serde_json::Value =
        serde_json::from_str(&world.client(&["whoami", "--json"]).stdout()).unwrap();
    assert_eq!(json["login"], "sandbox-app[bot]");
    assert_eq!(json["repository"], "octo-org/octo-repo");
    let output = Client::program("sh")
        .args(&["-c", "openssl dgst -sha256 -binary | base64"])
        .stdin(&token)
        .stdout();
    assert_eq!(json["token_hash"], output.trim());
    assert_eq!(world.minted(), 1);
}

#[test]
fn whoami_reports_a_revoked_token() {
    let world = World::new();
    world.client(&["token"]).stdout();
    world.revoke_all();
    let stderr = world.client(&["whoami"]).fails(1);
    assert!(
        stderr.contains("GitHub no longer accepts the token"),
        "{stderr}"
    );
}

#[test]
fn revoke_ends_the_cached_token_and_forgets_it() {
    let world = World::new();
    let first = world.client(&["token"]).stdout();
    assert_eq!(world.client(&["revoke"]).stdout(), "");
    assert!(!world.is_alive(first.trim()));
    let second = world.client(&["token"]).stdout();
    assert_ne!(first, second);
    assert!(world.is_alive(second.trim()));
}

#[test]
fn revoke_with_nothing_cached_sends_nothing() {
    let world = World::new();
    assert_eq!(world.client(&["revoke"]).stdout(), "");
    assert_eq!(world.github_requests().len(), 0);
    assert_eq!(world.minted(), 0);
}

#[test]
fn revoke_counts_401_as_revoked() {
    let world = World::new();
    world.client(&["token"]).stdout();
    world.revoke_all();
    assert_eq!(world.client(&["revoke"]).stdout(), "");
    assert_eq!(files(&world.cache()).len(), 1, "only the lock file is left");
}

#[test]
fn revoke_that_fails_keeps_the_cached_token() {
    let world = World::new();
    let token = world.client(&["token"]).stdout();
    let server = Server::start(|_| Response::new(500, "ghs_body"));
    let stderr = world
        .client(&["revoke"])
        .env("GH_HOST", server.host())
        .fails(1);
    assert!(
        stderr.contains("HTTP 500") && !stderr.contains("ghs_body"),
        "{stderr}"
    );
    assert_eq!(world.client(&["token"]).stdout(), token);
}

#[test]
fn revoke_takes_one_token_from_stdin() {
    let world = World::new();
    let cached = world.client(&["token"]).stdout();
    let other = world.client(&["token", "--no-cache"]).stdout();
    assert_ne!(cached, other);
    let padded = format!("  {} \n\n", other.trim());
    assert_eq!(
        world.client(&["revoke", "--stdin"]).stdin(padded).stdout(),
        ""
    );
    assert!(!world.is_alive(other.trim()) && world.is_alive(cached.trim()));
    for wrong in ["", " \n", "ghs_a ghs_b"] {
        let stderr = world.client(&["revoke", "--stdin"]).stdin(wrong).fails(1);
        assert!(!stderr.contains("ghs_"), "{stderr}");
    }
}

#[test]
fn min_ttl_replaces_an_old_token() {
    let world = World::new();
    let first = world.client(&["token"]).stdout();
    world.age_cached_token(&in_seconds(8 * 60));
    assert_eq!(world.client(&["token"]).stdout(), first);
    let second = world.client(&["token", "--min-ttl", "9m"]).stdout();
    assert_ne!(first, second);
    // The default is five minutes.
    world.age_cached_token(&in_seconds(5 * 60 - 5));
    let third = world.client(&["token"]).stdout();
    assert_ne!(second, third);
    // A token that was just minted is used, even if it has less time left.
    let fourth = world.client(&["token", "--min-ttl", "2h"]).stdout();
    assert_ne!(third, fourth);
    world.age_cached_token(&in_seconds(-1));
    assert_ne!(world.client(&["token", "--min-ttl", "0s"]).stdout(), fourth);
}
