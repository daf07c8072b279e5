//! The resources that a policy means, with what is desired of each: pure, immutable, in order.
//!
//! Rules refer to each other's names, so the graph is built in rounds until no value changes: a name that becomes
//! known in one round is there for the next. The number of rounds is bounded by the number of rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use holdfast_contract as contract;
use holdfast_contract::{
    ApiType, Desired, Facet, Kind, Observation, Observed, Path, ProviderName, Query, Registry, ResourceKey,
    Segment, Served,
};
use holdfast_expression::{Context, Value};
use holdfast_policy::{Check, Evaluated, Mode, Place, Rule, Tree, ValidPolicy, Variant, Verb, lay_under};
use time::OffsetDateTime;

use crate::address::Address;
use crate::allowance::Allowance;
use crate::evaluate::{Evaluator, NoAnswer};
use crate::facts::Facts;
use crate::ledger::Ledger;
use crate::observe::Snapshot;
use crate::phase::Phase;
use crate::providers::ProviderSettings;
use crate::scope::Roots;
use crate::uses::Uses;
use crate::variables;

mod attributes;
mod documents;
mod index;
mod instance;
mod naming;
mod order;

pub(crate) use documents::places;
pub(crate) use naming::sign_of_earlier_life;
pub use naming::{Naming, Search};

/// All that a graph is built from. The same input gives the same graph.
#[derive(Debug)]
pub struct Input<'i, 'p> {
    /// The policy.
    pub policy: &'p ValidPolicy,
    /// What its parts use of the rest.
    pub uses: &'i Uses,
    /// Which kinds there are.
    pub registry: &'i Registry,
    /// The parameters' values.
    pub parameters: &'i Value,
    /// The facts.
    pub facts: &'i Facts,
    /// What must not be forgotten.
    pub ledger: &'i Ledger,
    /// A graph of the same policy that was built before, of which it takes over what can't be another.
    pub before: Option<&'i ResourceGraph<'p>>,
    /// What was read so far.
    pub snapshot: &'i Snapshot,
    /// What the cluster says of object types.
    pub served: &'i BTreeMap<ApiType, Served>,
    /// The phases of the pass before.
    pub phases: &'i BTreeMap<Address, Phase>,
    /// By what the policy's things are marked as its own.
    pub mark: &'i str,
    /// The cluster's uid, for the identity of generated resources.
    pub cluster: Option<&'i str>,
    /// Evaluates expressions.
    pub evaluator: Evaluator<'i>,
}

/// The resources of a policy, each after those that it needs.
#[derive(Clone, Debug)]
pub struct ResourceGraph<'p> {
    /// In order.
    pub resources: Vec<Resource<'p>>,
    /// Rules, and instances, that have no resource of their own but checks.
    pub checks: Vec<CheckOnly<'p>>,
    /// The providers that active rules need.
    pub providers: Vec<ProviderSettings>,
    /// The values of `rules.x`.
    pub rules: BTreeMap<String, Value>,
    /// The roots that all expressions share.
    pub roots: Roots,
    /// The object types that it was built by.
    served: BTreeMap<ApiType, Served>,
    /// Where the resources stand.
    index: index::Index,
}

/// One resource that a rule means.
#[derive(Clone, Debug)]
pub struct Resource<'p> {
    /// Its address.
    pub address: Address,
    /// Its rule.
    pub rule: &'p Rule,
    /// The case of the rule that holds.
    pub variant: Option<&'p Variant>,
    /// Whether it is to be looked at at all, and why not.
    pub state: State,
    /// What it is, for people.
    pub what: String,
    /// Its kind.
    pub kind: Option<Arc<dyn Kind>>,
    /// Which it is; none while its name isn't known.
    pub key: Option<ResourceKey>,
    /// How it came to its name.
    pub naming: Naming,
    /// Whether it is written.
    pub mode: Mode,
    /// What is desired, by facet.
    pub facets: Arc<BTreeMap<Facet, Desired>>,
    /// What an earlier pass found to be as desired in each facet: as long as it is observed to be that, nothing has to be
    /// compared.
    pub as_desired: Option<Arc<Observed>>,
    fingerprint: OnceLock<u64>,
    /// The whole document as declared, with the places that its parts come from.
    pub declared: Option<Declared<'p>>,
    /// The file that holds it word for word, if it is a manifest.
    pub manifest: Option<Arc<str>>,
    /// Places that are written along with another change.
    pub stamps: BTreeMap<Facet, Vec<Path>>,
    /// Through which provider it is reached, once that is known.
    pub provider: Option<ProviderName>,
    /// The tags by which it is known to be ours, where its name alone doesn't tell.
    pub identity: BTreeMap<String, String>,
    /// The same as they were while its rule had its former keys.
    pub former_identities: Vec<BTreeMap<String, String>>,
    /// Whether the field that records its name stands beside one that says it was provisioned.
    pub recorded_as_provisioned: bool,
    /// What must be there before it is created.
    pub needs: BTreeSet<Address>,
    /// What must be there before a facet is set for the first time.
    pub facet_needs: BTreeMap<Facet, BTreeSet<Address>>,
    /// Facets that would shut this program out once they are set, each with the reason.
    pub lockouts: BTreeMap<Facet, String>,
    /// The facets to read.
    pub wanted: BTreeSet<Facet>,
    /// What its expressions see: all roots, and `each`.
    pub roots: Roots,
}

impl Resource<'_> {
    /// The verb; a rule without a case that holds has none.
    #[must_use]
    pub fn verb(&self) -> Verb {
        self.variant.map_or(Verb::Check, |variant| variant.verb)
    }

    /// The whole document as declared, with the places that its parts come from.
    #[must_use]
    pub fn declared(&self) -> Option<Arc<Evaluated>> {
        self.declared.as_ref()?.evaluated()
    }

    /// A number that tells what is desired from anything else, within this process. What is sensitive doesn't count.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        *self
            .fingerprint
            .get_or_init(|| crate::digest::fingerprint(&self.facets))
    }

    /// A place of one of its facets, as a place of the whole document.
    #[must_use]
    pub fn in_whole(&self, facet: &Facet, path: &Path) -> Path {
        match &self.kind {
            Some(kind) if facet == kind.root_facet() => path.clone(),
            _ => Path::from([vec![Segment::Key(facet.to_string())], path.segments().to_vec()].concat()),
        }
    }

    /// Its address, and what that was while its rule had its former keys.
    pub fn known_as(&self) -> impl Iterator<Item = Address> {
        naming::known_as(&self.address, self.rule)
    }

    /// Whether it was Converged at least once: the ledger says so, under this or a former key of its rule, or, should
    /// the ledger be lost, what was recorded beside its name.
    #[must_use]
    pub fn was_provisioned(&self, ledger: &Ledger) -> bool {
        self.recorded_as_provisioned || self.known_as().any(|address| ledger.provisioned(&address))
    }

    /// Whether this policy created it.
    #[must_use]
    pub fn was_created(&self, ledger: &Ledger) -> bool {
        self.known_as().any(|address| ledger.created(&address))
    }

    /// What this policy last set of `facet`.
    #[must_use]
    pub fn last_set(&self, ledger: &Ledger, facet: &Facet) -> Option<contract::Value> {
        self.known_as()
            .find_map(|address| ledger.last_set(&address, facet))
    }

    /// Since when its disruptive steps are held up, under this or a former key of its rule.
    #[must_use]
    pub fn held_since(&self, ledger: &Ledger) -> Option<time::OffsetDateTime> {
        naming::known_as(&self.address, self.rule).find_map(|address| ledger.held_since(&address))
    }

    /// Whether this policy made this very incarnation, under this or a former key of its rule.
    #[must_use]
    pub fn was_made(&self, ledger: &Ledger, key: &ResourceKey, uid: Option<&str>) -> bool {
        naming::known_as(&self.address, self.rule).any(|address| ledger.made(&address, key, uid))
    }

    /// Whether this policy has deleted it to make it anew, and hasn't yet.
    #[must_use]
    pub fn is_replaced(&self, ledger: &Ledger) -> bool {
        naming::known_as(&self.address, self.rule).any(|address| ledger.is_replaced(&address))
    }

    /// Where its rule stands.
    #[must_use]
    pub fn place(&self) -> &Place {
        self.variant.map_or(&self.rule.place, |variant| &variant.place)
    }
}

/// What a rule declares of a resource.
#[derive(Clone, Debug)]
pub enum Declared<'p> {
    /// The whole document, evaluated.
    Evaluated(Arc<Evaluated>),
    /// A document that stands in the policy as it is. It is put together where somebody asks: that is seldom, and thousands
    /// of them take room.
    Literal {
        /// The document.
        document: &'p Tree,
        /// What is laid under it.
        default: Option<&'p Tree>,
    },
}

impl Declared<'_> {
    fn evaluated(&self) -> Option<Arc<Evaluated>> {
        let (document, default) = match self {
            Self::Evaluated(evaluated) => return Some(Arc::clone(evaluated)),
            Self::Literal { document, default } => (document, default),
        };
        // Nothing in it asks what time it is.
        let allowance = Allowance::default();
        let evaluator = Evaluator {
            context: Context::at(OffsetDateTime::UNIX_EPOCH),
            allowance: &allowance,
        };
        let evaluate = |tree: &Tree| evaluator.tree(tree, &Roots::default()).ok().flatten();
        let document = evaluate(document)?;
        let whole = match default.and_then(evaluate) {
            Some(default) => lay_under(document, &default),
            None => document,
        };
        Some(Arc::new(whole))
    }
}

/// A rule, or an instance of one, without a resource of its own.
#[derive(Clone, Debug)]
pub struct CheckOnly<'p> {
    /// Its address.
    pub address: Address,
    /// What it checks.
    pub checks: &'p [Check],
    /// What its expressions see.
    pub roots: Roots,
}

/// Whether a resource is to be looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Its desired state is known, but for values that are known after apply.
    Active,
    /// It may not be touched; the text says why.
    Blocked(String),
    /// Its `when` is false, or no case holds.
    Skipped,
    /// Something that it needs to be known isn't.
    Open(NoAnswer),
}

/// Builds the graph.
#[must_use]
pub fn build<'p>(input: &Input<'_, 'p>) -> ResourceGraph<'p> {
    let mut rules = attributes::unknown(input.policy);
    let mut defined: BTreeMap<ApiType, Served> = input.served.clone();
    // A chain of n rules settles in n rounds; one more shows that nothing changes any more.
    let rounds = input.policy.rules.len().saturating_add(2);
    let mut graph = round(input, &rules, &defined, None);
    for _ in 0..rounds {
        let (next_rules, next_defined) = (attributes::of(input, &graph), types(input, &graph));
        let is_same = next_rules == rules && next_defined == defined;
        // Only names that are made up are told by the round before.
        if is_same && !input.uses.generates_names() {
            break;
        }
        graph.forget_documents();
        let next = round(input, &next_rules, &next_defined, Some(&graph));
        let settled = is_same && names(&next).eq(names(&graph));
        rules = next_rules;
        defined = next_defined;
        graph = next;
        if settled {
            break;
        }
    }
    order::order(input, &mut graph);
    graph.index = index::Index::of(&graph.resources);
    graph
}

fn names<'g>(graph: &'g ResourceGraph<'_>) -> impl Iterator<Item = (&'g Option<ResourceKey>, &'g Naming)> {
    graph
        .resources
        .iter()
        .map(|resource| (&resource.key, &resource.naming))
}

fn round<'p>(
    input: &Input<'_, 'p>,
    rules: &BTreeMap<String, Value>,
    served: &BTreeMap<ApiType, Served>,
    previous: Option<&ResourceGraph<'p>>,
) -> ResourceGraph<'p> {
    let roots = variables::roots(
        input.policy,
        input.parameters,
        input.facts,
        rules,
        input.evaluator,
    );
    let mut graph = ResourceGraph {
        resources: Vec::new(),
        checks: Vec::new(),
        providers: Vec::new(),
        rules: rules.clone(),
        roots: roots.clone(),
        served: served.clone(),
        index: index::Index::default(),
    };
    for rule in input.policy.rules.values() {
        let builder = instance::Builder {
            input,
            rule,
            roots: &roots,
            served,
            previous,
        };
        builder.build(&mut graph);
    }
    graph.index = index::Index::of(&graph.resources);
    graph
}

/// The object types that are served, or that a resource of this graph defines.
fn types(input: &Input<'_, '_>, graph: &ResourceGraph<'_>) -> BTreeMap<ApiType, Served> {
    let mut types = input.served.clone();
    for resource in &graph.resources {
        let (Some(kind), Some(key)) = (&resource.kind, &resource.key) else {
            continue;
        };
        if resource.verb() != Verb::Ensure {
            continue;
        }
        let Some(desired) = resource.facets.get(kind.root_facet()) else {
            continue;
        };
        for (api, scope) in kind.defines(key, &desired.value) {
            let entry = types.entry(api).or_insert(Served::No);
            if *entry == Served::No {
                *entry = Served::Yes(scope);
            }
        }
    }
    types
}

impl<'p> ResourceGraph<'p> {
    /// Forgets what was evaluated of documents, which the next round does anew: there is room for one of them, not for two.
    fn forget_documents(&mut self) {
        for resource in &mut self.resources {
            if matches!(resource.declared, Some(Declared::Evaluated(_))) {
                resource.declared = None;
                resource.facets = Arc::default();
            }
        }
    }

    /// What of it a later graph may take over; `as_desired` gives what was found to be as it should.
    #[must_use]
    pub(crate) fn lasting(self, as_desired: impl Fn(&Resource<'p>) -> Option<Arc<Observed>>) -> Self {
        let Self {
            providers, served, ..
        } = self;
        let is_literal =
            |resource: &Resource<'p>| matches!(resource.declared, Some(Declared::Literal { .. }));
        let resources = self.resources.into_iter().filter(is_literal);
        let resources: Vec<Resource<'p>> = resources
            .map(|resource| Resource {
                roots: Roots::default(),
                as_desired: as_desired(&resource),
                ..resource
            })
            .collect();
        Self {
            index: index::Index::of(&resources),
            resources,
            checks: Vec::new(),
            providers,
            rules: BTreeMap::new(),
            roots: Roots::default(),
            served,
        }
    }

    /// What has to be read: every resource that can be named, and the facets that are wanted of it.
    #[must_use]
    pub fn wanted(&self, input: &Input<'_, '_>) -> Vec<holdfast_contract::Wanted> {
        self.readable(input.served)
            .filter_map(|resource| {
                Some(holdfast_contract::Wanted {
                    key: resource.key.clone()?,
                    facets: resource.wanted.clone(),
                })
            })
            .collect()
    }

    /// The resources that can be read: they are named, and the cluster knows their type.
    pub(crate) fn readable(
        &self,
        served: &BTreeMap<holdfast_contract::ApiType, holdfast_contract::Served>,
    ) -> impl Iterator<Item = &Resource<'_>> {
        self.resources.iter().filter(|resource| {
            let is_looked_at = matches!(resource.state, State::Active | State::Open(_));
            is_looked_at && resource.key.is_some() && !is_unserved(resource, served)
        })
    }

    /// Whether the resource at `address` brings object types.
    #[must_use]
    pub fn defines_types(&self, address: &Address) -> bool {
        self.get(address).is_some_and(|resource| {
            let (Some(kind), Some(key)) = (&resource.kind, &resource.key) else {
                return false;
            };
            let desired = resource.facets.get(kind.root_facet());
            desired.is_some_and(|desired| !kind.defines(key, &desired.value).is_empty())
        })
    }

    /// What was there once and isn't found: whether a complete list has it has to be seen before it counts as gone.
    /// Objects aside, whose servers are asked for the very one.
    #[must_use]
    pub fn unlisted(&self, input: &Input<'_, '_>) -> Vec<(Address, ProviderName, Query)> {
        self.resources
            .iter()
            .filter(|resource| resource.state == State::Active && resource.verb() == Verb::Ensure)
            .filter(|resource| input.snapshot.absence(&resource.address).is_none())
            .filter_map(|resource| {
                let key = resource.key.as_ref().filter(|key| key.api.is_none())?;
                let is_absent = matches!(input.snapshot.get(key), Some(Ok(Observation::Absent)));
                if !is_absent || !resource.was_provisioned(input.ledger) {
                    return None;
                }
                let query = Query {
                    kind: key.kind.clone(),
                    api: None,
                    namespace: None,
                    selector: None,
                    name_prefix: Some(key.name.clone()),
                    read: BTreeSet::new(),
                };
                Some((resource.address.clone(), key.provider.clone(), query))
            })
            .collect()
    }

    /// The searches that have to be made before names can be told, with the provider of each.
    #[must_use]
    pub fn searches(&self) -> Vec<(&Address, &ProviderName, &Search)> {
        self.resources
            .iter()
            .filter_map(|resource| match &resource.naming {
                Naming::Search { provider, search } => Some((&resource.address, provider, search)),
                _ => None,
            })
            .collect()
    }
}

/// Whether the resource's type is one that the cluster doesn't serve, so that asking for the object proves nothing.
#[must_use]
pub fn is_unserved(resource: &Resource<'_>, served: &BTreeMap<ApiType, Served>) -> bool {
    let api = resource.key.as_ref().and_then(|key| key.api.as_ref());
    api.is_some_and(|api| served.get(api) == Some(&Served::No))
}

/// Whether two keys mean the same thing: its version is not part of what an object is, and a region says no more than
/// where a bucket lies.
#[must_use]
pub fn is_same(a: &ResourceKey, b: &ResourceKey) -> bool {
    fn meant(key: &ResourceKey) -> impl PartialEq {
        let api = key.api.as_ref().map(|api| (api.group(), &api.kind));
        (&key.name, &key.namespace, &key.provider, &key.kind, api)
    }
    meant(a) == meant(b)
}
