//! What other controllers do that the cluster doesn't have: the cloud credential operator, and Velero.

use std::time::Duration;

use holdfast_memory::{Effect, Reactions};

use crate::api::{Api, path, path_of};

/// How often they look. They are not part of what is tested, only of what it waits for.
const EVERY: Duration = Duration::from_millis(50);

/// An API version and a kind of it.
pub(crate) type Kind = (&'static str, &'static str);

/// What the cloud credential operator reacts on.
pub(crate) const CREDENTIALS: Kind = ("cloudcredential.openshift.io/v1", "CredentialsRequest");
/// What Velero reacts on.
pub(crate) const LOCATIONS: Kind = ("velero.io/v1", "BackupStorageLocation");

/// Does what `reactions` say about `kinds`, again and again, as long as it isn't dropped. All else in the file real
/// controllers do here.
pub(crate) async fn act(api: Api, reactions: Reactions, kinds: &[Kind]) {
    loop {
        for (api_version, kind) in kinds {
            for object in api.list(&path(api_version, kind, "", "")).await {
                for effect in reactions.for_object(&object) {
                    bring_about(&api, &path_of(&object), effect).await;
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn bring_about(api: &Api, object: &str, effect: Effect) {
    match effect {
        // Gone since it was listed: there is nothing left to react on.
        Effect::Patch { patch } => {
            if api.get(object).await.is_some() {
                api.patch(object, &patch).await;
            }
        }
        Effect::Create { manifest } => {
            let path = path_of(&manifest);
            if api.get(&path).await.is_none()
                && let Some((all, _)) = path.rsplit_once('/')
            {
                api.create(all, &manifest).await;
            }
        }
    }
}
