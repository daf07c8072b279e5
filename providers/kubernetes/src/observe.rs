//! Reading objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use holdfast_contract::{
    ApiType, FacetState, Observation, Observed, ProviderError, ResourceKey, Value, Version, Wanted,
};
use serde_json::Value as Json;

use crate::client::{Call, Client, Failure};
use crate::discovery::Resource;
use crate::error::{Asked, Status, lost};
use crate::kind::{OBJECT, STATUS};
use crate::provider::Server;
use crate::{secret, types};

/// From how many objects of one type and namespace on one list is cheaper than a request for each.
pub(crate) const LIST_FROM: usize = 4;
/// Objects to a page of a list. The server may give fewer.
pub(crate) const PAGE: usize = 500;
/// How often a list is begun anew because its snapshot went before its last page was read.
const LIST_TRIES: usize = 3;

/// Types and namespaces that may be read by name only, so that no list is tried twice.
#[derive(Debug, Default)]
pub(crate) struct Unlisted(Mutex<BTreeSet<(ApiType, Option<String>)>>);

impl Unlisted {
    pub(crate) fn has(&self, group: &(ApiType, Option<String>)) -> bool {
        self.0.lock().is_ok_and(|groups| groups.contains(group))
    }

    pub(crate) fn add(&self, group: (ApiType, Option<String>)) {
        if let Ok(mut groups) = self.0.lock() {
            groups.insert(group);
        }
    }
}

/// Reads all of `wanted`, in its order.
///
/// More than three objects of a type in a namespace are read by one list, which is complete or an error; others, and
/// all Secrets, by name. Body and status come in one answer, so both are given whichever was asked for.
pub(crate) async fn observe(server: &Server, wanted: &[Wanted]) -> Vec<Result<Observation, ProviderError>> {
    let mut groups: BTreeMap<(ApiType, Option<String>), BTreeSet<&ResourceKey>> = BTreeMap::new();
    for one in wanted {
        if let Some(api) = &one.key.api {
            groups
                .entry((api.clone(), one.key.namespace.clone()))
                .or_default()
                .insert(&one.key);
        }
    }
    let mut running: FuturesUnordered<_> = groups
        .into_iter()
        .map(|(group, keys)| read_group(server, group, keys, LIST_FROM))
        .collect();
    let mut answers = BTreeMap::new();
    while let Some(group) = running.next().await {
        answers.extend(group);
    }
    wanted
        .iter()
        .map(|one| {
            answers
                .get(&one.key)
                .cloned()
                .unwrap_or_else(|| Err(no_type(&one.key)))
        })
        .collect()
}

pub(crate) fn no_type(key: &ResourceKey) -> ProviderError {
    ProviderError::Invalid {
        target: key.to_string(),
        message: "an object is known by its apiVersion and kind".to_owned(),
        field: None,
    }
}

pub(crate) type Answers = BTreeMap<ResourceKey, Result<Observation, ProviderError>>;

/// Reads `keys`, all of one type and namespace; from `list_from` of them on by one list.
pub(crate) async fn read_group(
    server: &Server,
    group: (ApiType, Option<String>),
    keys: BTreeSet<&ResourceKey>,
    list_from: usize,
) -> Answers {
    let resource = match server.discovery.resource(&server.client, &group.0).await {
        Ok(resource) => resource,
        Err(error) => {
            return keys
                .into_iter()
                .map(|key| (key.clone(), Err(error.clone())))
                .collect();
        }
    };
    let by_name = keys.len() < list_from || types::is_secret(&group.0) || server.unlisted.has(&group);
    if !by_name {
        match read_list(&server.client, &resource, group.1.as_deref(), &keys).await {
            Ok(answers) => return answers,
            // A role may name the objects that may be read, and then no list is allowed.
            Err(ProviderError::Denied { .. }) => server.unlisted.add(group),
            Err(error) => {
                return keys
                    .into_iter()
                    .map(|key| (key.clone(), Err(error.clone())))
                    .collect();
            }
        }
    }
    let resource = &resource;
    let mut running: FuturesUnordered<_> = keys
        .into_iter()
        .map(|key| async move { (key.clone(), read_one(&server.client, resource, key).await) })
        .collect();
    let mut answers = Answers::new();
    while let Some((key, answer)) = running.next().await {
        answers.insert(key, answer);
    }
    answers
}

/// Reads one object by its name.
pub(crate) async fn read_one(
    client: &Client,
    resource: &Resource,
    key: &ResourceKey,
) -> Result<Observation, ProviderError> {
    let path = resource.path_of(key.namespace.as_deref(), &key.name)?;
    match client.call(&Call::get(path)).await {
        Ok(answer) => observed(key, answer.body).map(|observed| Observation::Present(Arc::new(observed))),
        Err(failure) if is_absent(&failure, resource, &key.name) => Ok(Observation::Absent),
        Err(failure) => Err(failure.into_error(|status| meaning(status, "get", resource, key))),
    }
}

/// Whether the server says that just this object isn't there.
fn is_absent(failure: &Failure, resource: &Resource, name: &str) -> bool {
    failure
        .status()
        .is_some_and(|status| status.is_not_found_of(&resource.plural, name))
}

/// What a refused read means. Reads carry no document, so the server's words hold none.
pub(crate) fn meaning(
    status: &Status,
    verb: &'static str,
    resource: &Resource,
    key: &ResourceKey,
) -> ProviderError {
    status.meaning(Asked {
        verb,
        resource: &resource.name(),
        key,
        sensitive: types::is_secret(&resource.api),
    })
}

async fn read_list(
    client: &Client,
    resource: &Resource,
    namespace: Option<&str>,
    keys: &BTreeSet<&ResourceKey>,
) -> Result<Answers, ProviderError> {
    let mut answers: Answers = keys
        .iter()
        .map(|key| ((*key).clone(), Ok(Observation::Absent)))
        .collect();
    let by_name: BTreeMap<&str, &ResourceKey> = keys.iter().map(|key| (key.name.as_str(), *key)).collect();
    list(client, resource, namespace, "", |item| {
        let name = item.pointer("/metadata/name").and_then(Json::as_str);
        if let Some(key) = name.and_then(|name| by_name.get(name)) {
            let observation = observed(key, item).map(|observed| Observation::Present(Arc::new(observed)));
            answers.insert((*key).clone(), observation);
        }
    })
    .await?;
    Ok(answers)
}

/// Gives each object of a list to `take`, page by page; an error if a page can't be read. Returns the version of the
/// list. `query` is added to the request's query, each part with its leading `&`.
///
/// Where the list has to be begun anew, an object may be given twice.
pub(crate) async fn list(
    client: &Client,
    resource: &Resource,
    namespace: Option<&str>,
    query: &str,
    mut take: impl FnMut(Json),
) -> Result<String, ProviderError> {
    let path = resource.path(namespace);
    let mut token = String::new();
    let mut begun = 1;
    loop {
        let mut uri = format!("{path}?limit={PAGE}{query}");
        if !token.is_empty() {
            uri = format!("{uri}&continue={}", crate::client::encoded(&token));
        }
        let mut body = match client.call(&Call::list(uri)).await {
            Ok(answer) => answer.body,
            // The snapshot that the token names is gone: what was read can't be completed.
            Err(failure) if is_expired(&failure) && begun < LIST_TRIES => {
                token.clear();
                begun += 1;
                continue;
            }
            Err(failure) => {
                let all = any_of(resource, namespace);
                return Err(failure.into_error(|status| meaning(status, "list", resource, &all)));
            }
        };
        let Some(Json::Array(items)) = body.get_mut("items").map(Json::take) else {
            return Err(lost(format!("its list of {} has no items", resource.name())));
        };
        items.into_iter().for_each(&mut take);
        let metadata = |key: &str| body.pointer(&format!("/metadata/{key}")).and_then(Json::as_str);
        token = metadata("continue").map(str::to_owned).unwrap_or_default();
        if token.is_empty() {
            return Ok(metadata("resourceVersion").unwrap_or_default().to_owned());
        }
    }
}

fn is_expired(failure: &Failure) -> bool {
    failure.status().is_some_and(|status| status.code == 410)
}

/// A key that stands for a whole list, for messages.
pub(crate) fn any_of(resource: &Resource, namespace: Option<&str>) -> ResourceKey {
    ResourceKey {
        provider: "kubernetes".into(),
        kind: crate::kind::NAME.into(),
        api: Some(resource.api.clone()),
        namespace: namespace.map(str::to_owned),
        name: "*".to_owned(),
        region: None,
    }
}

/// An object as read. Secrets come out sealed.
pub(crate) fn observed(key: &ResourceKey, object: Json) -> Result<Observed, ProviderError> {
    let Value::Map(mut entries) = Value::from_json(object) else {
        return Err(lost(format!("{key} as it was answered is no object")));
    };
    // Items of a list don't say what they are.
    if let Some(api) = &key.api {
        entries
            .entry("apiVersion".to_owned())
            .or_insert_with(|| api.api_version.as_str().into());
        entries
            .entry("kind".to_owned())
            .or_insert_with(|| api.kind.as_str().into());
    }
    let status = match entries.remove(STATUS) {
        Some(status) => FacetState::Set(status),
        None => FacetState::Unset,
    };
    let object = Value::Map(entries);
    let metadata = |field| {
        object
            .at(&["metadata", field])
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let (uid, version, deleting) = (
        metadata("uid"),
        metadata("resourceVersion").map(Version),
        metadata("deletionTimestamp").is_some(),
    );
    if uid.is_none() {
        return Err(lost(format!("{key} as it was answered has no uid")));
    }
    let object = match &key.api {
        Some(api) => secret::sealed(api, object),
        None => object,
    };
    Ok(Observed {
        key: key.clone(),
        uid,
        version,
        deleting,
        facets: BTreeMap::from([(OBJECT.into(), FacetState::Set(object)), (STATUS.into(), status)]),
    })
}
