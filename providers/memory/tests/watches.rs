//! What a watch of the world tells beyond what the suite of all providers asks for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    reason = "tests, which share a module that each uses a part of"
)]

mod common;

use std::collections::BTreeSet;

use common::{object, open, world};
use futures::{FutureExt, StreamExt};
use holdfast_contract::{Observation, ProviderError, Query, Seen, Wanted, Watched};

const DEFINITION: &str = r"
objects:
  - apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: { name: widgets.example.org }
    spec:
      group: example.org
      scope: Cluster
      names: { kind: Widget, plural: widgets }
      versions: [ { name: v1, served: true, storage: true } ]
    status: { conditions: [ { type: Established, status: 'True' } ] }
";

const OTHER: &str = r"
objects:
  - { apiVersion: v1, kind: Namespace, metadata: { name: shop } }
";

#[tokio::test]
async fn a_type_that_comes_and_goes_is_told_with_what_is_of_it() {
    let world = world();
    let provider = open(&world, "kubernetes", "kubernetes", None).await;
    let widget = object("example.org/v1", "Widget", None, "one");
    let watched = Watched {
        wanted: vec![Wanted {
            key: widget.clone(),
            facets: ["object".into()].into(),
        }],
        lists: vec![Query {
            kind: widget.kind.clone(),
            api: widget.api.clone(),
            namespace: None,
            selector: None,
            name_prefix: None,
            read: BTreeSet::new(),
        }],
        types: true,
        ..Watched::default()
    };
    let mut watch = provider.watch(&watched).unwrap();
    let mut told = || {
        let mut told = Vec::new();
        while let Some(Some(seen)) = watch.next().now_or_never() {
            told.push(match seen {
                Seen::One(_, Err(ProviderError::NotServed { .. })) => "one: not served".to_owned(),
                Seen::One(_, Ok(Observation::Absent)) => "one: absent".to_owned(),
                Seen::One(_, Ok(Observation::Present(_))) => "one: present".to_owned(),
                Seen::All(_, Err(ProviderError::NotServed { .. })) => "list: not served".to_owned(),
                Seen::All(_, Ok(found)) => format!("list: {}", found.len()),
                Seen::Listed(_, found) => format!("listed: {}", found.key.name),
                Seen::Types => "types".to_owned(),
                other => panic!("{other:?}"),
            });
        }
        told
    };
    assert_eq!(told(), ["one: not served", "list: not served"]);
    world.put(OTHER).unwrap();
    assert!(told().is_empty(), "another object is no change of these");
    world.put(DEFINITION).unwrap();
    assert_eq!(told(), ["types", "one: absent", "list: 0"]);
    world
        .put("objects: [ { apiVersion: example.org/v1, kind: Widget, metadata: { name: one } } ]")
        .unwrap();
    assert_eq!(told(), ["one: present", "listed: one"]);
    let definition = object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
        "widgets.example.org",
    );
    world.delete(&definition).unwrap();
    assert_eq!(told(), ["types", "one: not served", "list: not served"]);
    world.put(DEFINITION).unwrap();
    assert_eq!(
        told(),
        ["types", "one: absent", "list: 0"],
        "what was of it went with it"
    );
}
