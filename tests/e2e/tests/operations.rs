//! docs/operations.md, as whoever runs the enforcer would follow it.
//!
//! No image can be run here: what the chart's Pods would run, processes run, with the arguments and as the account that
//! the Deployment says. Only their leases are shorter. They answer what takes a kubelet: logs, and the port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use holdfast_e2e::{Enforcer, Ground, binary, console, on_ground, path, root};
use holdfast_testbed::{helm_program, kubectl, kubectl_with_input};
use serde_json::json;

const PAGE: &str = include_str!("../../../docs/operations.md");
const NAMESPACE: &str = "holdfast-system";
/// How long what only looks is asked again.
const PATIENCE: Duration = Duration::from_mins(1);

/// In place of `kubectl`, for what takes a kubelet.
const KUBECTL: &str = r#"#!/bin/bash
case " $* " in
    *" logs deployment/holdfast "*) exec cat pods/*.log ;;
    *"/services/holdfast:http/proxy/metrics "*)
        for port in pods/*.port; do
            exec 3<>"/dev/tcp/127.0.0.1/$(cat "$port")"
            printf 'GET /metrics HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n\r\n' >&3
            cat <&3
        done
        exit ;;
esac
exec "$KUBECTL" "$@"
"#;

/// Who does what the Pods of the Deployment would do.
struct Pods<'g> {
    ground: &'g Ground,
    folder: &'g Path,
    running: Vec<(String, Enforcer)>,
}

impl Pods<'_> {
    /// Runs what the Deployment says by now, as a kubelet would: what is still the same goes on.
    async fn follow(&mut self) {
        let place = path("apps/v1", "Deployment", NAMESPACE, "holdfast");
        let wanted = match self.ground.api.get(&place).await {
            Some(deployment) => {
                let spec = &deployment["spec"];
                let arguments = spec["template"]["spec"]["containers"][0]["args"].as_array();
                let arguments: Vec<String> = arguments
                    .unwrap()
                    .iter()
                    .map(|argument| argument.as_str().unwrap().to_owned())
                    .collect();
                vec![arguments; usize::try_from(spec["replicas"].as_u64().unwrap()).unwrap()]
            }
            None => Vec::new(),
        };
        let same = wanted
            .first()
            .map(|arguments| arguments.join(" "))
            .unwrap_or_default();
        let mut kept = Vec::new();
        for (arguments, enforcer) in self.running.drain(..) {
            if arguments == same && kept.len() < wanted.len() {
                kept.push((arguments, enforcer));
            } else {
                let ended = enforcer.end().await;
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            }
        }
        self.running = kept;
        for arguments in wanted.iter().skip(self.running.len()) {
            let enforcer = self.start(arguments).await;
            self.running.push((arguments.join(" "), enforcer));
        }
    }

    async fn start(&self, arguments: &[String]) -> Enforcer {
        let number = std::fs::read_dir(self.folder).unwrap().count();
        let token = self
            .ground
            .cluster
            .service_account_token(NAMESPACE, "holdfast")
            .await
            .unwrap();
        let kubeconfig = self
            .ground
            .cluster
            .kubeconfig_with_token("holdfast", &token)
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        std::fs::write(self.folder.join(format!("{number}.port")), port.to_string()).unwrap();
        let replaced = [
            "run",
            "--lease-duration",
            "--renew-deadline",
            "--retry-period",
            "--log-format",
        ];
        let mut own: Vec<String> = arguments
            .iter()
            .filter(|argument| !replaced.contains(&argument.split('=').next().unwrap()))
            .map(|argument| match argument.split_once('=') {
                Some(("--listen", _)) => format!("--listen=127.0.0.1:{port}"),
                Some(("--identity", name)) => {
                    format!(
                        "--identity={}",
                        name.replace("$(POD_NAME)", &format!("holdfast-{number}"))
                    )
                }
                _ => argument.clone(),
            })
            .collect();
        own.push(format!("--kubeconfig={}", kubeconfig.display()));
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        Enforcer::start(self.folder, &own, &[("HOME", self.folder.display().to_string())])
    }

    /// All end, whatever the Deployment says.
    async fn end(&mut self) {
        for (_, enforcer) in self.running.drain(..) {
            drop(enforcer.end().await);
        }
    }
}

/// The files of the guide: each block of YAML that begins with its name, by the line where the block ends. Several of one
/// name are one file.
fn files() -> Vec<(usize, &'static str, String)> {
    let mut files = Vec::new();
    let mut block: Option<(&str, String)> = None;
    let mut inside = false;
    for (number, line) in PAGE.lines().enumerate() {
        match (&mut block, line) {
            (_, "```yaml") => inside = true,
            (Some(_), "```") => {
                let (name, text) = block.take().unwrap();
                files.push((number, name, text));
                inside = false;
            }
            (Some((_, text)), line) => text.extend([line, "\n"]),
            (None, line) if inside => block = Some((line.strip_prefix("# ").unwrap(), String::new())),
            (None, _) => {}
        }
    }
    files
}

/// A folder with the programs, the chart and nothing else, and the environment of somebody who administers the cluster.
fn prepare(ground: &Ground, folder: &Path) -> BTreeMap<&'static str, String> {
    let programs = folder.join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::fs::create_dir(folder.join("pods")).unwrap();
    std::fs::create_dir(folder.join("web")).unwrap();
    symlink(binary(), programs.join("holdfast")).unwrap();
    symlink(helm_program().unwrap(), programs.join("helm")).unwrap();
    symlink(root().join("charts"), folder.join("charts")).unwrap();
    let wrapper = programs.join("kubectl");
    std::fs::write(&wrapper, KUBECTL).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let search = std::env::var("PATH").unwrap();
    let real = std::env::split_paths(&search)
        .map(|folder| folder.join("kubectl"))
        .find(|file| file.is_file());
    BTreeMap::from([
        ("PATH", format!("{}:{search}", programs.display())),
        ("HOME", folder.display().to_string()),
        ("KUBECONFIG", ground.cluster.kubeconfig().display().to_string()),
        ("KUBECTL", real.expect("kubectl is there").display().to_string()),
    ])
}

/// Whether a command only looks, so that it may be asked again until what it waits for is so.
fn looks(command: &str) -> bool {
    [" get ", " events ", " logs "]
        .iter()
        .any(|verb| command.contains(verb))
        && !command.contains(" patch ")
}

#[test]
fn the_guide_to_operating_does_what_it_says() {
    on_ground(async |ground| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let variables = prepare(ground, folder);
        let pods = folder.join("pods");
        let mut pods = Pods {
            ground,
            folder: &pods,
            running: Vec::new(),
        };
        let steps = console::steps(PAGE);
        let mut files = files().into_iter().peekable();
        let (mut section, mut faults) = ("", Vec::new());
        for step in &steps {
            while let Some((_, name, text)) = files.next_if(|(line, ..)| *line < step.line) {
                let before = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
                std::fs::write(folder.join(name), before + &text).unwrap();
            }
            if step.section != section {
                section = &step.section;
                match section {
                    // The reader has one that the policy's provider names.
                    "Credentials" => {
                        let secret = json!({ "metadata": { "name": "store" }, "stringData": { "aws_access_key_id": "AKIAOLD" } });
                        ground
                            .api
                            .create("/api/v1/namespaces/team-web/secrets", &secret)
                            .await;
                    }
                    "Where no enforcer runs" => {
                        let bundle = ground
                            .holdfast(&["bundle", &folder.join("web").display().to_string()])
                            .await
                            .exits(0);
                        let apply = ["apply", "--filename", "-"];
                        kubectl_with_input(&ground.cluster, &apply, &bundle.stdout)
                            .await
                            .unwrap();
                        let ready = "wait hfp web --namespace team-web --for condition=Ready --timeout 60s";
                        kubectl(&ground.cluster, &ready.split(' ').collect::<Vec<_>>())
                            .await
                            .unwrap();
                        pods.end().await;
                    }
                    _ => {}
                }
            }
            let patience = if looks(&step.command) {
                PATIENCE
            } else {
                Duration::ZERO
            };
            let fault = console::follow(step, &[], folder, &variables, patience).await;
            faults.extend(fault.map(|fault| format!("docs/operations.md, {fault}")));
            if step.command.starts_with("helm ") {
                pods.follow().await;
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
        assert!(steps.len() > 40, "the guide has only {} commands", steps.len());
        assert!(pods.running.is_empty(), "the chart is gone, and so are its Pods");
    });
}

#[test]
fn each_metric_of_the_guide_is_one_that_is_counted() {
    let (_, table) = PAGE.split_once("| metric | counts |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let source = root().join("engine/enforcer/src/metrics/exposition.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let cells = table.lines().filter_map(|row| row.split('|').nth(1));
    let names = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|name| !name.starts_with('…'));
    let names: Vec<&str> = names.map(|name| name.trim_end_matches("_total")).collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        assert!(source.contains(&format!("\"{name}\"")), "{name} isn't counted");
    }
}
