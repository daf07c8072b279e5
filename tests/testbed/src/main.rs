//! Starts one of the testbed's servers for a person to try things on, and stops it at Ctrl-C.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use holdfast_testbed::{CephRgw, Cluster, Error, LocalStack, Moto, ObjectStore, Result, SeaweedFs};

const USAGE: &str = "usage: holdfast-testbed cluster|full-cluster|localstack|seaweedfs|moto|ceph";

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(server: Option<&str>) -> Result<()> {
    match server {
        Some("ceph") => hold_store(CephRgw::start().await?.store()).await,
        Some("cluster") => hold_cluster(&Cluster::start().await?).await,
        Some("full-cluster") => hold_cluster(&Cluster::start_full().await?).await,
        Some("localstack") => hold_store(LocalStack::start().await?.store()).await,
        Some("moto") => hold_store(Moto::start().await?.store()).await,
        Some("seaweedfs") => hold_store(SeaweedFs::start().await?.store()).await,
        _ => say(USAGE),
    }
}

async fn hold_cluster(cluster: &Cluster) -> Result<()> {
    hold(&format!("export KUBECONFIG={}", cluster.kubeconfig().display())).await
}

async fn hold_store(store: &ObjectStore) -> Result<()> {
    hold(&format!(
        "export AWS_ENDPOINT_URL_S3={} AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} AWS_REGION={}",
        store.endpoint, store.access_key, store.secret_key, store.region
    ))
    .await
}

/// Says how to reach the server, and waits for Ctrl-C.
async fn hold(how: &str) -> Result<()> {
    say(how)?;
    tokio::signal::ctrl_c().await.map_err(|source| Error::Io {
        action: "wait for Ctrl-C".into(),
        source,
    })
}

fn say(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").map_err(|source| Error::Io {
        action: "write to standard output".into(),
        source,
    })
}
