//! What the cluster knows of a Policy resource.

use holdfast_contract::PolicyResource;
use serde_json::Value as Json;
use tokio::time::Instant;

/// What the cluster knows of a Policy resource, as it was told last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Its uid.
    pub(super) uid: String,
    /// Its status.
    pub(crate) status: Json,
    /// The request for everything to be read anew.
    pub(crate) reconcile_at: Option<String>,
    /// When that came.
    pub(crate) asked: Option<Instant>,
}

impl Known {
    /// Whether the resource with that uid has that status.
    pub(super) fn says(&self, uid: &str, status: &Json) -> bool {
        self.uid == uid && self.status == *status
    }

    /// What `resource` says now, of which this was known before.
    pub(crate) fn next(&self, resource: &PolicyResource) -> Self {
        let is_asked = self.reconcile_at != resource.reconcile_at || self.asked.is_none();
        Self {
            uid: resource.uid.clone(),
            status: resource.status.clone(),
            reconcile_at: resource.reconcile_at.clone(),
            asked: if is_asked {
                Some(Instant::now())
            } else {
                self.asked
            },
        }
    }
}
