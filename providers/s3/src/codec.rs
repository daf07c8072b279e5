//! Documents of the table, between XML and values.
//!
//! What the table doesn't know is kept under the service's own name, which no policy can declare, so that a setting
//! that is newer than this table survives a write.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::Value;

use crate::schema::{Content, Element};
use crate::table::{Document, Row};
use crate::xml::Node;

/// The elements of a document of tags.
const TAG_SET: &str = "TagSet";

/// Why a document can't be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} is not {expected}")]
pub(crate) struct NotWritable {
    /// Where.
    pub(crate) place: String,
    /// What should be there.
    pub(crate) expected: &'static str,
}

/// The document that `root` holds; an empty map where it holds nothing.
pub(crate) fn read(row: &Row, root: &Node) -> Value {
    match &row.document {
        Document::Xml(elements) | Document::Account(elements) => group(elements, root),
        Document::Listed(list) => {
            // Beside the items the answer holds where in the list it stands.
            let items: Vec<Node> = root.all(list.xml).cloned().collect();
            group(row.elements(), &Node::with_children(&root.name, items))
        }
        Document::Tags => {
            let tags = root.child(TAG_SET).unwrap_or(root);
            tags.all("Tag")
                .map(|tag| {
                    let text = |name| tag.child_text(name).unwrap_or_default();
                    (text("Key"), Value::from(text("Value")))
                })
                .collect()
        }
        Document::Acl(elements) => {
            let mut document = group(elements, root);
            let only = owner_only(&document);
            if let Some(entries) = document.as_map_mut() {
                entries.insert("ownerOnly".to_owned(), Value::Bool(only));
            }
            document
        }
        Document::Policy => Value::map(),
    }
}

fn owner_only(document: &Value) -> bool {
    let owner = document.at(&["owner", "id"]).and_then(Value::as_str);
    let grants = document
        .get("grants")
        .and_then(Value::as_list)
        .unwrap_or_default();
    owner.is_some()
        && grants
            .iter()
            .all(|grant| grant.at(&["grantee", "id"]).and_then(Value::as_str) == owner)
}

/// `document` as XML, without the field that travels in a header.
pub(crate) fn write(row: &Row, document: &Value) -> Result<Node, NotWritable> {
    let name = row.roots.first().copied().unwrap_or_default();
    match &row.document {
        Document::Xml(elements) => {
            let mut document = document.clone();
            if let (Some(header), Some(entries)) = (&row.header, document.as_map_mut()) {
                entries.remove(header.element.name);
            }
            write_group(elements, name, row.facet, &document)
        }
        Document::Tags => {
            let tags = document.as_map().ok_or_else(|| fault(row.facet, "a map"))?;
            let tags = tags
                .iter()
                .map(|(key, value)| tag(key, value, row.facet))
                .collect::<Result<_, _>>()?;
            Ok(Node::with_children(
                name,
                vec![Node::with_children(TAG_SET, tags)],
            ))
        }
        Document::Acl(_) | Document::Account(_) | Document::Policy | Document::Listed(_) => {
            Err(fault(row.facet, "written as one document of XML"))
        }
    }
}

/// One item of a list of documents, as the document that it is.
pub(crate) fn write_item(list: &Element, item: &Value) -> Result<Node, NotWritable> {
    match &list.content {
        Content::Repeated(content, _) => write_content(content, list.xml, list.name, item),
        _ => Err(fault(list.name, "a list of documents")),
    }
}

/// One tag as XML.
pub(crate) fn tag(key: &str, value: &Value, place: &str) -> Result<Node, NotWritable> {
    let value = scalar(value).ok_or_else(|| fault(&format!("{place}[{key:?}]"), "text"))?;
    Ok(Node::with_children(
        "Tag",
        vec![Node::with_text("Key", key), Node::with_text("Value", value)],
    ))
}

fn group(elements: &[Element], node: &Node) -> Value {
    let mut document = BTreeMap::new();
    let mut known = BTreeSet::new();
    for element in elements {
        known.insert(element.xml);
        let value = match &element.content {
            Content::Attribute => {
                let local = element.xml.rsplit(':').next().unwrap_or_default();
                node.attribute(local).map(Value::from)
            }
            Content::Repeated(item, _) => {
                let items: Vec<Value> = node.all(element.xml).map(|node| content(item, node)).collect();
                (!items.is_empty()).then_some(Value::List(items))
            }
            Content::Wrapped(name, item, _) => node
                .child(element.xml)
                .map(|list| list.all(name).map(|node| content(item, node)).collect::<Value>()),
            other => node.child(element.xml).map(|node| content(other, node)),
        };
        if let Some(value) = value {
            document.insert(element.name.to_owned(), value);
        }
    }
    for child in &node.children {
        if !known.contains(child.name.as_str()) {
            let value = foreign(child);
            match document.get_mut(&child.name) {
                None => {
                    document.insert(child.name.clone(), value);
                }
                Some(Value::List(items)) => items.push(value),
                Some(first) => *first = Value::List(vec![first.clone(), value]),
            }
        }
    }
    Value::Map(document)
}

fn content(content: &Content, node: &Node) -> Value {
    let text = node.text.as_str();
    match content {
        Content::Text(one_of) => {
            // Stores disagree about the case of what comes from a closed list.
            let same = one_of.iter().find(|one| one.eq_ignore_ascii_case(text));
            Value::from(same.copied().unwrap_or(text))
        }
        Content::Bool if text.trim().eq_ignore_ascii_case("true") => Value::Bool(true),
        Content::Bool if text.trim().eq_ignore_ascii_case("false") => Value::Bool(false),
        Content::Integer => text
            .trim()
            .parse::<i64>()
            .map_or_else(|_| Value::from(text), Value::from),
        Content::Bool | Content::Date | Content::Attribute => Value::from(text),
        Content::Struct(elements) => group(elements, node),
        // Lists are read where their element is looked for; the table has no list of lists.
        Content::Repeated(item, _) | Content::Wrapped(_, item, _) => self::content(item, node),
    }
}

/// An element that the table doesn't know.
fn foreign(node: &Node) -> Value {
    if node.children.is_empty() {
        Value::from(node.text.as_str())
    } else {
        group(&[], node)
    }
}

fn write_group(elements: &[Element], name: &str, place: &str, value: &Value) -> Result<Node, NotWritable> {
    let entries = value.as_map().ok_or_else(|| fault(place, "a map"))?;
    let mut node = Node::new(name);
    for element in elements {
        let Some(value) = entries.get(element.name) else {
            continue;
        };
        let place = format!("{place}.{}", element.name);
        match &element.content {
            Content::Attribute => {
                let text = scalar(value).ok_or_else(|| fault(&place, "text"))?;
                node.attributes.push((element.xml.to_owned(), text));
            }
            Content::Repeated(item, _) => {
                node.children.extend(items(item, element.xml, &place, value)?);
            }
            Content::Wrapped(item_name, item, _) => {
                let items = items(item, item_name, &place, value)?;
                node.children.push(Node::with_children(element.xml, items));
            }
            other => node
                .children
                .push(write_content(other, element.xml, &place, value)?),
        }
    }
    let known: BTreeSet<&str> = elements.iter().map(|element| element.name).collect();
    for (key, value) in entries.iter().filter(|(key, _)| !known.contains(key.as_str())) {
        // Only the service's own names are words that it can read back.
        if !key.starts_with(|c: char| c.is_ascii_uppercase())
            || !key.chars().all(|c| c.is_ascii_alphanumeric())
        {
            return Err(fault(&format!("{place}.{key}"), "a setting that the service has"));
        }
        write_foreign(key, &format!("{place}.{key}"), value, &mut node.children)?;
    }
    Ok(node)
}

fn items(item: &Content, name: &str, place: &str, value: &Value) -> Result<Vec<Node>, NotWritable> {
    let items = value.as_list().ok_or_else(|| fault(place, "a list"))?;
    items
        .iter()
        .enumerate()
        .map(|(index, value)| write_content(item, name, &format!("{place}[{index}]"), value))
        .collect()
}

fn write_content(content: &Content, name: &str, place: &str, value: &Value) -> Result<Node, NotWritable> {
    match content {
        Content::Struct(elements) => write_group(elements, name, place, value),
        _ => scalar(value)
            .map(|text| Node::with_text(name, text))
            .ok_or_else(|| fault(place, "a single value")),
    }
}

fn write_foreign(name: &str, place: &str, value: &Value, into: &mut Vec<Node>) -> Result<(), NotWritable> {
    match value {
        Value::List(items) => {
            for value in items {
                write_foreign(name, place, value, into)?;
            }
        }
        Value::Map(_) => into.push(write_group(&[], name, place, value)?),
        other => {
            let text = scalar(other).ok_or_else(|| fault(place, "known"))?;
            into.push(Node::with_text(name, text));
        }
    }
    Ok(())
}

fn scalar(value: &Value) -> Option<String> {
    match value.exposed() {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        _ => None,
    }
}

fn fault(place: &str, expected: &'static str) -> NotWritable {
    NotWritable {
        place: place.to_owned(),
        expected,
    }
}
