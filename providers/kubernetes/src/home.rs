//! The namespace that the engine keeps its own objects in.

use holdfast_contract::{ApiType, ProviderError, ResourceKey};
use http::Method;
use serde_json::json;

use crate::client::{Call, Client, Failure, Repeatable};
use crate::error::Asked;

/// Who writes the engine's own objects, as `managedFields` and a label name it.
pub(crate) const MANAGER: &str = "holdfast";

/// The label that says whose an object is.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The label that keeps an object out of backups: restored, it would say what was true once.
pub(crate) const NOT_BACKED_UP: &str = "velero.io/exclude-from-backup";

/// Whether something couldn't be made because the namespace that it is to lie in isn't there.
pub(crate) fn is_missing(failure: &Failure) -> bool {
    failure
        .status()
        .is_some_and(|status| status.code == 404 && status.details.kind == "namespaces")
}

/// Creates `namespace`, unless it is there.
pub(crate) async fn create(client: &Client, namespace: &str) -> Result<(), ProviderError> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": namespace, "labels": { MANAGED_BY: MANAGER } },
    });
    let call = Call::send(
        Method::POST,
        format!("/api/v1/namespaces?fieldManager={MANAGER}"),
        "application/json",
        &object,
        Repeatable::Idempotent,
    );
    match client.call(&call).await {
        Ok(_) => Ok(()),
        // Somebody else was faster, or a lost answer was ours.
        Err(Failure::Refused(status)) if status.code == 409 => Ok(()),
        Err(failure) => Err(failure.into_error(|status| {
            status.meaning(Asked {
                verb: "create",
                resource: "namespaces",
                key: &key(namespace),
                sensitive: false,
            })
        })),
    }
}

/// The namespace, as a resource.
pub(crate) fn key(namespace: &str) -> ResourceKey {
    ResourceKey {
        provider: "kubernetes".into(),
        kind: crate::kind::NAME.into(),
        api: Some(ApiType::new("v1", "Namespace")),
        namespace: None,
        name: namespace.to_owned(),
        region: None,
    }
}
