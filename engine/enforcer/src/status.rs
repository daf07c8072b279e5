//! The status of a Policy resource.
//!
//! Three conditions, as [kstatus](https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus) reads them:
//!
//! * `Ready` is always there. `True` when all holds that the policy says; else its reason is the heaviest of what doesn't.
//! * `Reconciling` is there, and `True`, while it goes on by itself: something is written, awaited or tried again.
//! * `Stalled` is there, and `True`, when it doesn't go on until somebody does something.
//!
//! The last two are true of what isn't normal: kstatus takes their absence for `False`, and so no table shows a `Stalled`
//! that isn't. At most one of them is there; neither is when a policy isn't ready because somebody wanted that: `suspend`,
//! or a difference under `mode: Observe`.
//!
//! Nothing in a status changes by itself: the same world gives the same status, so that one that is the same as the last
//! need not be written. It has at most [`ENTRIES`] resources and [`BYTES`]; what it leaves out is counted.

use holdfast_engine::Report;
use serde_json::{Map, Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::fault::Fault;
use crate::reasons::{ConditionReason, Outlook};
use crate::words;

mod judge;
mod parts;

use judge::Judged;
pub(crate) use parts::{NAME, NAMED, fitting};

/// So many resources have an entry of their own.
pub const ENTRIES: usize = 200;
/// So large is a status, as JSON. A cluster's store takes 1.5 MiB for a whole object, and each watcher gets each of them.
pub const BYTES: usize = 64 * 1024;

/// All that a status says something about.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// What the policy's world looked like last; none if it was not observed yet.
    pub report: Option<&'a Report>,
    /// What stands in the way of the policy as a whole.
    pub fault: Option<&'a Fault>,
    /// The generation of the Policy that this is about.
    pub generation: i64,
    /// Whether its spec says `suspend: true`.
    pub suspended: bool,
    /// Whether it is to be deleted, and what must go with it goes first.
    pub removing: bool,
    /// Where its ledger is kept, as the store of state says.
    pub ledger: &'a str,
    /// The last request by [`RECONCILE_AT`](holdfast_contract::RECONCILE_AT) that was followed.
    pub reconciled_at: Option<&'a str>,
    /// The status before, null if there is none: what hasn't changed keeps its time.
    pub previous: &'a Json,
    /// The time.
    pub now: OffsetDateTime,
}

impl Standing<'_> {
    /// Whether the policy is ready; none where it isn't because somebody wanted that.
    #[must_use]
    pub fn readiness(&self) -> Option<bool> {
        match self.judged().ready.0.outlook() {
            Outlook::Ready => Some(true),
            Outlook::AsAsked => None,
            Outlook::Reconciling | Outlook::Stalled => Some(false),
        }
    }

    fn judged(&self) -> Judged {
        judge::judge(self)
    }

    fn now(&self) -> String {
        let now = self.now.to_offset(time::UtcOffset::UTC);
        let now = now.replace_nanosecond(0).unwrap_or(now);
        now.format(&Rfc3339).unwrap_or_default()
    }
}

/// The status that says where a policy stands.
#[must_use]
pub fn status(standing: &Standing<'_>) -> Json {
    let mut status = Map::new();
    status.insert("observedGeneration".to_owned(), json!(standing.generation));
    status.insert("conditions".to_owned(), conditions(standing));
    if let Some(at) = standing.reconciled_at {
        status.insert(
            "lastHandledReconcileAt".to_owned(),
            json!(words::cut(at, words::LONGEST)),
        );
    }
    status.insert(
        "ledger".to_owned(),
        json!(words::cut(standing.ledger, words::LONGEST)),
    );
    if let Some(report) = standing.report {
        parts::add(&mut status, standing, report);
    }
    Json::Object(status)
}

fn conditions(standing: &Standing<'_>) -> Json {
    let judged = standing.judged();
    let is_ready = judged.ready.0.outlook() == Outlook::Ready;
    let mut conditions = vec![condition(standing, "Ready", is_ready, &judged.ready)];
    if let Some(why) = &judged.reconciling {
        conditions.push(condition(standing, "Reconciling", true, why));
    }
    if let Some(why) = &judged.stalled {
        conditions.push(condition(standing, "Stalled", true, why));
    }
    Json::Array(conditions)
}

fn condition(
    standing: &Standing<'_>,
    kind: &str,
    holds: bool,
    (reason, message): &(ConditionReason, String),
) -> Json {
    let status = if holds { "True" } else { "False" };
    let before = standing.previous.get("conditions").and_then(Json::as_array);
    let before = before.into_iter().flatten().find(|before| {
        let is = |key, value: &str| before.get(key).and_then(Json::as_str) == Some(value);
        is("type", kind) && is("status", status)
    });
    let since = before.and_then(|before| before.get("lastTransitionTime")?.as_str());
    json!({
        "type": kind,
        "status": status,
        "reason": reason.name(),
        "message": words::cut(message, words::LONGEST),
        "lastTransitionTime": since.map_or_else(|| standing.now(), str::to_owned),
        "observedGeneration": standing.generation,
    })
}
