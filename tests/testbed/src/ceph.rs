use std::{path::Path, process::Output, time::Duration};

use tokio::{
    process::Command,
    sync::OnceCell,
    time::{Instant, sleep},
};

use crate::{
    error::{Error, Result},
    home::Home,
    object_store::{ObjectStore, answers},
    port, programs,
    server::Server,
};

/// The whole cluster may take so long; 12 s on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Ceph's object gateway on a cluster of one monitor and one store in memory: a real store with real authentication,
/// owners and object locks.
#[derive(Debug)]
pub struct CephRgw {
    store: ObjectStore,
    gateway: Server,
    _osd: Server,
    _monitor: Server,
    _home: Home,
}

impl CephRgw {
    /// An empty one. Takes about 12 s and 250 MB.
    pub async fn start() -> Result<Self> {
        let home = Home::new()?;
        let (monitor_port, port) = (port::free()?, port::free()?);
        let store = ObjectStore::new(port, "holdfast-access", "holdfast-secret");
        let folder = home.path().to_owned();
        let fsid = uuid()?;
        home.write("ceph.conf", configuration(&folder, &fsid, monitor_port, port))?;
        for name in ["mon", "osd", "rgw"] {
            std::fs::create_dir(folder.join(name)).map_err(Error::io("make a folder"))?;
        }
        let run = async |program: &str, arguments: &[&str]| run(&folder, program, arguments).await;

        // Everybody in the cluster has a key of its own.
        let keys = [
            ("mon.", &["--cap", "mon", "allow *"][..]),
            (
                "client.admin",
                &[
                    "--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *",
                ],
            ),
            (
                "osd.0",
                &["--cap", "mon", "allow profile osd", "--cap", "osd", "allow *"],
            ),
            (
                "client.rgw",
                &["--cap", "mon", "allow rw", "--cap", "osd", "allow rwx"],
            ),
        ];
        run("ceph-authtool", &["-C", "keyring"]).await?;
        for (name, capabilities) in keys {
            let arguments = [&["keyring", "--gen-key", "-n", name], capabilities].concat();
            run("ceph-authtool", &arguments).await?;
        }
        let address = format!("[v2:127.0.0.1:{monitor_port}]");
        run(
            "monmaptool",
            &["--create", "--fsid", &fsid, "--addv", "a", &address, "monmap"],
        )
        .await?;
        run(
            "ceph-mon",
            &["-i", "a", "--mkfs", "--monmap", "monmap", "--keyring", "keyring"],
        )
        .await?;
        let monitor = daemon(&home, "ceph-mon", &["-i", "a"])?;

        let id = uuid()?;
        let new = ["--connect-timeout", "30", "osd", "new", &id, "0"];
        until(&monitor, "tells of a new store", || run("ceph", &new)).await?;
        run("ceph-osd", &["-i", "0", "--mkfs", "--osd-uuid", &id]).await?;
        let osd = daemon(&home, "ceph-osd", &["-i", "0"])?;
        let gateway = daemon(&home, "radosgw", &["-n", "client.rgw"])?;
        let user = [
            &[
                "user",
                "create",
                "--uid",
                "holdfast",
                "--display-name",
                "Holdfast",
            ],
            &[
                "--access-key",
                &store.access_key,
                "--secret-key",
                &store.secret_key,
            ][..],
        ]
        .concat();
        until(&gateway, "knows its user", || run("radosgw-admin", &user)).await?;
        answers(&gateway, &store.endpoint, |status| status.is_success()).await?;
        Ok(Self {
            store,
            gateway,
            _osd: osd,
            _monitor: monitor,
            _home: home,
        })
    }

    /// The one that all tests of this process share: each uses buckets of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<CephRgw> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Where it is and how to get in.
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// The gateway's process.
    pub fn server(&self) -> &Server {
        &self.gateway
    }
}

/// One copy of everything, in one placement group for each pool, in memory: nothing that is written has to last.
fn configuration(folder: &Path, fsid: &str, monitor: u16, gateway: u16) -> String {
    let folder = folder.display();
    format!(
        "[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{monitor}]
public_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
pid_file = {folder}/$name.pid
mon_data = {folder}/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 1
mon_allow_pool_size_one = true
ms_initial_backoff = 0.02
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
rgw_data = {folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw_enable_usage_log = false
rgw_gc_max_objs = 1
rgw_lc_max_objs = 1
rgw_usage_max_shards = 1
rgw_objexp_hints_num_shards = 1
rgw_md_log_max_shards = 1
rgw_data_log_num_shards = 1
rgw_num_control_oids = 1
"
    )
}

fn daemon(home: &Home, program: &str, arguments: &[&str]) -> Result<Server> {
    let path = programs::ceph(program)?;
    let folder = home.path().to_owned();
    Server::start(home, program, path, |command| {
        // In the foreground, so that it ends with the test.
        command
            .args(["-c", "ceph.conf"])
            .args(arguments)
            .arg("-f")
            .current_dir(folder);
    })
}

async fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<Output> {
    let path = programs::ceph(program)?;
    let mut command = Command::new(path);
    // These two speak of files only, and take no configuration.
    if !matches!(program, "ceph-authtool" | "monmaptool") {
        command.args(["-c", "ceph.conf"]);
    }
    let output = command
        .args(arguments)
        .current_dir(folder)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::io(format!("run {program}")))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::Command {
        command: format!("{program} {}", arguments.join(" ")),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Tries again until it succeeds: each of the daemons needs its own time until it answers.
async fn until<F: Future<Output = Result<Output>>>(
    server: &Server,
    what: &str,
    attempt: impl Fn() -> F,
) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, attempt()).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error @ (Error::NotSetUp { .. } | Error::Io { .. }))) => return Err(error),
            Ok(Err(error)) if Instant::now() + PROBE_EVERY >= end || server.exited().is_some() => {
                return Err(server.not_ready(format!("never {what}: {error}")));
            }
            Ok(Err(_)) => sleep(PROBE_EVERY).await,
            Err(_) => return Err(server.not_ready(format!("never {what}"))),
        }
    }
}

fn uuid() -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(Error::io("make a uuid"))?;
    Ok(text.trim().to_owned())
}
