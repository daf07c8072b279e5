//! Parameters' values that lie in a `ConfigMap` or a `Secret`, and the values that all parameters then have.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_contract::{Observation, ProviderError, ResourceKey, Wanted};
use holdfast_expression::Value;
use holdfast_policy::{
    Code, Diagnostic, Diagnostics, Parameters, Supplied, ValidPolicy, ValuesFrom, ValuesSource,
    resolve_parameters,
};

use crate::allowance::Allowance;
use crate::cycle::{Engine, open_cluster};
use crate::evaluate::{Evaluator, NoAnswer};
use crate::objects;
use crate::scope::Roots;

/// Why parameters have no values.
#[derive(Debug)]
pub(crate) struct NoParameters {
    /// In words, with the places.
    pub(crate) faults: Diagnostics,
    /// Why a source could not be read; none where it is what they hold that is wrong.
    pub(crate) unread: Option<ProviderError>,
}

impl From<Diagnostics> for NoParameters {
    fn from(faults: Diagnostics) -> Self {
        Self { faults, unread: None }
    }
}

impl Engine {
    /// The values of `policy`'s parameters: defaults, its own values, what `valuesFrom` names, then `overrides`, each
    /// winning over those before it.
    pub async fn parameters(
        &self,
        policy: &ValidPolicy,
        overrides: &[Supplied],
    ) -> Result<Parameters, Diagnostics> {
        let read = self.read_parameters(policy, overrides).await;
        read.map_err(|no| no.faults)
    }

    /// The same, where it matters whether what is wrong may be right the next time.
    pub(crate) async fn read_parameters(
        &self,
        policy: &ValidPolicy,
        overrides: &[Supplied],
    ) -> Result<Parameters, NoParameters> {
        let allowance = Allowance::default();
        let mut supplied = Vec::new();
        if !policy.values_from.is_empty() {
            let providers = open_cluster(self, policy).await;
            for from in &policy.values_from {
                supplied.extend(read(policy, from, self.evaluator(&allowance), &providers).await?);
            }
        }
        supplied.extend(overrides.iter().cloned());
        Ok(resolve_parameters(policy, &supplied)?)
    }

    /// The objects that parameters' values come from, as far as they can be named.
    pub(crate) fn sources(&self, policy: &ValidPolicy) -> BTreeSet<ResourceKey> {
        let allowance = Allowance::default();
        let evaluator = self.evaluator(&allowance);
        let named = |from| place_of(policy, from, evaluator).ok();
        policy.values_from.iter().filter_map(named).collect()
    }
}

/// The object that `from` means.
fn place_of(
    policy: &ValidPolicy,
    from: &ValuesFrom,
    evaluator: Evaluator<'_>,
) -> Result<ResourceKey, NoAnswer> {
    let roots = Roots::new(BTreeMap::from([(
        "parameters".to_owned(),
        Value::map(Vec::<(&str, Value)>::new()),
    )]));
    let name = evaluator.text(&from.name, &roots)?;
    let namespace = match &from.namespace {
        Some(template) => evaluator.text(template, &roots)?,
        None => policy.id.namespace.clone(),
    };
    let api = match from.source {
        ValuesSource::ConfigMap => objects::config_map(),
        ValuesSource::Secret => objects::secret(),
    };
    Ok(objects::key(&api, Some(&namespace), &name))
}

async fn read(
    policy: &ValidPolicy,
    from: &ValuesFrom,
    evaluator: Evaluator<'_>,
    providers: &crate::providers::Providers,
) -> Result<Vec<Supplied>, NoParameters> {
    let fault = |message: String| {
        let mut faults = Diagnostics::new();
        for source in policy.sources.iter() {
            faults.add_source(source);
        }
        faults.push(Diagnostic::error(
            Code::ParameterMissing,
            from.place.clone(),
            message,
        ));
        NoParameters::from(faults)
    };
    let unread = |origin: &str, error: &ProviderError| NoParameters {
        unread: Some(error.clone()),
        ..fault(format!("{origin} can't be read: {error}"))
    };
    let key = place_of(policy, from, evaluator).map_err(|no| fault(no.sentence()))?;
    let (word, secret) = match from.source {
        ValuesSource::ConfigMap => ("ConfigMap", false),
        ValuesSource::Secret => ("Secret", true),
    };
    let origin = format!(
        "{word} {}/{}",
        key.namespace.as_deref().unwrap_or_default(),
        key.name
    );
    let cluster = providers.cluster().map_err(|error| unread(&origin, &error))?;
    let wanted = Wanted {
        key,
        facets: [objects::facet()].into(),
    };
    let observation = match cluster.observe(std::slice::from_ref(&wanted)).await.pop() {
        Some(Ok(observation)) => observation,
        Some(Err(error)) => return Err(unread(&origin, &error)),
        None => return Err(fault(format!("{origin} was not read"))),
    };
    let Observation::Present(observed) = observation else {
        return if from.optional {
            Ok(Vec::new())
        } else {
            Err(fault(format!("{origin} isn't there")))
        };
    };
    let data = observed
        .value(&objects::facet())
        .and_then(|document| document.get("data"));
    let entries: BTreeMap<String, String> = match (data, secret) {
        (Some(data), true) => objects::secret_texts(data),
        (Some(data), false) => objects::texts(data),
        (None, _) => BTreeMap::new(),
    };
    if let Some(key) = &from.key {
        return match entries.get(key) {
            Some(text) => Ok(Supplied::document(&origin, text, secret)?),
            None if from.optional => Ok(Vec::new()),
            None => Err(fault(format!("{origin} has no key {key}"))),
        };
    }
    let supplied = entries
        .iter()
        .map(|(name, text)| Supplied::entry(policy, &origin, name, text, secret));
    Ok(supplied.collect::<Result<_, Diagnostics>>()?)
}
