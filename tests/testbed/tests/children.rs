//! No server outlives the test that started it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use holdfast_testbed::{Cluster, Home, Server, install_tls_provider};

/// The command lines of processes that name this folder, zombies left out.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut lines = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // A process may end in between.
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(folder) {
            lines.push(line);
        }
    }
    lines
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{what} took longer than 10 s"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_parent_leaves_no_child_and_no_folder() {
    let mut parent = Command::new(env!("CARGO_BIN_EXE_holdfast-testbed"))
        .arg("cluster")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let kubeconfig = PathBuf::from(line.trim().strip_prefix("export KUBECONFIG=").unwrap());
    let folder = kubeconfig.parent().unwrap();
    let before = processes_of(folder);
    assert!(
        before.iter().any(|line| line.contains("kube-apiserver")),
        "{before:#?}"
    );
    assert!(before.iter().any(|line| line.contains("etcd")), "{before:#?}");
    // SIGKILL.
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("ending the servers", || processes_of(folder).is_empty());
    wait_until("deleting the folder", || !folder.exists());
}

#[tokio::test]
async fn a_dropped_cluster_is_gone_at_once() {
    let cluster = Cluster::start().await.unwrap();
    let folder = cluster.home().path().to_owned();
    assert!(!processes_of(&folder).is_empty());
    drop(cluster);
    assert!(!folder.exists());
    // The API server's own name for its folder is on its command line, and so is the janitor's.
    assert_eq!(processes_of(&folder), Vec::<String>::new());
}

#[test]
fn grandchildren_are_killed_too() {
    let home = Home::new().unwrap();
    let file = home.path().join("grandchild");
    let script = "sleep 1000 & echo $! >\"$1\"; wait";
    let server = Server::start(&home, "parent", "sh", |command| {
        command.args(["-c", script, "sh"]).arg(&file);
    })
    .unwrap();
    wait_until("starting", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))
    });
    let pid = std::fs::read_to_string(&file).unwrap();
    // Its state is the field after the command's name: Z once it is dead and nobody has asked how it ended.
    let alive = || {
        std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
    };
    assert!(alive());
    drop(server);
    wait_until("killing the grandchild", || !alive());
}

#[tokio::test]
async fn a_server_that_ends_early_shows_its_log() {
    let home = Home::new().unwrap();
    let server = Server::start(&home, "hasty", "sh", |command| {
        command.args(["-c", "echo bad flag >&2; exit 3"]);
    })
    .unwrap();
    install_tls_provider();
    let client = reqwest::Client::new();
    let started = Instant::now();
    let error = server
        .ready(|| client.get("http://127.0.0.1:1/"), |_| true)
        .await
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    let text = error.to_string();
    assert!(
        text.contains("hasty ended with exit status: 3") && text.contains("bad flag"),
        "{text}"
    );
}
