//! Files of others that tests read.

use std::path::PathBuf;

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
