//! Policy resources whose namespace and name are those of a policy in a file: they are left alone, told so, and taken up
//! once the file is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Desk, Notice, PolicyId, ProviderError};
use holdfast_engine::{Clock, jittered};
use holdfast_policy::Mode;
use serde_json::Value as Json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clerk::Known;
use crate::fault::Fault;
use crate::notices::notices;
use crate::status::{Standing, status};
use crate::story::Story;
use crate::work::Work;

/// How soon what could not be told is told again.
const AGAIN: Duration = Duration::from_secs(10);

/// A Policy resource that is left alone.
pub(crate) struct Shadow {
    /// What it means.
    pub(crate) work: Arc<Work>,
    /// What the cluster knows of it.
    pub(crate) known: Known,
    _telling: Option<Telling>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Shadows(BTreeMap<PolicyId, Shadow>);

impl Shadows {
    pub(crate) fn get_mut(&mut self, id: &PolicyId) -> Option<&mut Shadow> {
        self.0.get_mut(id)
    }

    /// The resource is gone, or is to be taken up.
    pub(crate) fn remove(&mut self, id: &PolicyId) -> Option<Shadow> {
        self.0.remove(id)
    }

    /// Only these Policy resources are there.
    pub(crate) fn retain(&mut self, present: &BTreeSet<PolicyId>) {
        self.0.retain(|id, _| present.contains(id));
    }

    /// Leaves alone the resource that means `work`, and tells it so on the `desk`.
    pub(crate) fn add(&mut self, work: Arc<Work>, known: Known, desk: Option<&Arc<dyn Desk>>, mode: Mode) {
        let id = work.id.clone();
        tracing::warn!(policy = %id, "a file is this policy: the Policy resource of the same name is left alone");
        let telling = desk.and_then(|desk| {
            let letter = Letter::to(&work, &known, mode)?;
            Some(Telling(tokio::spawn(letter.deliver(Arc::clone(desk)))))
        });
        let shadow = Shadow {
            work,
            known,
            _telling: telling,
        };
        self.0.insert(id, shadow);
    }
}

/// Told until it is taken, or nobody need know any more.
struct Telling(JoinHandle<()>);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a Policy resource is told that is left alone.
struct Letter {
    policy: PolicyId,
    uid: String,
    /// None: it says so already.
    status: Option<Json>,
    notices: Vec<Notice>,
    /// Whether it is let go: what it made is the file's now, and goes when that says so.
    is_let_go: bool,
}

impl Letter {
    fn to(work: &Work, known: &Known, mode: Mode) -> Option<Self> {
        let resource = work.resource.as_ref()?;
        let fault = Fault::name_taken();
        let ledger = known.status.get("ledger").and_then(Json::as_str);
        let new = status(&Standing {
            report: None,
            fault: Some(&fault),
            generation: work.generation(),
            suspended: false,
            removing: false,
            ledger: ledger.unwrap_or_default(),
            reconciled_at: known.reconcile_at.as_deref(),
            previous: &known.status,
            now: Clock::System.now(),
        });
        let news = Story::new(&known.status, work.generation()).fault(&fault);
        Some(Self {
            policy: work.id.clone(),
            uid: resource.uid.clone(),
            status: (new != known.status).then_some(new),
            notices: notices(&work.id, &resource.uid, &news),
            is_let_go: resource.finalizer && mode == Mode::Enforce,
        })
    }

    async fn deliver(self, desk: Arc<dyn Desk>) {
        let policy = &self.policy;
        for notice in &self.notices {
            if let Err(error) = desk.tell(notice).await {
                tracing::debug!(%policy, reason = notice.reason, %error, "an event could not be made");
            }
        }
        while let Err(error) = self.once(desk.as_ref()).await {
            tracing::warn!(%policy, %error, "a Policy resource could not be told that it is left alone");
            sleep(jittered(AGAIN)).await;
        }
    }

    async fn once(&self, desk: &dyn Desk) -> Result<(), ProviderError> {
        if let Some(status) = &self.status {
            desk.write_status(&self.policy, &self.uid, status).await?;
        }
        if self.is_let_go {
            desk.set_finalizer(&self.policy, &self.uid, false).await?;
        }
        Ok(())
    }
}
