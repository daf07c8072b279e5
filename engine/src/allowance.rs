//! What all expressions of a policy may use together in one pass, beside what each may use by itself.
//!
//! One process enforces the policies of many, so that none of them may take its memory or its time: a small policy can
//! have any number of instances, each of which is evaluated.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_expression::Budget;

/// Steps of one pass: about a second, so that it needs no pause within, as others have their turn between two passes. A
/// thousand instances, each with a condition that looks at a hundred things, take a tenth of it in a pass that reads nothing
/// new.
pub const MAX_STEPS: u64 = 20_000_000;

/// Bytes that evaluations give for one graph, as [`Budget`] counts them. A pass takes up to five times as much memory, for
/// what is desired, what it is compared with, and what is told of it: a Pod of 128 MiB has room for that. A thousand config
/// maps of a kibibyte each, made by an expression, take two thirds.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Resources of one policy, and instances of one rule.
pub const MAX_RESOURCES: usize = 10_000;

/// Providers of one policy. Each that is opened signs in by itself, and has connections and certificates of its own.
pub const MAX_PROVIDERS: usize = 100;

/// The steps that an instance takes beside its expressions.
const INSTANCE: u64 = 100;

/// The steps that a resource takes beside its expressions, as its kind looks at it.
const RESOURCE: u64 = 400;

/// The bytes that a resource takes beside its document: in the graph, in the plan, and in what is told of it.
pub(crate) const ACTIVE: u64 = 4096;

/// The bytes of one that isn't looked at.
pub(crate) const IDLE: u64 = 1024;

/// A bound that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// [`MAX_STEPS`].
    Steps,
    /// [`MAX_BYTES`].
    Bytes,
    /// [`MAX_RESOURCES`].
    Resources,
    /// [`MAX_PROVIDERS`].
    Providers,
}

/// One sentence for a person, without a full stop.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steps => {
                "the policy's expressions take more than 20,000,000 steps together; have fewer instances, simpler \
                 expressions, or several policies"
            }
            Self::Bytes => {
                "what the policy's expressions give takes more than 16 MiB together; have fewer instances, smaller \
                 documents, or several policies"
            }
            Self::Resources => {
                "the policy has more than 10,000 resources; have fewer instances, or several policies"
            }
            Self::Providers => {
                "the policy needs more than 100 providers; have fewer of them, or several policies"
            }
        })
    }
}

/// What the evaluations of one pass may still use together.
#[derive(Debug)]
pub struct Allowance(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Steps left.
    steps: u64,
    /// Bytes left.
    bytes: u64,
    /// The first bound that was met since somebody asked.
    met: Option<Bound>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self(Mutex::new(State {
            steps: MAX_STEPS,
            bytes: MAX_BYTES,
            met: None,
        }))
    }
}

impl Allowance {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steps that are left.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// The bytes that are left.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Evaluates within what a single evaluation may use, and within what is left for all; the bound that was met, if that
    /// is why there is no result. Of a result that isn't kept only the steps count.
    pub(crate) fn draw<T, E>(
        &self,
        is_kept: bool,
        evaluate: impl FnOnce(&mut Budget) -> Result<T, E>,
    ) -> Result<T, (E, Option<Bound>)> {
        let single = Budget::default();
        let mut budget = single.clone();
        {
            let left = self.state();
            budget.steps = budget.steps.min(left.steps);
            budget.bytes = budget.bytes.min(left.bytes);
        }
        let given = budget.clone();
        let result = evaluate(&mut budget);
        let mut state = self.state();
        let steps = given.steps.saturating_sub(budget.steps);
        state.steps = state.steps.saturating_sub(steps);
        match result {
            Ok(value) => {
                let bytes = given.bytes.saturating_sub(budget.bytes);
                if is_kept {
                    state.bytes = state.bytes.saturating_sub(bytes);
                }
                Ok(value)
            }
            Err(error) => {
                let met = if budget.steps == 0 && given.steps < single.steps {
                    Some(Bound::Steps)
                } else if budget.bytes == 0 && given.bytes < single.bytes {
                    Some(Bound::Bytes)
                } else {
                    None
                };
                state.met = state.met.or(met);
                Err((error, met))
            }
        }
    }

    /// Takes what one more instance takes.
    pub(crate) fn instance(&self) {
        self.take(INSTANCE, 0);
    }

    /// Takes what one more resource of so many bytes takes.
    pub(crate) fn resource(&self, bytes: u64) {
        self.take(RESOURCE, bytes);
    }

    fn take(&self, steps: u64, bytes: u64) {
        let mut state = self.state();
        let met = if state.steps < steps {
            Some(Bound::Steps)
        } else if state.bytes < bytes {
            Some(Bound::Bytes)
        } else {
            None
        };
        state.met = state.met.or(met);
        state.steps = state.steps.saturating_sub(steps);
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Takes `bytes` for what is made without an expression.
    pub(crate) fn keep(&self, bytes: u64) -> Result<(), Bound> {
        let mut state = self.state();
        if let Some(left) = state.bytes.checked_sub(bytes) {
            state.bytes = left;
            Ok(())
        } else {
            state.met = Some(Bound::Bytes);
            Err(Bound::Bytes)
        }
    }

    /// What was given since so many `bytes` were left isn't kept.
    pub(crate) fn forget_since(&self, bytes: u64) {
        self.state().bytes = bytes;
    }

    /// Notes that `bound` was met.
    pub(crate) fn meet(&self, bound: Bound) {
        self.state().met = Some(bound);
    }

    /// The bound that was met, if one was; then that is forgotten.
    pub(crate) fn take_met(&self) -> Option<Bound> {
        self.state().met.take()
    }

    /// Whether a bound was met.
    pub(crate) fn is_met(&self) -> bool {
        self.state().met.is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use holdfast_expression::Span;

    use super::*;

    /// Draws until nothing is left: what was given to evaluations that each take as much as they may.
    fn drawn(is_kept: bool, allowance: &Allowance) -> (Budget, usize) {
        let mut given = Budget { steps: 0, bytes: 0 };
        let evaluations = (0..1000).take_while(|_| {
            let result = allowance.draw(is_kept, |budget| {
                budget.elements(1, Span::default())?;
                given.steps += budget.steps;
                given.bytes += budget.bytes;
                budget.steps = 0;
                budget.bytes /= 2;
                Ok::<_, Box<holdfast_expression::Error>>(())
            });
            result.is_ok()
        });
        let evaluations = evaluations.count();
        (given, evaluations)
    }

    #[test]
    fn all_evaluations_together_take_no_more_than_is_allowed() {
        let allowance = Allowance::default();
        let (given, evaluations) = drawn(false, &allowance);
        assert_eq!(evaluations, 20);
        assert!(given.steps <= MAX_STEPS, "{given:?}");
        let over = allowance.draw(true, |budget| budget.elements(1, Span::default()));
        assert_eq!(over.unwrap_err().1, Some(Bound::Steps));
        assert_eq!(allowance.take_met(), Some(Bound::Steps));
    }

    #[test]
    fn what_is_kept_takes_no_more_than_is_allowed_until_it_is_forgotten() {
        let allowance = Allowance::default();
        let fill = || allowance.draw(true, |budget| budget.text(5_000_000, Span::default()));
        let kept = (0..100).take_while(|_| fill().is_ok()).count();
        assert_eq!(kept, 3);
        assert_eq!(allowance.take_met(), Some(Bound::Bytes));
        allowance.forget_since(MAX_BYTES);
        assert!(fill().is_ok());
        let before = allowance.bytes();
        for _ in 0..20 {
            let passing = allowance.draw(false, |budget| budget.text(1_000_000, Span::default()));
            assert!(passing.is_ok());
        }
        assert_eq!(allowance.bytes(), before);
    }

    #[test]
    fn what_one_evaluation_may_take_is_no_bound_of_all() {
        let allowance = Allowance::default();
        let alone = allowance.draw(true, |budget| budget.elements(1_000_001, Span::default()));
        assert_eq!(alone.unwrap_err().1, None);
        assert_eq!(allowance.take_met(), None);
        assert_eq!(allowance.steps(), MAX_STEPS - 1_000_000);
        assert_eq!(allowance.bytes(), MAX_BYTES);
    }
}
