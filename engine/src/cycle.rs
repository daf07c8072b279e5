//! One pass over a policy: every stage in order, reads first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_contract::{
    ApiType, Facet, PolicyId, ProviderName, Query, Registry, ResourceKey, Served, StateStore, Wanted,
};
use holdfast_expression::{Context, Value};
use holdfast_policy::{Parameters, ValidPolicy, Verb};

use crate::address::Address;
use crate::allowance::Allowance;
use crate::checks::{self, CheckResult};
use crate::clock::Clock;
use crate::diff::{self, Comparisons};
use crate::evaluate::Evaluator;
use crate::facts::{self, Facts};
use crate::graph::{self, ResourceGraph};
use crate::ledger::{Ledger, LedgerError};
use crate::objects;
use crate::observe::Snapshot;
use crate::phase::{IllegalTransition, Phase};
use crate::plan::{self, Accounts};
use crate::preview;
use crate::providers::{ProviderSettings, Providers};
use crate::removal::Leaving;
use crate::report::{self, Report, Unmet};
use crate::step::{Accepted, LeftAlone, Plan, StepVerb};
use crate::uses::Uses;

mod reads;
mod waits;

use waits::open_fact;

/// Why a policy could not be planned or applied at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Somebody else writes the policy, or that can't be told.
    #[error(transparent)]
    Lease(#[from] crate::lease::LeaseError),
    /// The cluster or the store of state can't be reached.
    #[error(transparent)]
    Provider(#[from] holdfast_contract::ProviderError),
    /// What a policy looks at could not be read in this time.
    #[error(
        "reading took longer than {} minutes: a service answers too slowly, or the policy looks at too much",
        .0.as_secs() / 60
    )]
    Slow(std::time::Duration),
    /// A fault of this program.
    #[error("this is a fault of holdfast: {0}")]
    Transition(#[from] IllegalTransition),
}

/// What an engine works with: the providers that there are, and where it keeps what it must not forget.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The providers.
    pub registry: Registry,
    /// The ledger and the lease.
    pub state: Arc<dyn StateStore>,
    /// What time it is.
    pub clock: Clock,
}

/// One policy and what is known of its world, from pass to pass.
pub(crate) struct Session<'p> {
    pub(crate) engine: &'p Engine,
    pub(crate) policy: &'p ValidPolicy,
    uses: Uses,
    /// What the next pass may take over of the graph of the last.
    graph: Option<ResourceGraph<'p>>,
    parameters: Value,
    pub(crate) providers: Providers,
    pub(crate) snapshot: Snapshot,
    pub(crate) served: BTreeMap<ApiType, Served>,
    pub(crate) ledger: Ledger,
    cluster: Option<String>,
    /// What each provider's service says of who is signed in.
    pub(crate) accounts: Accounts,
    pub(crate) phases: BTreeMap<Address, Phase>,
    pub(crate) accepted: BTreeMap<(Address, Option<Facet>), Accepted>,
    pub(crate) left_alone: BTreeMap<(Address, Option<Facet>), LeftAlone>,
    pub(crate) await_ready: bool,
    /// What was done lately, as limits count it.
    pub(crate) done: BTreeSet<(StepVerb, Address)>,
    /// Whether the cluster is to be asked anew which types it serves.
    pub(crate) refresh_types: bool,
    /// The objects behind the facts of the last pass.
    pub(crate) fact_keys: BTreeMap<String, ResourceKey>,
    /// The lists behind the facts of the last pass.
    pub(crate) fact_lists: BTreeMap<String, (ProviderName, Query)>,
}

/// What a pass found.
pub(crate) struct Pass {
    pub(crate) report: Arc<Report>,
    pub(crate) plan: Plan,
    /// The facts that something waits for.
    pub(crate) open_facts: BTreeSet<String>,
    /// What can be watched until it is ready.
    pub(crate) unready: Vec<Wanted>,
    /// The resources that were looked at, and whether each is the policy's to write.
    pub(crate) looked_at: Vec<(Wanted, bool)>,
    /// Whether a hold holds something up.
    pub(crate) held: bool,
    /// The facts that holds were decided by.
    pub(crate) hold_facts: BTreeSet<String>,
    /// Whether types that were not served must be by now, as what defines them is ready.
    pub(crate) stale_types: bool,
}

impl Pass {
    /// Where each resource stands.
    pub(crate) fn phases(&self) -> BTreeMap<Address, Phase> {
        self.plan
            .resources
            .iter()
            .map(|resource| (resource.address.clone(), resource.phase))
            .collect()
    }
}

impl Engine {
    /// Evaluates the expressions of a run that begins now, within `allowance`.
    #[must_use]
    pub fn evaluator<'a>(&self, allowance: &'a Allowance) -> Evaluator<'a> {
        Evaluator {
            context: Context::at(self.clock.now()).with_random(&SYSTEM_RANDOM),
            allowance,
        }
    }

    /// What would change. Reads, and asks servers for dry runs; writes nothing.
    pub async fn plan(&self, policy: &ValidPolicy, parameters: &Parameters) -> Result<Report, EngineError> {
        let mut session = Session::open(self, policy, parameters).await?;
        Ok(Arc::unwrap_or_clone(session.settled_pass().await?.report))
    }
}

impl<'p> Session<'p> {
    pub(crate) async fn open(
        engine: &'p Engine,
        policy: &'p ValidPolicy,
        parameters: &Parameters,
    ) -> Result<Self, EngineError> {
        let mut providers = open_cluster(engine, policy).await;
        let (ledger, cluster) = futures::join!(
            Ledger::load(engine.state.as_ref(), &policy.id),
            engine.state.cluster()
        );
        let mut ledger = ledger?;
        ledger.end_old_approval(engine.clock.now());
        providers.expect_accounts(ledger.accounts());
        Ok(Self {
            engine,
            policy,
            uses: Uses::of(policy),
            graph: None,
            parameters: parameters.to_expression(),
            providers,
            snapshot: Snapshot::default(),
            served: BTreeMap::new(),
            ledger,
            cluster: cluster?,
            accounts: Accounts::new(),
            phases: BTreeMap::new(),
            accepted: BTreeMap::new(),
            left_alone: BTreeMap::new(),
            await_ready: true,
            done: BTreeSet::new(),
            refresh_types: false,
            fact_keys: BTreeMap::new(),
            fact_lists: BTreeMap::new(),
        })
    }

    /// Takes the parameters' values; whether they are others than before.
    pub(crate) fn set_parameters(&mut self, parameters: &Parameters) -> bool {
        let before = std::mem::replace(&mut self.parameters, parameters.to_expression());
        before != self.parameters
    }

    /// The uid of the cluster, if there is one.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// A pass in which `rules.x.phase` and `rules.x.converged` say what the pass itself finds. Nothing is read twice.
    pub(crate) async fn settled_pass(&mut self) -> Result<Pass, EngineError> {
        let mut pass = self.pass().await?;
        if !self.uses.sees_phases() {
            return Ok(pass);
        }
        // A chain of n rules that look at each other's phases settles in n passes.
        for _ in 0..self.policy.rules.len() {
            let phases = pass.phases();
            if phases == self.phases {
                break;
            }
            self.phases = phases;
            pass = self.pass().await?;
        }
        Ok(pass)
    }

    /// One pass: facts, graph, observe, diff, preview, plan, report.
    pub(crate) async fn pass(&mut self) -> Result<Pass, EngineError> {
        // What is evaluated in one pass takes a second at most; between two of them others have their turn.
        tokio::task::yield_now().await;
        let allowance = Allowance::default();
        let evaluator = self.engine.evaluator(&allowance);
        let facts = facts::resolve(
            self.policy,
            &self.parameters,
            evaluator,
            &mut self.providers,
            &mut self.snapshot,
        )
        .await;
        self.fact_keys.clone_from(&facts.keys);
        self.fact_lists.clone_from(&facts.lists);
        let unmet = self.unmet(&facts, evaluator);
        if !unmet.is_empty() {
            return Ok(self.stopped(unmet, &facts));
        }
        let graph = self.read(&facts, evaluator).await;
        let manager = manager(&self.policy.id);
        let mut comparisons = diff::diff(&graph, &self.snapshot, &manager);
        preview::preview(&mut comparisons, &graph, self.providers.open()).await;
        let leaving = self.leaving(&graph, &facts, evaluator);
        let earlier_life = self.earlier_life(&graph, &facts, evaluator);
        let pass = self.judge(&graph, &comparisons, &leaving, earlier_life.as_deref(), evaluator)?;
        let as_desired = |resource: &graph::Resource<'_>| {
            diff::as_desired(resource, &self.snapshot, &comparisons).map(Arc::clone)
        };
        self.graph = Some(graph.lasting(as_desired));
        Ok(pass)
    }

    /// What shows that the policy was applied before, where it generates names and there is no ledger that knows them.
    fn earlier_life(
        &self,
        graph: &ResourceGraph<'_>,
        facts: &Facts,
        evaluator: Evaluator<'_>,
    ) -> Option<String> {
        if !self.uses.generates_names() || self.ledger.exists() {
            return None;
        }
        let mark = mark(&self.policy.id);
        graph::sign_of_earlier_life(&self.graph_input(facts, &mark, evaluator, None), graph)
    }

    fn graph_input<'a>(
        &'a self,
        facts: &'a Facts,
        mark: &'a str,
        evaluator: Evaluator<'a>,
        before: Option<&'a ResourceGraph<'p>>,
    ) -> graph::Input<'a, 'p> {
        graph::Input {
            policy: self.policy,
            uses: &self.uses,
            before,
            registry: self.providers.registry(),
            parameters: &self.parameters,
            facts,
            ledger: &self.ledger,
            snapshot: &self.snapshot,
            served: &self.served,
            phases: &self.phases,
            mark,
            cluster: self.cluster.as_deref(),
            evaluator,
        }
    }

    fn unmet(&self, facts: &Facts, evaluator: Evaluator<'_>) -> Vec<Unmet> {
        let mut unmet: Vec<Unmet> = facts
            .unmet
            .iter()
            .map(|(message, place)| Unmet {
                message: message.clone(),
                place: place.clone(),
            })
            .collect();
        let roots =
            crate::variables::roots(self.policy, &self.parameters, facts, &BTreeMap::new(), evaluator);
        for gate in &self.policy.require {
            let message = || {
                evaluator
                    .text(&gate.message, &roots)
                    .unwrap_or_else(|_| gate.message.source.clone())
            };
            let message = match evaluator.condition(&gate.that, &roots) {
                Ok(true) => continue,
                Ok(false) => message(),
                Err(no) => format!("{} ({})", message(), no.sentence()),
            };
            unmet.push(Unmet {
                message,
                place: gate.place.clone(),
            });
        }
        unmet
    }

    fn stopped(&self, unmet: Vec<Unmet>, facts: &Facts) -> Pass {
        let plan = Plan::default();
        let mut report = report::build(&self.policy.id, Vec::new(), &plan, Vec::new());
        report.unmet = unmet;
        Pass {
            report: Arc::new(report),
            plan,
            open_facts: facts.values.keys().cloned().collect(),
            unready: Vec::new(),
            looked_at: Vec::new(),
            held: false,
            hold_facts: BTreeSet::new(),
            stale_types: false,
        }
    }

    fn judge(
        &self,
        graph: &ResourceGraph<'_>,
        comparisons: &Comparisons,
        leaving: &[Leaving<'_>],
        earlier_life: Option<&str>,
        evaluator: Evaluator<'_>,
    ) -> Result<Pass, EngineError> {
        let blocked = self.blocked();
        let (manager, mark) = (manager(&self.policy.id), mark(&self.policy.id));
        let plan = plan::build(&plan::Input {
            policy: &self.policy.id,
            mode: self.policy.mode,
            leaving,
            graph,
            snapshot: &self.snapshot,
            comparisons,
            ledger: &self.ledger,
            served: &self.served,
            phases: &self.phases,
            ground: &self.engine.state.ground(&self.policy.id),
            accounts: &self.accounts,
            earlier_life,
            ledger_place: &self.engine.state.place(&self.policy.id),
            manager: &manager,
            mark: &mark,
            limits: &self.policy.limits,
            approve: self.policy.approve.as_deref(),
            done: &self.done,
            blocked: blocked.as_deref(),
            accepted: &self.accepted,
            left_alone: &self.left_alone,
            await_ready: self.await_ready,
            evaluator,
        })?;
        let checks = self.checks(graph, evaluator);
        let mut report = report::build(&self.policy.id, subject(graph), &plan, checks);
        let writes = !plan.mints.is_empty() || plan.ready().next().is_some();
        report.ledger = (writes && !self.ledger.exists()).then(|| self.engine.state.place(&self.policy.id));
        let mut open_facts: BTreeSet<String> = graph
            .resources
            .iter()
            .filter_map(|resource| open_fact(&resource.state))
            .collect();
        let mut unready: Vec<Wanted> = plan
            .resources
            .iter()
            .filter(|resource| resource.phase == Phase::Settling)
            .filter_map(|resource| {
                let Some(own) = graph.get(&resource.address) else {
                    let leaving = leaving.iter().find(|leaving| leaving.address == resource.address);
                    return leaving.map(Leaving::wanted);
                };
                Some(Wanted {
                    key: own.key.clone()?,
                    facets: own.wanted.clone(),
                })
            })
            .collect();
        let holds = self.holds(graph, leaving, &plan);
        if holds.held {
            open_facts.extend(holds.facts.iter().cloned());
            unready.extend(holds.looked_at);
        }
        let stale_types = graph
            .resources
            .iter()
            .filter(|resource| graph::is_unserved(resource, &self.served))
            .any(|resource| {
                resource
                    .needs
                    .iter()
                    .any(|need| graph.defines_types(need) && is_ready(&plan, need))
            });
        Ok(Pass {
            report: Arc::new(report),
            plan,
            open_facts,
            unready,
            looked_at: looked_at(graph, leaving, &self.served),
            held: holds.held,
            hold_facts: holds.facts,
            stale_types,
        })
    }

    /// Why nothing at all may be written, if so.
    pub(crate) fn blocked(&self) -> Option<String> {
        if self.policy.suspend {
            return Some("the policy is suspended".to_owned());
        }
        match (self.ledger.cluster(), self.cluster.as_deref()) {
            (Some(theirs), Some(ours)) if theirs != ours => Some(format!(
                "the ledger {} belongs to another cluster ({theirs}; this one is {ours}): it came here with a restore",
                self.engine.state.place(&self.policy.id)
            )),
            _ => None,
        }
    }

    fn checks(&self, graph: &ResourceGraph<'_>, evaluator: Evaluator<'_>) -> Vec<CheckResult> {
        let mut results = Vec::new();
        for resource in &graph.resources {
            // Thousands of resources may have none.
            let Some(variant) = resource.variant.filter(|variant| !variant.checks.is_empty()) else {
                continue;
            };
            let observed = resource.key.as_ref().and_then(|key| self.snapshot.get(key));
            let observed = observed
                .and_then(|result| result.as_ref().ok())
                .and_then(|found| found.present());
            match (observed, &resource.kind) {
                (Some(observed), Some(kind)) => {
                    let roots = resource
                        .roots
                        .with("self", crate::scope::own(kind.as_ref(), observed));
                    results.extend(checks::run(&resource.address, &variant.checks, &roots, evaluator));
                }
                _ => results.extend(checks::skip(&resource.address, &variant.checks)),
            }
        }
        for only in &graph.checks {
            results.extend(checks::run(&only.address, only.checks, &only.roots, evaluator));
        }
        // Those of one address stay in the order in which they are written.
        results.sort_by(|a, b| a.address.cmp(&b.address));
        results
    }
}

/// The providers of a policy, of which the cluster's is open: facts, credentials and the ledger lie there.
pub(crate) async fn open_cluster(engine: &Engine, policy: &ValidPolicy) -> Providers {
    let mut providers = Providers::new(engine.registry.clone(), &policy.id.namespace);
    let cluster = ProviderSettings {
        name: objects::PROVIDER.into(),
        provider_type: objects::PROVIDER.to_owned(),
        settings: BTreeMap::new(),
        credentials: None,
    };
    providers.require(&cluster).await;
    providers
}

/// All resources that can be looked at, and whether each is the policy's to write.
fn looked_at(
    graph: &ResourceGraph<'_>,
    leaving: &[Leaving<'_>],
    served: &BTreeMap<ApiType, Served>,
) -> Vec<(Wanted, bool)> {
    let left = leaving.iter().map(|leaving| (leaving.wanted(), true));
    let own = graph.readable(served).filter_map(|resource| {
        let wanted = Wanted {
            key: resource.key.clone()?,
            facets: resource.wanted.clone(),
        };
        Some((wanted, resource.verb() == Verb::Ensure))
    });
    own.chain(left).collect()
}

fn types(graph: &ResourceGraph<'_>) -> BTreeSet<ApiType> {
    let documents = graph.resources.iter().filter_map(|resource| {
        let kind = resource.kind.as_ref()?;
        Some(&resource.facets.get(kind.root_facet())?.value)
    });
    documents
        .filter_map(|document| {
            let api_version = document.get("apiVersion")?.as_str()?;
            Some(ApiType::new(api_version, document.get("kind")?.as_str()?))
        })
        .collect()
}

fn is_ready(plan: &Plan, address: &Address) -> bool {
    let found = plan
        .resources
        .iter()
        .find(|resource| resource.address == *address);
    found.is_some_and(|resource| matches!(resource.phase, Phase::Converged | Phase::Drifted))
}

/// Where a policy acts, for people.
fn subject(graph: &ResourceGraph<'_>) -> Vec<String> {
    graph
        .providers
        .iter()
        .filter(|settings| settings.provider_type != objects::PROVIDER)
        .map(|settings| match settings.region() {
            Some(region) => format!("{} {region}", settings.name),
            None => settings.name.to_string(),
        })
        .collect()
}

/// The policy's field manager: what servers know it by.
#[must_use]
pub fn manager(policy: &PolicyId) -> String {
    let name = format!("holdfast:{policy}");
    // The API server takes 128 characters.
    if name.len() <= 128 {
        name
    } else {
        format!("holdfast:{}", short_hash(&name))
    }
}

/// By what a policy's things are marked: text that fits a label.
#[must_use]
pub fn mark(policy: &PolicyId) -> String {
    let name = format!("{}.{}", policy.namespace, policy.name);
    if name.len() <= 63 { name } else { short_hash(&name) }
}

fn short_hash(text: &str) -> String {
    use sha2::{Digest, Sha256};
    crate::digest::hex(&Sha256::digest(text.as_bytes()), 16)
}

/// Where `randomString` takes its letters from.
static SYSTEM_RANDOM: fn(&mut [u8]) = random;

/// Random bytes from the system.
fn random(buffer: &mut [u8]) {
    if getrandom::fill(buffer).is_err() {
        // Without the system's randomness a password must not be guessable: an all-zero one would be.
        tracing::error!("the system gives no random bytes");
        std::process::abort();
    }
}
