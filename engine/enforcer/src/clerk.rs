//! Tells of one policy: one line in the log for each transition.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use holdfast_contract::PolicyId;
use holdfast_engine::{Kept, Phase, Progress, Report};

use crate::work::Work;

/// Why a policy can't be enforced at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not valid.
    Invalid(String),
    /// It says no account to act as, and there is none for it.
    NoAccount(String),
    /// The cluster can't be reached as its account.
    NoWorld(String),
    /// Its finalizer can't be set or taken away.
    NoFinalizer(String),
}

impl Fault {
    fn message(self) -> String {
        match self {
            Self::Invalid(message)
            | Self::NoAccount(message)
            | Self::NoWorld(message)
            | Self::NoFinalizer(message) => message,
        }
    }
}

/// Tells of one policy.
pub(crate) struct Clerk {
    id: PolicyId,
    /// Where each resource stood when that was told last, and why.
    told: Mutex<BTreeMap<String, (Phase, String)>>,
}

impl Clerk {
    pub(crate) fn new(id: PolicyId) -> Self {
        Self {
            id,
            told: Mutex::default(),
        }
    }

    /// The policy can't be enforced as it is; `goes_on`: as it was good last, it still is.
    pub(crate) fn fault(&self, _work: &Work, fault: Fault, goes_on: bool) {
        let policy = &self.id;
        let message = fault.message();
        if goes_on {
            tracing::error!(%policy, fault = message, "not enforced as it is now, but as it was before");
        } else {
            tracing::error!(%policy, fault = message, "not enforced");
        }
    }

    /// This replica enforces the policy from now on, or no longer.
    pub(crate) fn held(&self, is_held: bool) {
        tracing::info!(policy = %self.id, held = is_held, "lease");
    }

    /// Tells what happens while it is kept.
    pub(crate) fn kept(&self, _work: &Work, kept: &Kept<'_>) {
        let policy = &self.id;
        match kept {
            Kept::Writing(_) | Kept::Quiet => {}
            Kept::Progress(progress) => self.progress(progress),
            Kept::Cycle { report, took } => {
                self.transitions(report, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            }
            Kept::Invalid(faults) => {
                let message = holdfast_policy::render(faults, 100, false);
                tracing::error!(%policy, fault = message, "its parameters aren't right");
            }
            Kept::Failed { error, pause } => {
                tracing::error!(%policy, %error, seconds = pause.as_secs(), "can't be told how it stands; tried again");
            }
        }
    }

    fn progress(&self, progress: &Progress<'_>) {
        let policy = &self.id;
        match progress {
            Progress::Written(outcome, what) => {
                let resource = outcome.address.to_string();
                let facet = outcome.facet.as_ref().map(ToString::to_string);
                let verb = outcome.verb;
                match &outcome.result {
                    Ok(_) => tracing::info!(%policy, resource, facet, what, ?verb, "written"),
                    Err(error) => {
                        tracing::warn!(%policy, resource, facet, what, ?verb, %error, "not written");
                    }
                }
            }
            Progress::Named(address, name) => tracing::info!(%policy, resource = %address, name, "named"),
            Progress::Waiting(_) => {}
        }
    }

    fn transitions(&self, report: &Report, milliseconds: u64) {
        let policy = &self.id;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for unmet in &report.unmet {
            tracing::warn!(%policy, requirement = unmet.message, "a requirement doesn't hold");
        }
        let now: BTreeMap<String, (Phase, String)> = report
            .resources
            .iter()
            .map(|one| (one.address.clone(), (one.phase, one.reason.clone())))
            .collect();
        for (resource, (phase, reason)) in &now {
            let before = told.get(resource);
            if before
                .is_some_and(|(before, why)| before == phase && (why == reason || *phase == Phase::Converged))
            {
                continue;
            }
            let before = before.map(|(before, _)| before.to_string());
            let rule = resource.split(['[', '.']).next();
            let phase = phase.to_string();
            tracing::info!(%policy, rule, resource, before, phase, reason, milliseconds, "phase");
        }
        *told = now;
    }
}
