//! Who else holds what a write changes.

use holdfast_contract::{Change, Conflict, Difference, Path, Segment, Value};

use crate::lists;
use crate::owned::Owners;

/// What the server calls the holder of all fields of an object that was written when nobody kept account of it.
const NOBODY_KNOWN: &str = "before-first-apply";

/// Says of each replaced value who wrote it last; the conflicts that the change of any of it means, named as in
/// `declared`.
pub(super) fn explain(
    found: &mut [Difference],
    held: &Owners<'_>,
    old: &Value,
    declared: &Value,
) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for difference in found {
        conflicts.extend(
            disputes(&difference.path, held, old).map(|(path, manager)| Conflict {
                path: as_declared(&path, declared),
                manager,
            }),
        );
        if matches!(difference.change, Change::Replace { .. }) {
            difference.note = held.at(&difference.path, old).note();
        }
    }
    conflicts.sort_by(|a, b| (&a.path, &a.manager).cmp(&(&b.path, &b.manager)));
    conflicts.dedup();
    conflicts
}

/// Who else holds the value that a change at `path` changes, and where that value begins: what is one value is
/// disputed as one.
fn disputes(
    path: &Path,
    held: &Owners<'_>,
    document: &Value,
) -> impl Iterator<Item = (Path, String)> + use<> {
    let mut found = Vec::new();
    if !held.known && document.at_path(path).is_some() {
        found.push((path.clone(), NOBODY_KNOWN.to_owned()));
    }
    let segments = path.segments();
    for length in 1..=segments.len() {
        let around = Path::from(segments.iter().take(length).cloned().collect::<Vec<_>>());
        let is_empty = match document.at_path(&around) {
            Some(Value::Map(entries)) => entries.is_empty(),
            Some(Value::List(items)) => items.is_empty(),
            _ => false,
        };
        let owners = held.at(&around, document);
        // Who holds an empty map holds nothing that may come into it.
        if !(is_empty && length < segments.len()) {
            found.extend(
                owners
                    .others_of_the_whole()
                    .map(|manager| (around.clone(), manager.to_owned())),
            );
        }
        if !found.is_empty() {
            break;
        }
    }
    found.into_iter()
}

/// `path` with its items named by those keys only that they have in `declared`.
fn as_declared(path: &Path, declared: &Value) -> Path {
    let mut named = Path::root();
    let mut node = Some(declared);
    for segment in path.segments() {
        let segment = match (segment, node.and_then(|node| node.exposed().as_list())) {
            (Segment::Item(keys), Some(items)) => {
                let given = |item: &Value| -> Vec<(String, String)> {
                    let has = |(key, _): &&(String, String)| item.get(key).is_some();
                    keys.iter().filter(has).cloned().collect()
                };
                let is_it = |item: &&Value| {
                    let given = given(item);
                    let is_same = |(key, text): &(String, String)| {
                        item.get(key)
                            .is_some_and(|own| own.exposed().to_string() == *text)
                    };
                    !given.is_empty() && given.iter().all(is_same)
                };
                items
                    .iter()
                    .find(is_it)
                    .map_or_else(|| segment.clone(), |item| Segment::Item(given(item)))
            }
            _ => segment.clone(),
        };
        let single = Path::from(vec![segment.clone()]);
        node = node.and_then(|node| node.at_path(&single));
        named = named.join(segment);
    }
    named
}

/// Whether `path` is a part of something that others hold as one value, of which another part is changed: that it
/// comes back to us as a whole goes without saying.
pub(super) fn is_of_a_changed_value(
    path: &Path,
    changed: &[Path],
    held: &Owners<'_>,
    document: &Value,
) -> bool {
    let segments = path.segments();
    (1..segments.len()).any(|length| {
        let around = Path::from(segments.iter().take(length).cloned().collect::<Vec<_>>());
        let owners = held.at(&around, document);
        owners.whole() && !owners.ours.any() && changed.iter().any(|one| lists::is_below(one, &around))
    })
}
