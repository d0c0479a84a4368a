//! `exec`: the command's environment, its exit code, its signals, and the end of its token.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::{Mutex, mpsc},
};

use crate::support::{
    Client, GIVE_UP, REPOSITORY, World,
    server::{Response, Server},
};

/// Sends a signal to a process.
fn send(signal: &str, process: u32) {
    Client::program("kill")
        .args(&["-s", signal, &process.to_string()])
        .stdout();
}

/// The environment of the command, as `env` prints it.
fn environment(client: Client) -> std::collections::BTreeMap<String, String> {
    let printed = client.stdout();
    printed
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn command_gets_the_token_for_a_server_of_its_own() {
    let world = World::new();
    let env = environment(world.client(&["exec", "--", "env"]));
    let token = world.newest_token();
    assert_eq!(
        (&env["GH_ENTERPRISE_TOKEN"], &env["GITHUB_ENTERPRISE_TOKEN"]),
        (&token, &token)
    );
    assert_eq!(env["GH_HOST"], world.git.host());
    assert_eq!(env["GH_REPO"], format!("{}/{REPOSITORY}", world.git.host()));
    assert!(!env.contains_key("GH_TOKEN") && !env.contains_key("GITHUB_TOKEN"));
    assert_eq!(env["GIT_CONFIG_COUNT"], "6");
}

#[test]
fn command_gets_the_token_for_github_com() {
    let world = World::new();
    let env = environment(world.client(&["exec", "--", "env"]).without("GH_HOST"));
    let token = world.newest_token();
    assert_eq!((&env["GH_TOKEN"], &env["GITHUB_TOKEN"]), (&token, &token));
    assert_eq!(env["GH_REPO"], REPOSITORY);
    assert!(!env.contains_key("GH_HOST") && !env.contains_key("GH_ENTERPRISE_TOKEN"));
    let key = format!("credential.https://github.com/{REPOSITORY}.git.useHttpPath");
    assert!(env.values().any(|value| *value == key), "{:?}", env.keys());

    let env = environment(world.client(&["exec", "--github-host", "octo.ghe.com", "--", "env"]));
    assert_eq!(
        (env["GH_TOKEN"].as_str(), env["GH_HOST"].as_str()),
        (token.as_str(), "octo.ghe.com")
    );
    assert_eq!(env["GH_REPO"], format!("octo.ghe.com/{REPOSITORY}"));
}

#[test]
fn host_of_the_token_replaces_an_inherited_one() {
    let world = World::new();
    let client = world.client(&["exec", "--github-host", "github.com", "--", "env"]);
    let env = environment(client.env("GH_HOST", "ghe.example.com"));
    assert_eq!(env["GH_REPO"], REPOSITORY);
    assert_eq!(env.get("GH_HOST"), None);
}

#[test]
fn inherited_number_that_git_rejects_is_replaced() {
    let world = World::new();
    for inherited in ["18446744073709551615", "x", ""] {
        let client = world.client(&["exec", "--", "env"]);
        let env = environment(client.env("GIT_CONFIG_COUNT", inherited));
        assert_eq!(env["GIT_CONFIG_COUNT"], "6");
        assert!(env["GIT_CONFIG_KEY_0"].starts_with("credential."));
    }
}

#[test]
fn named_variables_replace_the_token_variables() {
    let world = World::new();
    let env = environment(
        world
            .client(&["exec", "--env", "A", "--env", "B_1", "--", "env"])
            .without("GH_HOST"),
    );
    let token = world.newest_token();
    assert_eq!((&env["A"], &env["B_1"]), (&token, &token));
    assert!(!env.contains_key("GH_TOKEN") && !env.contains_key("GITHUB_TOKEN"));
    assert!(env["GIT_CONFIG_VALUE_1"].contains("\"$A\""));
    for name in [
        "",
        "A=B",
        "A-B",
        "1A",
        "GH_REPO",
        "GH_HOST",
        "GIT_CONFIG_COUNT",
    ] {
        world.client(&["exec", "--env", name, "--", "env"]).fails(2);
    }
}

#[test]
#[cfg(target_os = "linux")] // It reads /proc.
fn token_is_in_no_argument_list_and_no_git_value() {
    let world = World::new();
    let env = environment(world.client(&["exec", "--", "env"]));
    let token = world.newest_token();
    let with_token: Vec<_> = env
        .iter()
        .filter(|(_, value)| value.contains(&token))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        with_token,
        ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
    );
    let arguments = world
        .client(&[
            "exec",
            "--revoke",
            "--",
            "sh",
            "-c",
            "cat /proc/$PPID/cmdline",
        ])
        .stdout();
    assert!(!arguments.contains("ghs_"), "{arguments}");
}

#[test]
fn exec_replaces_its_own_process() {
    let world = World::new();
    let mut client = world.client(&["exec", "--", "sh", "-c", "echo $$"]);
    let child = client.spawn();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        pid.to_string()
    );
}

#[test]
fn exit_code_is_the_commands_own() {
    let world = World::new();
    let script = world.home.path().join("not-executable");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    for revoke in [&[][..], &["--revoke"]] {
        let exec = |command: &[&str]| {
            let args: Vec<_> = ["exec"]
                .iter()
                .chain(revoke)
                .chain(&["--"])
                .chain(command)
                .copied()
                .collect();
            world.client(&args)
        };
        exec(&["true"]).fails(0);
        exec(&["sh", "-c", "exit 42"]).fails(42);
        exec(&["sh", "-c", "kill -TERM $$"]).fails(128 + 15);
        let stderr = exec(&["/nonexistent/command"]).fails(127);
        assert!(
            stderr.contains("cannot run /nonexistent/command"),
            "{stderr}"
        );
        exec(&["no-such-command-on-the-path"]).fails(127);
        exec(&[script.to_str().unwrap()]).fails(126);
    }
    // 126 and 127 revoke too: only the cached token is left.
    let cached = world.client(&["token"]).stdout();
    let github = world.sandbox().github();
    let alive: Vec<_> = github
        .tokens
        .iter()
        .filter(|token| !token.revoked)
        .map(|token| &token.value)
        .collect();
    assert_eq!(alive, [cached.trim()]);
}

#[test]
fn without_a_token_the_exit_code_is_111() {
    let world =
        World::with(|scenario| scenario.without_parameter("/github-token-broker/app/client-id"));
    for args in [
        &["exec", "--", "true"][..],
        &["exec", "--revoke", "--", "true"],
    ] {
        let stderr = world.client(args).fails(111);
        assert!(stderr.starts_with("ParametersMissing: "), "{stderr}");
    }
}

#[test]
fn double_dash_is_required() {
    Client::new(&["exec", "true"]).fails(2);
    Client::new(&["exec"]).fails(2);
    Client::new(&["exec", "--"]).fails(2);
}

#[test]
fn revoke_ends_a_token_of_its_own() {
    let world = World::new();
    let cached = world.client(&["token"]).stdout();
    let used = world
        .client(&[
            "exec", "--revoke", "--env", "T", "--", "sh", "-c", "echo $T",
        ])
        .stdout();
    assert_ne!(used, cached);
    assert!(!world.is_alive(used.trim()) && world.is_alive(cached.trim()));
}

#[test]
fn failed_revocation_warns_and_keeps_the_exit_code() {
    let world = World::new();
    let server = Server::start(|_| Response::new(503, ""));
    let stderr = world
        .client(&["exec", "--revoke", "--", "sh", "-c", "exit 7"])
        .env("GH_HOST", server.host())
        .fails(7);
    assert!(
        stderr.contains("warning: the token was not revoked"),
        "{stderr}"
    );
    assert!(!stderr.contains("ghs_"), "{stderr}");
}

#[test]
fn signals_reach_the_command_and_the_token_is_revoked() {
    for signal in ["TERM", "USR1", "USR2", "INT", "QUIT", "HUP"] {
        let world = World::new();
        // The command says which signal it got, and ends with a code of its own.
        let script = format!(
            "trap 'echo got {signal}; exit 9' {signal}; echo ready; while :; do sleep 0.02; done"
        );
        let mut client = world.client(&["exec", "--revoke", "--", "sh", "-c", &script]);
        let mut child = client.command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        send(signal, child.id());
        assert_eq!(lines.next().unwrap().unwrap(), format!("got {signal}"));
        assert_eq!(child.wait().unwrap().code(), Some(9));
        assert!(!world.is_alive(&world.newest_token()));
    }
}

#[test]
fn a_signal_at_the_commands_start_is_forwarded() {
    let world = World::new();
    // The first thing that the command does is to signal its parent.
    let script = "trap 'exit 9' TERM; kill -s TERM $PPID; while :; do sleep 0.02; done";
    world
        .client(&["exec", "--revoke", "--", "sh", "-c", script])
        .fails(9);
    assert!(!world.is_alive(&world.newest_token()));
}

/// A broker whose `Invoke` is answered when the test says so, and GitHub. Each `Invoke` is reported to the test.
fn slow_broker() -> (Server, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (report, invoked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let answered = Mutex::new(answered);
    let server = Server::start(move |request| {
        if request.method == "DELETE" {
            return Response::new(204, "");
        }
        report.send(()).unwrap();
        // The test ends without an answer if it wants none.
        let _ = answered.lock().unwrap().recv();
        let expires_at = crate::support::in_seconds(3600);
        Response::new(
            200,
            format!(
                r#"{{"token":"ghs_late","expires_at":"{expires_at}","repositories":["{REPOSITORY}"],"permissions":{{"contents":"read"}}}}"#
            ),
        )
    });
    (server, invoked, answer)
}

#[test]
fn a_signal_during_the_mint_revokes_the_token_and_starts_nothing() {
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let (world, (server, invoked, answer)) = (World::new(), slow_broker());
        let mut client = world
            .client(&["exec", "--revoke", "--", "echo", "started"])
            .env("AWS_ENDPOINT_URL", server.url())
            .env("GH_HOST", server.host());
        let child = client.spawn();
        invoked.recv_timeout(GIVE_UP).unwrap();
        send(signal, child.id());
        answer.send(()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(128 + number), "{output:?}");
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (&b""[..], &b""[..])
        );
        let requests = server.requests();
        let revocation = requests.last().unwrap();
        assert_eq!(
            (revocation.method.as_str(), revocation.target.as_str()),
            ("DELETE", "/api/v3/installation/token")
        );
        assert_eq!(revocation.header("authorization"), Some("Bearer ghs_late"));
    }
}

#[test]
fn a_second_signal_during_the_mint_exits_at_once() {
    let (world, (server, invoked, answer)) = (World::new(), slow_broker());
    let mut client = world
        .client(&["exec", "--revoke", "--", "echo", "started"])
        .env("AWS_ENDPOINT_URL", server.url());
    let mut child = client.spawn();
    invoked.recv_timeout(GIVE_UP).unwrap();
    // Two different ones: the kernel merges two of the same kind.
    send("TERM", child.id());
    send("INT", child.id());
    // The function has not answered yet.
    let code = child.wait().unwrap().code().unwrap();
    assert!([128 + 15, 128 + 2].contains(&code), "{code}");
    drop(answer);
}

#[test]
#[cfg(target_os = "linux")] // It needs a terminal.
fn terminal_signal_reaches_the_command_once() {
    for (signal, character) in [("INT", b"\x03"), ("QUIT", b"\x1c")] {
        assert_reaches_the_command_once(signal, character);
    }
}

#[cfg(target_os = "linux")]
fn assert_reaches_the_command_once(signal: &str, character: &[u8]) {
    let world = World::new();
    // The character becomes a signal to the whole foreground group of the terminal. A signal may end the first `read`. The end of
    // the terminal, if the test fails, ends both.
    let trap = format!(
        "n=0; trap 'n=$((n+1)); echo signal $n' {signal}; trap 'exit $n' TERM; echo $PPID; read first; read second; exit $n"
    );
    let mut client = world
        .client(&[])
        .on_terminal("exec --revoke -- sh -c \"$TRAP\"")
        .env("TRAP", trap);
    let mut child = client
        .command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let process = lines.next().unwrap().unwrap().trim().parse().unwrap();
    let mut terminal = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut terminal, character).unwrap();
    let first = lines.find(|line| line.as_ref().unwrap().contains("signal 1"));
    assert!(first.is_some(), "the signal reaches the command");
    // The client handles signals in order: when it forwards this one, it has decided about the terminal's.
    send("TERM", process);
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(!world.is_alive(&world.newest_token()));
}

#[test]
#[cfg(target_os = "linux")] // It reads /proc.
fn dispositions_and_descriptors_are_inherited() {
    let world = World::new();
    world.client(&["token"]).stdout();
    // Descriptors, and the ignored signals. Those from 32 on belong to the C library.
    let ask = "ls /proc/self/fd | tr '\\n' ' '; ignored=$(sed -n 's/SigIgn:.//p' /proc/self/status); \
               echo $((0x$ignored & 0x7fffffff))";
    let run = |script: &str| {
        let script = format!("trap '' HUP; {script}");
        world
            .client(&[])
            .instead("sh", &["-c", &script])
            .env("ASK", ask)
            .stdout()
    };
    let direct = run("sh -c \"$ASK\"");
    // HUP (1) is ignored, as under `nohup`; PIPE is at its default, though Rust ignores it.
    assert!(direct.ends_with(" 1\n"), "{direct}");
    for args in ["exec --", "exec --revoke --"] {
        let inside = run(&format!("{} {args} sh -c \"$ASK\"", crate::support::BINARY));
        assert_eq!(inside, direct, "{args}");
    }
}

#[test]
fn inherited_git_configuration_is_kept() {
    let world = World::new();
    let env = environment(
        world
            .client(&["exec", "--", "env"])
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "user.name")
            .env("GIT_CONFIG_VALUE_0", "octo"),
    );
    assert_eq!(
        (
            env["GIT_CONFIG_COUNT"].as_str(),
            env["GIT_CONFIG_KEY_0"].as_str()
        ),
        ("7", "user.name")
    );
    assert_eq!(
        (
            env["GIT_CONFIG_VALUE_0"].as_str(),
            env["GIT_CONFIG_VALUE_1"].as_str()
        ),
        ("octo", "")
    );
}
