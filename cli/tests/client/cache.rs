//! The cache: one invocation for many processes, and nothing that another user could have touched.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    process::Child,
};

use crate::support::{
    Client, GIVE_UP, World, cache_below, files, in_seconds, read_until, server::Server,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn thirty_processes_at_once_cause_one_invocation() {
    let world = World::new();
    let mut clients: Vec<Client> = (0..30).map(|_| world.client(&["token"])).collect();
    let children: Vec<Child> = clients.iter_mut().map(Client::spawn).collect();
    let outputs: Vec<_> = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect();
    for output in outputs {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(
            String::from_utf8(output.stdout).unwrap().trim(),
            world.newest_token()
        );
    }
    assert_eq!(world.minted(), 1);
}

#[test]
fn folder_and_files_belong_to_the_user_alone() {
    let world = World::new();
    world.client(&["token"]).stdout();
    assert_eq!(mode(&world.cache()), 0o700);
    let files = files(&world.cache());
    assert_eq!(files.len(), 2, "entry and lock: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn runtime_folder_is_preferred() {
    let world = World::new();
    let runtime = tempfile::tempdir().unwrap();
    world
        .client(&["token"])
        .env("XDG_RUNTIME_DIR", runtime.path())
        .stdout();
    assert!(runtime.path().join("github-token-broker").is_dir());
    assert!(!world.cache().exists());
}

#[test]
fn no_cache_neither_reads_nor_writes() {
    let world = World::new();
    let cached = world.client(&["token"]).stdout();
    let other = world.client(&["token", "--no-cache"]).stdout();
    assert_ne!(cached, other);
    assert_ne!(
        world
            .client(&["token"])
            .env("GITHUB_TOKEN_BROKER_NO_CACHE", "1")
            .stdout(),
        cached
    );
    assert_eq!(
        world
            .client(&["token"])
            .env("GITHUB_TOKEN_BROKER_NO_CACHE", "0")
            .stdout(),
        cached
    );
    assert_eq!(
        world
            .client(&["token"])
            .env("GITHUB_TOKEN_BROKER_NO_CACHE", "")
            .stdout(),
        cached
    );
}

#[test]
fn missing_home_and_read_only_folder_work_without_a_cache() {
    let world = World::new();
    world.client(&["token"]).without("HOME").stdout();
    // A file in the place of the folder above: nothing can be created in it, not even by root.
    let file = world.home.path().join("file");
    fs::write(&file, "").unwrap();
    world
        .client(&["token"])
        .env("XDG_RUNTIME_DIR", &file)
        .stdout();
    assert_eq!(world.minted(), 2);
}

#[test]
fn a_cache_that_others_can_access_is_refused() {
    let world = World::new();
    world.client(&["token"]).stdout();
    let (folder, entry) = (world.cache(), world.cache_entry());
    let lock = entry.with_extension("lock");
    for (path, mode, good) in [
        (&folder, 0o755, 0o700),
        (&entry, 0o640, 0o600),
        (&lock, 0o666, 0o600),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        // The lock matters only to a process that mints.
        let args = [
            "token",
            "--min-ttl",
            if path == &lock { "2h" } else { "5m" },
        ];
        is_refused(&world, &args, path);
        fs::set_permissions(path, fs::Permissions::from_mode(good)).unwrap();
    }
    assert_eq!(world.minted(), 3, "each --no-cache minted one more");
}

#[test]
fn a_link_in_the_caches_place_is_refused() {
    let world = World::new();
    world.client(&["token"]).stdout();
    let (folder, entry) = (world.cache(), world.cache_entry());
    let elsewhere = world.home.path().join("elsewhere");

    fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    is_refused(&world, &["token"], &entry);
    fs::remove_file(&entry).unwrap();

    fs::hard_link(&elsewhere, &entry).unwrap();
    is_refused(&world, &["token"], &entry);
    fs::remove_file(&entry).unwrap();

    let lock = entry.with_extension("lock");
    fs::remove_file(&lock).unwrap();
    symlink(&elsewhere, &lock).unwrap();
    is_refused(&world, &["token"], &lock);
    fs::remove_file(&lock).unwrap();

    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(world.home.path().join("folder")).unwrap();
    symlink(world.home.path().join("folder"), &folder).unwrap();
    is_refused(&world, &["token"], &folder);
    // A dangling link too: it is not followed to create what it names.
    fs::remove_dir(world.home.path().join("folder")).unwrap();
    is_refused(&world, &["token"], &folder);
}

#[test]
fn a_named_pipe_in_an_entrys_place_is_refused_at_once() {
    let world = World::new();
    world.client(&["token"]).stdout();
    let entry = world.cache_entry();
    fs::remove_file(&entry).unwrap();
    assert_eq!(
        Client::program("mkfifo")
            .args(&["-m", "600", entry.to_str().unwrap()])
            .run()
            .code,
        0
    );
    is_refused(&world, &["token"], &entry);
}

#[test]
fn a_cache_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give a file away.
    }
    let world = World::new();
    world.client(&["token"]).stdout();
    let (folder, entry) = (world.cache(), world.cache_entry());
    for path in [&folder, &entry] {
        std::os::unix::fs::chown(path, Some(12345), None).unwrap();
        is_refused(&world, &["token"], path);
        std::os::unix::fs::chown(path, Some(0), None).unwrap();
    }
}

/// Exit 1 with the path; `exec` 111; git gets `quit=1`; `--no-cache` still works.
fn is_refused(world: &World, args: &[&str], path: &Path) {
    let named = path.to_str().unwrap();
    let stderr = world.client(args).fails(1);
    assert!(
        stderr.contains(named) && stderr.contains("--no-cache"),
        "{stderr}"
    );
    let options = &args[1..];
    let exec: Vec<_> = ["exec"]
        .iter()
        .chain(options)
        .chain(&["--", "true"])
        .copied()
        .collect();
    assert!(world.client(&exec).fails(111).contains(named));
    let get: Vec<_> = ["git-credential"]
        .iter()
        .chain(options)
        .chain(&["get"])
        .copied()
        .collect();
    let request = format!("protocol=http\nhost={}\n\n", world.git.host());
    let finished = world.client(&get).stdin(request).run();
    assert_eq!(finished.stdout, "quit=1\n");
    assert!(
        finished.stderr.contains(named) && finished.stderr.lines().count() == 1,
        "{finished:?}"
    );
    let minted = world.minted();
    if minted < 3 {
        world.client(&["token", "--no-cache"]).stdout();
        assert_eq!(world.minted(), minted + 1);
    }
}

#[test]
fn damaged_entry_is_replaced() {
    let world = World::new();
    world.client(&["token"]).stdout();
    let entry = world.cache_entry();
    let good = fs::read(&entry).unwrap();
    for damaged in [&b""[..], b"\0\0\0", b"{}", &good[..good.len() / 2]] {
        fs::write(&entry, damaged).unwrap();
        let token = world.client(&["token"]).stdout();
        assert_eq!(token.trim(), world.newest_token());
        assert_eq!(
            world.client(&["token"]).stdout(),
            token,
            "the new one is in the cache"
        );
    }
    assert_eq!(world.minted(), 5);
}

#[test]
fn what_a_killed_process_left_harms_nobody() {
    let world = World::new();
    let token = world.client(&["token"]).stdout();
    let entry = world.cache_entry();
    // As if a process was killed between writing its temporary file and renaming it.
    let name = entry.file_stem().unwrap().to_str().unwrap();
    let leftover = world.cache().join(format!("{name}.new-abcdef"));
    fs::write(&leftover, "{\"token\":\"ghs_half").unwrap();
    assert_eq!(world.client(&["token"]).stdout(), token);
    world.age_cached_token(&in_seconds(1));
    assert_ne!(world.client(&["token"]).stdout(), token);
    assert!(!leftover.exists(), "the next process that mints removes it");
}

#[test]
#[cfg(target_os = "linux")] // It needs a terminal.
fn a_process_killed_while_it_mints_releases_the_lock() {
    let world = World::new();
    let (silent, invocation, answer) = Server::silent();
    // The same cache entry as the world's: the profile has the endpoint. The first process hangs in its invocation.
    let config = world.home.path().join("config");
    let write =
        |url: &str| fs::write(&config, format!("[default]\nendpoint_url = {url}\n")).unwrap();
    write(&silent.url());
    let client = || {
        world
            .client(&["token"])
            .without("AWS_ENDPOINT_URL")
            .env("AWS_CONFIG_FILE", &config)
    };
    let mut first = client();
    let mut first = first.spawn();
    invocation
        .recv_timeout(GIVE_UP)
        .expect("the first process invokes the function");
    write(&world.sandbox().aws_url());
    // On a terminal, the second process reports that it waits for the lock.
    let mut second = client().on_terminal("token --verbose");
    let mut second = second.spawn();
    let mut terminal = second.stdout.take().unwrap();
    let mut text = read_until(
        &mut terminal,
        "Waiting for another github-token-broker process",
    );
    assert_eq!(world.minted(), 0, "the second waits for the first");
    first.kill().unwrap();
    first.wait().unwrap();
    terminal.read_to_string(&mut text).unwrap();
    assert!(second.wait().unwrap().success(), "{text}");
    assert!(text.trim_end().ends_with(&world.newest_token()), "{text}");
    assert!(!text.contains("for too long"), "it got the lock: {text}");
    drop(answer);
}

#[test]
fn the_lock_is_waited_for_no_longer_than_the_timeout() {
    let world = World::new();
    world.client(&["token"]).stdout();
    let lock = fs::File::open(world.cache_entry().with_extension("lock")).unwrap();
    lock.lock().unwrap();
    // A fresh token needs no lock.
    world.client(&["token"]).stdout();
    world
        .client(&["token", "--min-ttl", "2h", "--timeout", "2s"])
        .stdout();
    assert_eq!(world.minted(), 2);
}

#[test]
fn a_cached_token_needs_no_network_and_no_aws_configuration() {
    let world = World::new();
    let token = world.client(&["token"]).stdout();
    let entry = world.cache_entry();
    // Another world, in which nothing answers and the configuration cannot be parsed.
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/config"), "[broken").unwrap();
    let folder = cache_below(home.path());
    let client = |args: &[&str]| {
        world
            .client(args)
            .home(home.path())
            .env("SSL_CERT_FILE", "/nonexistent")
    };
    Client::program("mkdir")
        .args(&["-p", "-m", "700", folder.to_str().unwrap()])
        .stdout();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(&entry, folder.join(entry.file_name().unwrap())).unwrap();
    let requests = world.github_requests().len();
    assert_eq!(client(&["token"]).stdout(), token);
    let get = client(&["git-credential", "get"])
        .stdin(format!("protocol=http\nhost={}\n\n", world.git.host()));
    assert!(get.stdout().contains(&format!("password={token}")));
    assert_eq!(
        (world.minted(), world.github_requests().len()),
        (1, requests)
    );
}
