//! Which object a document is.

use holdfast_contract::{
    ApiType, KindName, Locator, NotLocated, ResourceKey, Scope, Served, Value, is_label,
};

use crate::types;

pub(super) fn locate(kind: &KindName, locator: &Locator<'_>) -> Result<ResourceKey, NotLocated> {
    let desired = locator.desired;
    let api_version = text(desired.get("apiVersion"), "apiVersion")?
        .ok_or_else(|| invalid("the object has no apiVersion"))?;
    let kind_name = text(desired.get("kind"), "kind")?.ok_or_else(|| invalid("the object has no kind"))?;
    let api = ApiType::new(&api_version, &kind_name);
    let metadata = desired.get("metadata");
    if let Some(Value::Unknown(unknown)) = metadata {
        return Err(NotLocated::Unknown(unknown.clone()));
    }
    let name = metadata
        .and_then(|metadata| metadata.get("name"))
        .or(locator.name);
    let name = match text(name, "metadata.name")? {
        Some(name) => name,
        None if desired.at(&["metadata", "generateName"]).is_some() => {
            return Err(invalid(
                "metadata.generateName can't be kept in place; give it a metadata.name",
            ));
        }
        None => return Err(invalid(format!("this {kind_name} has no metadata.name"))),
    };
    if !is_path_segment(&name) {
        return Err(invalid(format!(
            "metadata.name {name:?} is no name: it is empty, `.`, `..`, or has a `/` or `%`"
        )));
    }
    let namespace = text(
        metadata.and_then(|metadata| metadata.get("namespace")),
        "metadata.namespace",
    )?;
    let served = locator.served.get(&api).copied();
    let known = served
        .filter(|served| *served != Served::No)
        .or_else(|| types::scope(&api));
    let namespace = match (known, namespace) {
        // A default of the policy, laid under all objects.
        (Some(Served::Yes(Scope::Cluster)), _) => None,
        (Some(Served::Yes(Scope::Namespaced)), None) => {
            return Err(invalid(format!(
                "{kind_name} {name} has no metadata.namespace (hint: defaults: {{ {kind}: {{ metadata: {{ namespace: … }} }} }} gives it to all)"
            )));
        }
        (_, namespace) => namespace,
    };
    if let Some(namespace) = &namespace
        && !is_label(namespace)
    {
        return Err(invalid(format!(
            "metadata.namespace {namespace:?} is no namespace's name"
        )));
    }
    Ok(ResourceKey {
        provider: locator.provider.clone(),
        kind: kind.clone(),
        api: Some(api),
        namespace,
        name,
        region: None,
    })
}

fn invalid(text: impl Into<String>) -> NotLocated {
    NotLocated::Invalid(text.into())
}

/// The text of `value`, which stands at `place`.
fn text(value: Option<&Value>, place: &str) -> Result<Option<String>, NotLocated> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Unknown(unknown)) => Err(NotLocated::Unknown(unknown.clone())),
        Some(Value::Sensitive(_)) => Err(invalid(format!(
            "{place} is sensitive: a name is shown everywhere"
        ))),
        Some(_) => Err(invalid(format!("{place} is not a text"))),
    }
}

/// Whether `name` can stand in a request's path, as the server checks it.
fn is_path_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '%'])
}
