//! Settings of which a bucket has many, each under an id: all of them are read, and each is written by itself.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{FacetState, ProviderError, ResourceKey, Value};
use http::Method;

use crate::call::Call;
use crate::client::Client;
use crate::codec;
use crate::observe::{self, Read};
use crate::retry::Repeat;
use crate::schema::Element;
use crate::table::Row;
use crate::write::{XML, send_setting, unfit};
use crate::xml::Node;

/// The service allows 1,000 of each setting, and lists 100 at once.
const MAX_PAGES: usize = 20;

/// Reads all of them: every page, or it is an error.
pub(crate) async fn all(client: &Client, key: &ResourceKey, row: &Row, list: &Element) -> Read {
    let mut items: Vec<Node> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let mut call = Call::sub_resource(Method::GET, key, row.query, row.actions.read);
        if let Some(token) = &token {
            call.query.push(("continuation-token", token.clone()));
        }
        let answer = match client.send(&call).await {
            Ok(answer) => answer,
            Err(error) => return unreadable(error),
        };
        if !answer.status.is_success() {
            return observe::refused(client, &call, row, &answer);
        }
        // Stores without this setting answer with nothing, too.
        if answer.body.iter().all(u8::is_ascii_whitespace) {
            return unreadable(ProviderError::Unsupported {
                service: client.service(),
                what: format!("{}: its answer is empty", row.facet),
            });
        }
        let root = match observe::rooted(client, &call, row, row.roots, &answer) {
            Ok(root) => root,
            Err(error) => return unreadable(error),
        };
        let next = root
            .child_text("NextContinuationToken")
            .filter(|next| !next.is_empty())
            .map(str::to_owned);
        let is_cut = root
            .child_text("IsTruncated")
            .is_some_and(|text| text.trim() == "true");
        items.extend(root.children.into_iter().filter(|child| child.name == list.xml));
        match next {
            None if is_cut => {
                return unreadable(broken(
                    client,
                    &call,
                    "its list goes on, and it doesn't say where",
                ));
            }
            None => return Read::State(state(row, items)),
            Some(next) if seen.insert(next.clone()) => token = Some(next),
            Some(_) => return unreadable(broken(client, &call, "its pages go round in a circle")),
        }
    }
    unreadable(ProviderError::Unavailable {
        service: client.service(),
        message: format!("its list of {} doesn't end after {MAX_PAGES} pages", row.facet),
        source: None,
    })
}

fn state(row: &Row, items: Vec<Node>) -> FacetState {
    if items.is_empty() {
        return FacetState::Unset;
    }
    let name = row.roots.first().copied().unwrap_or_default();
    FacetState::Set(codec::read(row, &Node::with_children(name, items)))
}

fn unreadable(error: ProviderError) -> Read {
    Read::State(FacetState::Unreadable(error))
}

fn broken(client: &Client, call: &Call<'_>, message: &str) -> ProviderError {
    client.about(call, |asked| asked.contradiction(message))
}

/// Brings what stands from `now` to `wanted`: each that differs is written, each that is wanted no more is deleted.
pub(crate) async fn bring(
    client: &Client,
    key: &ResourceKey,
    row: &Row,
    list: &Element,
    wanted: &Value,
    now: Option<&Value>,
) -> Result<(), ProviderError> {
    let there = now.map(|now| by_id(list, now)).unwrap_or_default();
    let wanted = by_id(list, wanted);
    for (id, item) in &wanted {
        if there.get(id) == Some(item) {
            continue;
        }
        let root = codec::write_item(list, item).map_err(|fault| unfit(key, fault.to_string()))?;
        let call = one(Method::PUT, key, row, row.actions.write, id).with_body(XML, root.document());
        send_setting(client, &call, row).await?;
    }
    for id in there.keys().filter(|id| !wanted.contains_key(*id)) {
        delete(client, key, row, list, id).await?;
    }
    Ok(())
}

fn by_id<'a>(list: &Element, document: &'a Value) -> BTreeMap<&'a str, &'a Value> {
    let items = document.get(list.name).and_then(Value::as_list);
    let named = |item: &'a Value| Some((item.get("id")?.as_str()?, item));
    items.unwrap_or_default().iter().filter_map(named).collect()
}

/// Deletes one, and only where a GET has just returned its document: stores that don't know a sub-resource take its
/// DELETE for one of the whole bucket. For the same reason it isn't repeated when in doubt.
async fn delete(
    client: &Client,
    key: &ResourceKey,
    row: &Row,
    list: &Element,
    id: &str,
) -> Result<(), ProviderError> {
    let read = one(Method::GET, key, row, row.actions.read, id);
    let answer = client.send(&read).await?;
    if !answer.status.is_success() {
        let refusal = answer.refusal();
        if row.absent.contains(&refusal.code.as_str()) {
            return Ok(());
        }
        return Err(client.refused(&read, &refusal));
    }
    let roots = [list.xml, &format!("Get{}Response", list.xml)];
    let root = observe::rooted(client, &read, row, &roots, &answer)?;
    let item = root.child(list.xml).unwrap_or(&root);
    if item.child_text("Id") != Some(id) {
        return Err(broken(
            client,
            &read,
            "it answers with another setting than the one asked for",
        ));
    }
    let mut call = one(Method::DELETE, key, row, row.actions.delete, id);
    call.repeat = Repeat::OnlyRefused;
    client.succeed(&call).await.map(drop)
}

fn one<'a>(method: Method, key: &'a ResourceKey, row: &'a Row, action: &'a str, id: &str) -> Call<'a> {
    let mut call = Call::sub_resource(method, key, row.query, action);
    call.query.push(("id", id.to_owned()));
    call
}
