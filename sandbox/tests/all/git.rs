//! Git over HTTP with the real git: a token works exactly as far as GitHub issued it.
#![expect(clippy::expect_used, clippy::panic, reason = "a panic fails the test")]

use std::path::Path;

use crate::scripted;
use sandbox::{Running, Scenario};
use tokio::process::Command;

const REPOSITORY: &str = "octo-org/octo-repo";

async fn start(contents: &str) -> (Running, String) {
    let scenario = Scenario::default()
        .binary(scripted::binary())
        .permissions(&[("contents", contents)]);
    let mut running = scenario.start().await;
    let token = running.invoke(r#""mint""#).await.token();
    (running, token)
}

fn url(running: &Running, token: &str, path: &str) -> String {
    format!(
        "http://x-access-token:{token}@{}/{path}",
        running.github_host()
    )
}

/// Runs git without the user's configuration. Returns its error output if it fails.
async fn git(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("set"))
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .await
        .expect("git runs");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

async fn commit(clone: &Path) {
    std::fs::write(clone.join("new"), "new").expect("a file");
    git(clone, &["add", "new"]).await.expect("added");
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    let commit = ["commit", "--quiet", "-m", "new"];
    git(clone, &[&identity[..], &commit].concat())
        .await
        .expect("committed");
}

#[tokio::test]
async fn read_token_clones_both_url_forms_and_cannot_push() {
    let (running, token) = start("read").await;
    let folder = folder();
    for path in [REPOSITORY.to_owned(), format!("{REPOSITORY}.git")] {
        let clone = folder.path().join(path.replace('/', "-"));
        let name = clone.to_str().expect("text");
        let url = url(&running, &token, &path);
        git(folder.path(), &["clone", "--quiet", &url, name])
            .await
            .expect("cloned");
        let readme = std::fs::read_to_string(clone.join("README.md")).expect("a file");
        assert_eq!(readme, format!("# {REPOSITORY}\n"));
        git(&clone, &["fetch", "--quiet"]).await.expect("fetched");
        commit(&clone).await;
        let error = git(&clone, &["push", "--quiet"]).await;
        let error = error.expect_err("rejected");
        assert!(
            error.contains("Write access to repository not granted"),
            "{error}"
        );
    }
    running.finish().await;
}

#[tokio::test]
async fn write_token_pushes_to_the_bare_repository() {
    let (running, token) = start("write").await;
    let folder = folder();
    let clone = folder.path().join("clone");
    let url = url(&running, &token, REPOSITORY);
    git(folder.path(), &["clone", "--quiet", &url, "clone"])
        .await
        .expect("cloned");
    commit(&clone).await;
    git(&clone, &["push", "--quiet"]).await.expect("pushed");
    let bare = running.bare_repository(REPOSITORY).await;
    git(&bare, &["cat-file", "-e", "main:new"])
        .await
        .expect("the file arrived");
    running.finish().await;
}

#[tokio::test]
async fn other_tokens_and_repositories_are_rejected() {
    let (running, token) = start("read").await;
    let folder = folder();
    let ls_remote = async |token: &str, path: &str| {
        let url = url(&running, token, path);
        git(folder.path(), &["ls-remote", &url]).await
    };
    let other = ls_remote(&token, "octo-org/other-repo").await;
    let error = other.expect_err("a different private repository");
    assert!(error.contains("not found"), "{error}");
    let public = ls_remote(&token, "octo-org/public-repo").await;
    assert_eq!(public, Ok(()), "any token reads a public repository");
    let unknown = ls_remote("ghs_unknown", REPOSITORY).await;
    let error = unknown.expect_err("an unknown token");
    assert!(error.contains("Authentication failed"), "{error}");
    running.github().tokens[0].revoked = true;
    ls_remote(&token, REPOSITORY)
        .await
        .expect_err("a revoked token");
    let anonymous = format!("http://{}/{REPOSITORY}", running.github_host());
    let error = git(folder.path(), &["ls-remote", &anonymous]).await;
    let error = error.expect_err("git asks for a user name");
    assert!(error.contains("could not read Username"), "{error}");
    let anonymous = format!("http://{}/octo-org/public-repo", running.github_host());
    git(folder.path(), &["ls-remote", &anonymous])
        .await
        .expect("a public repository needs no token");
    running.finish().await;
}

#[tokio::test]
async fn token_without_contents_permission_cannot_clone() {
    let scenario = Scenario::default()
        .binary(scripted::binary())
        .permissions(&[("issues", "read")]);
    let mut running = scenario.start().await;
    let token = running.invoke(r#""mint""#).await.token();
    let folder = folder();
    let url = url(&running, &token, REPOSITORY);
    git(folder.path(), &["ls-remote", &url])
        .await
        .expect_err("rejected");
    running.finish().await;
}

#[tokio::test]
async fn clone_follows_a_renamed_repository() {
    let (running, token) = start("read").await;
    running.github().rename(REPOSITORY, "octo-org/renamed");
    let folder = folder();
    let url = url(&running, &token, REPOSITORY);
    git(folder.path(), &["ls-remote", &url])
        .await
        .expect("git follows the redirect");
    running.finish().await;
}
