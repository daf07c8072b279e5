//! Files of others that tests read.

use std::{path::PathBuf, process::Command};

use crate::{
    error::{Error, Result},
    programs,
};

/// Velero's own CustomResourceDefinitions, of `v1` and of `v2alpha1`, in the order of their paths.
pub fn velero_crds() -> Result<Vec<PathBuf>> {
    let folder = programs::velero_crds()?;
    let mut files = Vec::new();
    for version in ["v1", "v2alpha1"] {
        let folder = folder.join(version);
        let failed = || Error::io(format!("read {}", folder.display()));
        for entry in folder.read_dir().map_err(failed())? {
            files.push(entry.map_err(failed())?.path());
        }
    }
    files.sort();
    Ok(files)
}

/// The model of S3 that its own Python client, a part of `LocalStack`, comes with: shapes with the order, the names and
/// the flattening of their members.
pub fn s3_model() -> Result<serde_json::Value> {
    const PRINT: &str = "import json, sys, botocore.loaders as loaders; \
        json.dump(loaders.Loader().load_service_model('s3', 'service-2'), sys.stdout)";
    let python = programs::localstack_python()?;
    let output = Command::new(&python)
        .args(["-c", PRINT])
        .output()
        .map_err(Error::io(format!("run {}", python.display())))?;
    serde_json::from_slice(&output.stdout).map_err(|error| Error::Command {
        command: format!("{} -c {PRINT}", python.display()),
        output: format!("{error}: {}", String::from_utf8_lossy(&output.stderr)),
    })
}
