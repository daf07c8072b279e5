//! What a run writes into the ledger: what has converged, what is held up, and what is to go with its rule.

use holdfast_contract::ProviderError;
use holdfast_policy::{Name, Rule};

use super::Run;
use crate::address::Address;
use crate::cycle::{EngineError, Session};
use crate::ledger::LedgerError;
use crate::phase::Phase;
use crate::step::{HoldState, Plan, StepVerb};

impl Run<'_> {
    /// Notes what has converged: that it did, and the name of what has a generated one, which the field that records
    /// it may be the only one to know. Whether anything has for the first time.
    pub(crate) fn remember(session: &mut Session<'_>, plan: &Plan) -> bool {
        let mut news = false;
        if plan.earlier_life.is_some() && session.ledger.made_anew().is_none() {
            session.ledger.remember_made_anew(session.engine.clock.now());
        }
        for resource in &plan.resources {
            let rule = session.policy.rules.get(&resource.address.rule);
            for former in rule.into_iter().flat_map(|rule| &rule.formerly) {
                let former = Address {
                    rule: former.clone(),
                    ..resource.address.clone()
                };
                session.ledger.inherit(&resource.address, &former);
            }
            let Some(key) = &resource.key else { continue };
            if resource.phase != Phase::Converged || !resource.blocked.is_empty() {
                continue;
            }
            news |= !session.ledger.provisioned(&resource.address);
            session.ledger.remember_provisioned(&resource.address);
            session.ledger.forget_replaced(&resource.address);
            session.ledger.strike_off(&resource.address);
            if session.is_generated(&resource.address) {
                session.ledger.remember_name(&resource.address, &key.name);
            }
        }
        session.phases = plan
            .resources
            .iter()
            .map(|resource| (resource.address.clone(), resource.phase))
            .collect();
        news
    }

    /// Notes what is to go when it leaves the policy, and forgets what has gone or is no longer this policy's.
    pub(crate) fn remember_leaving(&mut self, session: &mut Session<'_>, plan: &Plan) {
        for (address, entry) in &plan.removable {
            session.ledger.remember_removable(address, entry.clone());
        }
        for forgotten in &plan.forgotten {
            session.ledger.forget(&forgotten.address);
            session.ledger.strike_off(&forgotten.address);
            self.warnings.extend(forgotten.why.clone());
        }
        let rules = &session.policy.rules;
        session.ledger.forget_rules(|key| {
            let former = |rule: &Rule| rule.formerly.iter().any(|former| former == key);
            rules.contains_key(key) || rules.values().any(former)
        });
    }

    /// Notes since when holds hold something up, and forgets those that are over. Whether that is news to be stored:
    /// the time runs also while nobody applies.
    pub(crate) fn remember_holds(session: &mut Session<'_>, plan: &Plan) -> bool {
        let mut news = false;
        for resource in &plan.resources {
            let rule = session.policy.rules.get(&resource.address.rule);
            let former = rule.map(|rule| rule.formerly.as_slice()).unwrap_or_default();
            let former = former.iter().map(|key| Address {
                rule: key.clone(),
                ..resource.address.clone()
            });
            let names: Vec<Address> = std::iter::once(resource.address.clone()).chain(former).collect();
            let known = names.iter().any(|name| session.ledger.held_since(name).is_some());
            match (&resource.hold, resource.phase) {
                (Some(held), _) if held.state != HoldState::Free => {
                    session.ledger.remember_held(&resource.address, held.since);
                    news |= !known;
                }
                (Some(_), _) | (None, Phase::Converged) => {
                    for name in &names {
                        session.ledger.forget_held(name);
                    }
                    news |= known;
                }
                (None, _) => {}
            }
        }
        news
    }
}

impl Session<'_> {
    /// Stores the ledger, bound to the cluster and the accounts that it is of; false: somebody else changed it, it was
    /// read again, and the pass must be made anew.
    pub(crate) async fn save_ledger(&mut self) -> Result<bool, EngineError> {
        if let Some(uid) = self.cluster().map(str::to_owned)
            && self.ledger.cluster().is_none()
        {
            self.ledger.bind_cluster(&uid);
        }
        for (provider, account) in &self.accounts {
            if let Ok(Some(account)) = account {
                self.ledger.bind_account(provider, account);
            }
        }
        match self
            .ledger
            .save(self.engine.state.as_ref(), &self.policy.id)
            .await
        {
            Ok(()) => Ok(true),
            Err(LedgerError::Store(ProviderError::Conflict { .. })) => {
                self.ledger
                    .load_again(self.engine.state.as_ref(), &self.policy.id)
                    .await?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stores the ledger where no further pass follows. Somebody else's change is no reason to lose what was written.
    pub(crate) async fn save_at_last(&mut self) -> Result<(), EngineError> {
        if !self.save_ledger().await? && self.blocked().is_none() {
            self.save_ledger().await?;
        }
        Ok(())
    }

    /// Notes what `plan` is about to write because it was approved, before it is written.
    pub(crate) fn remember_approval(&mut self, plan: &Plan) {
        let Some(approve) = self.policy.approve.as_deref() else {
            return;
        };
        let now = self.engine.clock.now();
        if approve == plan.hash {
            let seen = plan
                .resources
                .iter()
                .filter(|resource| resource.phase != Phase::Blocked);
            // What is made needs no approval.
            let steps = seen
                .filter_map(|resource| Some((&resource.address, resource.step.as_ref()?.verb)))
                .filter(|(_, verb)| *verb != StepVerb::Create);
            self.ledger.use_approval(approve, now, steps);
        } else if plan
            .ready()
            .any(|(resource, step)| self.is_approved(&resource.address, step.verb))
        {
            self.ledger.go_on_with_approval(now);
        }
    }

    /// Whether somebody has approved that `verb` is done to `address`.
    pub(super) fn is_approved(&self, address: &Address, verb: StepVerb) -> bool {
        let approve = self.policy.approve.as_deref();
        self.ledger.is_approved(approve, address, verb)
    }

    /// Notes the names that only the fields which record them know, before anything is written: the object of such a
    /// field may be deleted at any time.
    pub(crate) fn remember_recorded(&mut self, plan: &Plan) {
        for resource in &plan.resources {
            // It is there, and isn't another's.
            let is_ours = matches!(
                resource.phase,
                Phase::Converged | Phase::Drifted | Phase::Settling
            );
            if let Some(key) = resource.key.as_ref().filter(|_| is_ours)
                && self.is_generated(&resource.address)
                && self.ledger.name(&resource.address).is_none()
            {
                self.ledger.remember_name(&resource.address, &key.name);
            }
        }
    }

    /// Whether the name of the resource at `address` is a generated one.
    fn is_generated(&self, address: &Address) -> bool {
        let rule = self.policy.rules.get(&address.rule);
        rule.is_some_and(|rule| {
            let mut names = rule.variants.iter().map(|variant| &variant.name);
            names.any(|name| matches!(name, Some(Name::Generate { .. })))
        })
    }

    /// Whether the ledger holds all that it would hold after an apply of `plan`, which has nothing to do.
    pub(super) fn knows(&self, plan: &Plan) -> bool {
        let converged = plan
            .resources
            .iter()
            .filter(|resource| resource.phase == Phase::Converged);
        let leaving = plan
            .removable
            .iter()
            .all(|(address, entry)| self.ledger.removable_at(address) == entry.as_ref());
        self.ledger.exists()
            && leaving
            && plan.forgotten.is_empty()
            && converged.into_iter().all(|resource| {
                self.ledger.provisioned(&resource.address)
                    && self.ledger.missing(&resource.address).is_empty()
            })
    }
}
