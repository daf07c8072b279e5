//! The counts as Prometheus reads them, in an order that doesn't change.

use std::fmt::Error;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_engine::Phase;
use holdfast_engine::step::StepVerb;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::{Counts, CycleResult, OfPolicy};

/// Shows the counts.
#[derive(Debug)]
pub(super) struct Exposition(pub(super) Arc<Mutex<Counts>>);

/// One series of a metric: its labels, and its value.
type Series<'c, const LABELS: usize, M> = ([(&'static str, &'c str); LABELS], M);

const POLICY: &str = "policy";
/// All cycles are of policies.
const CONTROLLER: [(&str, &str); 1] = [("controller", POLICY)];

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cycles(&mut encoder, &counts)?;
        policies(&mut encoder, &counts)?;
        requests(&mut encoder, &counts)?;
        let info =
            encoder.encode_descriptor("holdfast_build", "Which version this is", None, MetricType::Info)?;
        Info::new([("version", counts.version.as_str())]).encode(info)
    }
}

fn cycles(encoder: &mut DescriptorEncoder<'_>, counts: &Counts) -> Result<(), Error> {
    let by_result = counts.cycles.iter().map(|(result, count)| {
        let labels = [("controller", POLICY), ("result", result.label())];
        (labels, ConstCounter::new(*count))
    });
    family(
        encoder,
        "controller_runtime_reconcile",
        "Cycles of policies, by how they ended",
        by_result,
    )?;
    let errors = counts
        .cycles
        .get(&CycleResult::Error)
        .copied()
        .unwrap_or_default();
    family(
        encoder,
        "controller_runtime_reconcile_errors",
        "Cycles of policies that ended in an error",
        [(CONTROLLER, ConstCounter::new(errors))],
    )?;
    family(
        encoder,
        "controller_runtime_reconcile_time_seconds",
        "How long cycles of policies took",
        [(CONTROLLER, counts.cycle_seconds.clone())],
    )
}

fn policies(encoder: &mut DescriptorEncoder<'_>, counts: &Counts) -> Result<(), Error> {
    let policies = || counts.policies.iter().map(|(name, of)| (name.as_str(), of));
    let flag = |set: bool| ConstGauge::new(i64::from(set));
    family(
        encoder,
        "holdfast_policy_held",
        "1 where this process holds the policy's lease, and so enforces it",
        policies().filter_map(|(policy, of)| Some(([(POLICY, policy)], flag(of.held?)))),
    )?;
    family(
        encoder,
        "holdfast_policy_ready",
        "1 where all holds that the policy says, by whoever holds its lease",
        policies().filter_map(|(policy, of)| Some(([(POLICY, policy)], flag(of.ready?)))),
    )?;
    let phases = policies().flat_map(|(policy, of)| {
        of.phases.iter().map(move |((rule, phase), count)| {
            let labels = [
                (POLICY, policy),
                ("rule", rule.as_str()),
                ("phase", phase_name(*phase)),
            ];
            (labels, ConstGauge::new(*count))
        })
    });
    family(
        encoder,
        "holdfast_resource_phase",
        "Resources, by where they stand",
        phases,
    )?;
    let vanished = policies().flat_map(|(policy, of)| {
        let addresses = of.vanished.iter();
        addresses.map(move |address| ([(POLICY, policy), ("address", address.as_str())], flag(true)))
    });
    family(
        encoder,
        "holdfast_bucket_vanished",
        "1 for what was there once and is proven to be gone",
        vanished,
    )?;
    let drifts = policies().flat_map(|(policy, of): (_, &OfPolicy)| {
        let drifts = of.drifts.iter();
        drifts.map(move |(rule, count)| {
            (
                [(POLICY, policy), ("rule", rule.as_str())],
                ConstCounter::new(*count),
            )
        })
    });
    family(
        encoder,
        "holdfast_drift_detected",
        "Resources that held and were found not to hold any more",
        drifts,
    )?;
    let repairs = policies().flat_map(|(policy, of): (_, &OfPolicy)| {
        of.repairs.iter().map(move |((rule, verb), count)| {
            let labels = [
                (POLICY, policy),
                ("rule", rule.as_str()),
                ("verb", verb_name(*verb)),
            ];
            (labels, ConstCounter::new(*count))
        })
    });
    family(
        encoder,
        "holdfast_repairs",
        "Resources that were put right after they had drifted",
        repairs,
    )
}

fn requests(encoder: &mut DescriptorEncoder<'_>, counts: &Counts) -> Result<(), Error> {
    let operations = || counts.requests.iter();
    let by_outcome = operations().flat_map(|((provider, operation), of)| {
        of.outcomes.iter().map(|(outcome, count)| {
            let labels = [
                ("provider", *provider),
                ("operation", *operation),
                ("outcome", *outcome),
            ];
            (labels, ConstCounter::new(*count))
        })
    });
    family(
        encoder,
        "holdfast_provider_requests",
        "Requests to clusters and object stores, by how they ended",
        by_outcome,
    )?;
    let durations = operations().map(|((provider, operation), of)| {
        (
            [("provider", *provider), ("operation", *operation)],
            of.seconds.clone(),
        )
    });
    family(
        encoder,
        "holdfast_provider_request_duration_seconds",
        "How long requests to clusters and object stores took",
        durations,
    )
}

/// A metric with all its series; nothing of one that has none.
fn family<'c, const LABELS: usize, M: EncodeMetric + TypedMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = Series<'c, LABELS, M>>,
) -> Result<(), Error> {
    let mut series = series.into_iter().peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, None, M::TYPE)?;
    for (labels, metric) in series {
        metric.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// As people and statuses write it.
fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Absent => "Absent",
        Phase::Applying => "Applying",
        Phase::Blocked => "Blocked",
        Phase::Contested => "Contested",
        Phase::Converged => "Converged",
        Phase::Drifted => "Drifted",
        Phase::Failed => "Failed",
        Phase::Pending => "Pending",
        Phase::Settling => "Settling",
        Phase::Skipped => "Skipped",
        Phase::Unknown => "Unknown",
    }
}

fn verb_name(verb: StepVerb) -> &'static str {
    match verb {
        StepVerb::Create => "create",
        StepVerb::Update => "update",
        StepVerb::Delete => "delete",
        StepVerb::Replace => "replace",
    }
}
