//! Where an object is not as declared: values, and who holds them.

use holdfast_contract::{ApiType, Change, Desired, Difference, Path, Segment, Value};

use crate::lists::{self, Identity, Type};
use crate::owned::{Hold, Owners, is_item, item_keys};
use crate::quantity;
use crate::secret::Taint;
use crate::types;

/// What stands where in one facet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The object's type.
    pub(crate) api: &'a ApiType,
    /// The facet's document as observed.
    pub(crate) document: &'a Value,
    /// Who holds what of it.
    pub(crate) owners: &'a Owners<'a>,
}

/// What the server adds by itself inside of something that it keeps as one value: no difference.
///
/// A wrong or missing entry here costs a dry run, not a wrong plan: it is kept to exact values.
fn is_default(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("apiVersion", Value::String(text)) => text == "v1",
        ("apiGroup", Value::String(text)) => text.is_empty() || text == "rbac.authorization.k8s.io",
        ("divisor", Value::String(text)) => text == "0",
        ("kind", Value::String(text)) => text == "PersistentVolumeClaim",
        ("protocol", Value::String(text)) => text == "TCP",
        ("scope", Value::String(text)) => text == "*",
        ("volumeMode", Value::String(text)) => text == "Filesystem",
        ("expirationSeconds", value) => value.as_i64() == Some(3600),
        ("status", Value::Map(inner)) => {
            inner.len() == 1 && inner.get("phase").and_then(Value::as_str) == Some("Pending")
        }
        _ => false,
    }
}

/// Whether this is what a `LimitRange` takes from its limit `default` where it declares no request.
fn is_limit_default(key: &str, value: &Value, limits: Option<&Value>) -> bool {
    let (Some(requests), Some(limits)) = (value.as_map(), limits.and_then(Value::as_map)) else {
        return false;
    };
    key == "defaultRequest"
        && requests.iter().all(|(name, amount)| {
            limits
                .get(name)
                .is_some_and(|limit| quantity::same_amount(limit, amount))
        })
}

/// Where the observed facet is not as desired, ordered by path.
pub(crate) fn compare(desired: &Desired, facts: Facts<'_>) -> Vec<Difference> {
    let declared = without_identity(applied(desired, Some(facts.document), facts.owners));
    let mut walk = Walk {
        api: facts.api,
        kind: Type {
            kind: &facts.api.kind,
            built_in: types::is_built_in(facts.api),
        },
        desired,
        claims: true,
        found: Vec::new(),
    };
    walk.node(&Path::root(), &declared, Some(facts.document), facts.owners);
    walk.undeclared(&Path::root(), Some(&declared), facts.document, facts.owners);
    for path in &desired.absent {
        if let Some(old) = facts.document.at_path(path) {
            walk.push(path.clone(), Change::Remove { old: old.clone() }, None);
        }
    }
    let mut found = walk.found;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    Taint::of(&desired.value).seal_all(&mut found);
    found
}

/// The document that an apply of `desired` sends, over what was observed.
///
/// It is `desired`, but for its `initial` places: those that we hold keep the value that they have; those that we
/// don't are left out, so that they stay with whoever holds them.
pub(crate) fn applied(desired: &Desired, observed: Option<&Value>, owners: &Owners<'_>) -> Value {
    let mut body = desired.value.clone();
    let Some(observed) = observed else {
        return body;
    };
    for path in &desired.initial {
        let kept = observed.at_path(path);
        match kept {
            Some(kept) if owners.known && owners.at(path, observed).ours.any() => {
                put(&mut body, path.segments(), kept.clone());
            }
            // It vanished, or somebody else has it now.
            _ => holdfast_contract::remove(&mut body, std::slice::from_ref(path)),
        }
    }
    body
}

/// Replaces what stands at `path`, if something does.
fn put(body: &mut Value, path: &[Segment], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *body = value;
        return;
    };
    let next = match (body, first) {
        (Value::Map(entries), Segment::Key(key)) => entries.get_mut(key),
        (Value::List(items), Segment::Index(index)) => items.get_mut(*index),
        (Value::List(items), Segment::Item(keys)) => items.iter_mut().find(|item| {
            keys.iter().all(|(key, text)| {
                item.get(key)
                    .is_some_and(|own| own.exposed().to_string() == *text)
            })
        }),
        _ => None,
    };
    if let Some(next) = next {
        put(next, rest, value);
    }
}

/// Without what says which object it is: that is the key's, and is never compared.
fn without_identity(mut body: Value) -> Value {
    if let Some(entries) = body.as_map_mut() {
        entries.remove("apiVersion");
        entries.remove("kind");
        if let Some(metadata) = entries.get_mut("metadata").and_then(Value::as_map_mut) {
            metadata.remove("name");
            metadata.remove("namespace");
            if metadata.is_empty() {
                entries.remove("metadata");
            }
        }
    }
    body
}

/// How a place, with all that is declared below it, compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Equal,
    /// Equal, but not ours.
    Claimed,
    Differs,
}

struct Walk<'a> {
    api: &'a ApiType,
    kind: Type<'a>,
    desired: &'a Desired,
    /// Whether to look for who holds what, too.
    claims: bool,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn push(&mut self, path: Path, change: Change, note: Option<String>) -> Outcome {
        let outcome = if change == Change::Claim {
            Outcome::Claimed
        } else {
            Outcome::Differs
        };
        self.found.push(Difference { path, change, note });
        outcome
    }

    fn replace(&mut self, path: &Path, old: &Value, new: &Value, owners: &Owners<'_>) -> Outcome {
        self.push(path.clone(), replaced(old, new), owners.note())
    }

    /// An equal leaf: a claim, if somebody else holds it and we don't.
    fn leaf(&mut self, path: &Path, owners: &Owners<'_>) -> Outcome {
        if self.claims && owners.known && !owners.ours.any() {
            return self.push(path.clone(), Change::Claim, owners.note());
        }
        Outcome::Equal
    }

    fn node(&mut self, path: &Path, wanted: &Value, there: Option<&Value>, owners: &Owners<'_>) -> Outcome {
        let Some(there) = there else {
            // A zero value that the server left out when it stored what we applied.
            if self.kind.built_in && owners.known && owners.ours.any() && is_zero(wanted) {
                return Outcome::Equal;
            }
            return self.push(path.clone(), Change::Add { new: wanted.clone() }, None);
        };
        if is_sealed_container(wanted) || is_sealed_container(there) {
            let before = self.found.len();
            let outcome = self.node(path, wanted.exposed(), Some(there.exposed()), owners);
            // What is sealed as a whole shows none of its parts.
            self.found.truncate(before);
            return match outcome {
                Outcome::Equal => Outcome::Equal,
                Outcome::Claimed => self.push(path.clone(), Change::Claim, owners.note()),
                Outcome::Differs => self.replace(path, there, wanted, owners),
            };
        }
        match (wanted, there) {
            (Value::Map(_), Value::Map(_)) => self.maps(path, wanted, there, owners),
            (Value::List(wanted), Value::List(there)) => self.lists(path, wanted, there, owners),
            _ => {
                let same = same_scalar(wanted, there)
                    || self.kind.built_in
                        && quantity::is_quantity_place(self.api, path)
                        && quantity::same_amount(wanted, there);
                if same {
                    self.leaf(path, owners)
                } else {
                    self.replace(path, there, wanted, owners)
                }
            }
        }
    }

    fn maps(&mut self, path: &Path, wanted: &Value, there: &Value, owners: &Owners<'_>) -> Outcome {
        let (Some(wanted), Some(there)) = (wanted.as_map(), there.as_map()) else {
            return Outcome::Equal;
        };
        let before = self.found.len();
        let mut outcomes = Vec::new();
        if wanted.is_empty() {
            outcomes.push(self.leaf(path, owners));
        }
        for (key, value) in wanted {
            outcomes.push(self.node(&path.key(key), value, there.get(key), &owners.field(key)));
        }
        let one_value = self.is_one_value(path, wanted.is_empty(), owners);
        for (key, old) in there.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
            let default = is_default(key, old.exposed()) || is_limit_default(key, old, wanted.get("default"));
            let ours = one_value && !(self.kind.built_in && default);
            if ours || self.is_exact(path, key) {
                let note = owners.field(key).note();
                outcomes.push(self.push(path.key(key), Change::Remove { old: old.clone() }, note));
            }
        }
        self.fold(path, before, &outcomes, owners)
    }

    /// Whether we hold this map as one value: then what it holds beyond the declared was ours and is to go.
    fn is_one_value(&self, path: &Path, empty: bool, owners: &Owners<'_>) -> bool {
        if !owners.known || !matches!(owners.ours, Hold::Whole) || owners.granular() {
            return false;
        }
        // An empty map is held as a whole, too, whatever the schema says of it. Of built-in types only selectors are
        // one value; in others, such as `strategy: {}`, what is there are defaults.
        let selector = matches!(path.segments().last(), Some(Segment::Key(key)) if key.ends_with("elector"));
        !(empty && self.kind.built_in) || selector
    }

    fn lists(&mut self, path: &Path, wanted: &[Value], there: &[Value], owners: &Owners<'_>) -> Outcome {
        if wanted.is_empty() && there.is_empty() && !owners.ours.any() && !owners.shared() {
            // Of a list that merges, an empty one has nothing that anybody could hold.
            return Outcome::Equal;
        }
        let items = if wanted.is_empty() { there } else { wanted };
        match lists::identity(self.kind, field_of(path), items, owners) {
            Identity::Keyed(keys) => {
                match (lists::keyed(wanted, &keys), lists::keyed(there, &keys)) {
                    (Some(wanted), Some(there)) => self.keyed(path, &keys, &wanted, &there, owners),
                    // Items that can't be told apart: the server decides.
                    _ => self.atomic(path, wanted, there, owners),
                }
            }
            Identity::Set => self.set(path, wanted, there, owners),
            Identity::Atomic => self.atomic(path, wanted, there, owners),
        }
    }

    fn keyed(
        &mut self,
        path: &Path,
        keys: &[String],
        wanted: &[lists::Keyed<'_>],
        there: &[lists::Keyed<'_>],
        owners: &Owners<'_>,
    ) -> Outcome {
        let whole =
            |items: &[lists::Keyed<'_>]| Value::List(items.iter().map(|(_, item)| (*item).clone()).collect());
        let places: Vec<usize> = wanted
            .iter()
            .filter_map(|(id, _)| there.iter().position(|(other, _)| other == id))
            .collect();
        if !places.is_sorted() {
            // Order has a meaning: init containers run in it, variables refer to earlier ones.
            return self.replace(path, &whole(there), &whole(wanted), owners);
        }
        let before = self.found.len();
        let mut outcomes = Vec::new();
        if wanted.is_empty() {
            outcomes.push(self.leaf(path, owners));
        }
        for (id, item) in wanted {
            let place = path.join(Segment::Item(lists::place_of(item, keys)));
            let other = there.iter().find(|(other, _)| other == id).map(|(_, item)| *item);
            outcomes.push(self.node(&place, item, other, &owners.item(item)));
        }
        for (id, old) in there {
            if self.is_exact_below(path) && !wanted.iter().any(|(other, _)| other == id) {
                let place = path.join(Segment::Item(lists::place_of(old, keys)));
                outcomes.push(self.push(place, Change::Remove { old: (*old).clone() }, None));
            }
        }
        self.fold(path, before, &outcomes, owners)
    }

    fn set(&mut self, path: &Path, wanted: &[Value], there: &[Value], owners: &Owners<'_>) -> Outcome {
        let before = self.found.len();
        let mut outcomes = Vec::new();
        for (index, value) in wanted.iter().enumerate() {
            let held = owners.item(value);
            outcomes.push(if there.iter().any(|old| same_scalar(value, old)) {
                self.leaf(&path.index(index), &held)
            } else {
                self.push(path.index(index), Change::Add { new: value.clone() }, None)
            });
        }
        for (index, old) in there.iter().enumerate() {
            if self.is_exact_below(path) && !wanted.iter().any(|value| same_scalar(value, old)) {
                outcomes.push(self.push(path.index(index), Change::Remove { old: old.clone() }, None));
            }
        }
        self.fold(path, before, &outcomes, owners)
    }

    fn atomic(&mut self, path: &Path, wanted: &[Value], there: &[Value], owners: &Owners<'_>) -> Outcome {
        if wanted.len() != there.len() {
            let (there, wanted) = (Value::List(there.to_vec()), Value::List(wanted.to_vec()));
            return self.replace(path, &there, &wanted, owners);
        }
        // The same number of items: say which field of which item differs. Who holds it is said once, for the list.
        let claims = std::mem::replace(&mut self.claims, false);
        let mut differs = false;
        for (index, (value, old)) in wanted.iter().zip(there).enumerate() {
            let outcome = self.node(&path.index(index), value, Some(old), &owners.item(old));
            differs |= outcome != Outcome::Equal;
        }
        self.claims = claims;
        if differs {
            Outcome::Differs
        } else {
            self.leaf(path, owners)
        }
    }

    /// One claim for a place, rather than one for each leaf of it, where all of it is to be claimed.
    fn fold(&mut self, path: &Path, before: usize, outcomes: &[Outcome], owners: &Owners<'_>) -> Outcome {
        if outcomes.iter().all(|outcome| *outcome == Outcome::Equal) {
            return Outcome::Equal;
        }
        if path.is_root() || outcomes.iter().any(|outcome| *outcome != Outcome::Claimed) {
            return Outcome::Differs;
        }
        self.found.truncate(before);
        self.push(path.clone(), Change::Claim, owners.note())
    }

    /// What we hold and no longer declare.
    fn undeclared(&mut self, path: &Path, declared: Option<&Value>, there: &Value, owners: &Owners<'_>) {
        let Hold::Part(ours) = owners.ours else {
            return;
        };
        let declared = declared.map(Value::exposed);
        for key in ours.keys() {
            if let Some(name) = key.strip_prefix("f:") {
                let Some(old) = there.get(name) else { continue };
                let held = owners.field(name);
                match declared.and_then(|declared| declared.get(name)) {
                    Some(value) => self.undeclared(&path.key(name), Some(value), old, &held),
                    None => self.removal(path.key(name), old, &held),
                }
                continue;
            }
            let Some(items) = list_of(there) else { continue };
            let Some((index, old)) = items.iter().enumerate().find(|(_, item)| is_item(key, item)) else {
                continue;
            };
            let held = owners.item(old);
            let place = match item_keys(key) {
                Some(keys) => path.join(Segment::Item(lists::place_of(
                    old,
                    &keys.into_keys().collect::<Vec<_>>(),
                ))),
                None => path.index(index),
            };
            let wanted = declared.and_then(list_of);
            match wanted.and_then(|wanted| wanted.iter().find(|item| is_item(key, item))) {
                Some(value) => self.undeclared(&place, Some(value), old, &held),
                // A list that is declared otherwise than by items is compared as a whole.
                None => self.removal(place, old, &held),
            }
        }
    }

    /// Takes out what is there of something that only we hold. What others hold, too, stays as it is.
    fn removal(&mut self, path: Path, old: &Value, owners: &Owners<'_>) {
        let item = matches!(path.segments().last(), Some(Segment::Item(_) | Segment::Index(_)));
        match owners.ours {
            Hold::No => {}
            Hold::Whole if owners.shared() => {}
            Hold::Part(_) if !item || owners.shared() => self.undeclared(&path, None, old, owners),
            // An item goes with all that is in it, defaults too.
            Hold::Whole | Hold::Part(_) => {
                self.push(path, Change::Remove { old: old.clone() }, None);
            }
        }
    }

    fn is_exact_below(&self, path: &Path) -> bool {
        self.desired.exact.iter().any(|exact| path.starts_with(exact))
    }

    fn is_exact(&self, path: &Path, key: &str) -> bool {
        if !self.is_exact_below(path) {
            return false;
        }
        let keys: Vec<&Segment> = path.segments().iter().take(2).collect();
        match keys.as_slice() {
            // What makes the object the one that it is can't be removed.
            [] => !matches!(key, "apiVersion" | "kind" | "metadata"),
            [Segment::Key(first)] if first == "metadata" => {
                matches!(key, "annotations" | "finalizers" | "labels" | "ownerReferences")
            }
            _ => true,
        }
    }
}

fn list_of(value: &Value) -> Option<&[Value]> {
    value.exposed().as_list()
}

/// The name of the field that `path` ends at.
pub(crate) fn field_of(path: &Path) -> &str {
    match path.segments().last() {
        Some(Segment::Key(key)) => key,
        _ => "",
    }
}

fn is_sealed_container(value: &Value) -> bool {
    matches!(value, Value::Sensitive(sealed) if matches!(sealed.expose(), Value::Map(_) | Value::List(_)))
}

/// A value that Go leaves out of JSON.
fn is_zero(value: &Value) -> bool {
    match value.exposed() {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.values().all(is_zero),
        Value::Unknown(_) | Value::Sensitive(_) => false,
    }
}

pub(crate) fn same_scalar(a: &Value, b: &Value) -> bool {
    match (a.exposed(), b.exposed()) {
        (Value::Unknown(_), _) | (_, Value::Unknown(_)) => false,
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

/// A replacement. If one side is a secret, both are: a diff must not show what it replaces either.
pub(crate) fn replaced(old: &Value, new: &Value) -> Change {
    let (mut old, mut new) = (old.clone(), new.clone());
    if old.is_sensitive() || new.is_sensitive() {
        old = old.sealed();
        if !new.has_unknown() {
            new = new.sealed();
        }
    }
    Change::Replace { old, new }
}
