//! What the server has said before, so that it isn't asked again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use holdfast_contract::{Desired, Facet, Observed, ResourceKey, Value, Write};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::kind::{OBJECT, STATUS};
use crate::owned::our_set;
use crate::provider::Server;

/// How long a verdict holds. Webhooks and definitions may change meanwhile, and nobody tells.
const KEPT: Duration = Duration::from_hours(24);
/// How many verdicts are kept. When there are more, all are forgotten: asking again costs a request each.
const VERDICTS_MAX: usize = 10_000;

/// What a verdict is about: the write, what was declared, and what stood there of it.
pub(super) type VerdictKey = (ResourceKey, Facet, [u8; 32]);

pub(super) fn verdict_key(
    server: &Server,
    write: &Write,
    facet: &Facet,
    desired: &Desired,
    observed: &Observed,
) -> VerdictKey {
    let body = server
        .kind
        .applied(facet, desired, Some(observed), &write.manager);
    let ours = observed
        .value(&OBJECT.into())
        .and_then(|object| our_set(object, &write.manager, facet.as_str() == STATUS));
    let there = observed.value(facet).map(|there| declared_part(&body, there));
    let mut hash = Sha256::new();
    for part in [Some(&body), there.as_ref(), ours] {
        let text = part
            .and_then(Value::expose_json)
            .map(|json| json.to_string())
            .unwrap_or_default();
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    hash.update(&write.manager);
    hash.update(observed.uid.as_deref().unwrap_or_default());
    (write.key.clone(), facet.clone(), hash.finalize().into())
}

/// What is observed of the declared fields; lists as they are.
fn declared_part(declared: &Value, there: &Value) -> Value {
    match (declared.exposed(), there.exposed()) {
        (Value::Map(declared), Value::Map(there)) => Value::Map(
            declared
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), declared_part(value, there.get(key)?))))
                .collect(),
        ),
        (_, there) => there.clone(),
    }
}

/// Writes that the server has said would change nothing, though the local comparison finds a difference.
///
/// Only such verdicts are kept: any other is followed by a write. They name content by hash alone.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Mutex<BTreeMap<VerdictKey, Instant>>);

impl Verdicts {
    pub(super) fn is_equal(&self, key: &VerdictKey) -> bool {
        self.0
            .lock()
            .is_ok_and(|kept| kept.get(key).is_some_and(|at| at.elapsed() < KEPT))
    }

    pub(super) fn equal(&self, key: VerdictKey) {
        if let Ok(mut kept) = self.0.lock() {
            if kept.len() >= VERDICTS_MAX {
                kept.clear();
            }
            kept.insert(key, Instant::now());
        }
    }
}
