//! Secrets don't print.

use std::fmt::{Debug, Display};

use holdfast_contract::{Desired, FacetState, Guard, Observed, Value, Version};

use crate::drive::{converge, create, present, set, split};
use crate::failure::Failure;
use crate::subject::Subject;

/// A secret that a resource holds shows in nothing that can be printed: no observation, document, difference,
/// write, preview, answer or error. A fact doesn't hold it at all.
pub async fn secrets_do_not_print(subject: &dyn Subject) -> Result<(), Failure> {
    let key = subject.fresh().await?;
    let Some(secret) = subject.secret(&key) else {
        return Ok(());
    };
    let witness = Witness { texts: &secret.texts };
    let facets = split(subject, secret.desired.clone());
    let creation = create(subject, &key, &facets);
    witness.debug("the write that creates it", &creation)?;
    let observed = converge(subject, &key, &facets).await?;
    witness.observed(&observed)?;

    let kind = subject.kind();
    let document = kind.document(&observed);
    witness.value("the whole document", &document)?;
    let fact = kind.fact(&observed);
    witness.value("the fact", &fact)?;
    // Not even sealed: a fact goes into expressions.
    if let Some(opened) = fact.expose_json() {
        witness.text("the fact, opened", &opened.to_string())?;
    }

    for (facet, desired) in &facets {
        let against_nothing = kind.compare(facet, desired, None, subject.manager());
        let emptied = Desired {
            value: Value::map(),
            exact: vec![holdfast_contract::Path::root()],
            ..Desired::default()
        };
        let against_empty = kind.compare(facet, &emptied, Some(&observed), subject.manager());
        for difference in against_nothing.iter().chain(&against_empty) {
            witness.debug("a difference", difference)?;
            witness.serialized("a difference", difference)?;
        }
        let merged = kind.merge(facet, desired, Some(&observed), subject.manager());
        witness.value("the merged document", &merged)?;

        let mut write = set(subject, &observed, facet, desired);
        witness.debug("the write that repairs it", &write)?;
        match subject.provider().preview(&write).await {
            Ok(preview) => {
                witness.debug("a preview", &preview)?;
                for difference in &preview.differences {
                    witness.serialized("a preview's difference", difference)?;
                }
            }
            Err(error) => witness.error("a preview's error", &error)?,
        }
        match subject.provider().write(&write).await {
            Ok(written) => witness.debug("the answer to a write", &written)?,
            Err(error) => witness.error("a write's error", &error)?,
        }
        write.guard = Guard::Version(Version("0".to_owned()));
        if let Err(error) = subject.provider().write(&write).await {
            witness.error("a refused write's error", &error)?;
        }
    }
    if let Err(error) = subject.provider().write(&creation).await {
        witness.error("the error of creating it again", &error)?;
    }
    witness.observed(&present(subject, &key).await?)
}

/// Looks for the secret in whatever could be printed.
struct Witness<'a> {
    texts: &'a [String],
}

impl Witness<'_> {
    fn text(&self, what: &str, printed: &str) -> Result<(), Failure> {
        if self.texts.iter().any(|text| printed.contains(text.as_str())) {
            return Err(Failure::new(format!("{what} shows the secret")));
        }
        Ok(())
    }

    fn debug(&self, what: &str, value: &dyn Debug) -> Result<(), Failure> {
        self.text(what, &format!("{value:?}"))?;
        self.text(what, &format!("{value:#?}"))
    }

    fn serialized(&self, what: &str, value: &holdfast_contract::Difference) -> Result<(), Failure> {
        let json = serde_json::to_string(value).map_err(|error| Failure::new(format!("{what}: {error}")))?;
        self.text(what, &json)
    }

    fn value(&self, what: &str, value: &Value) -> Result<(), Failure> {
        self.debug(what, value)?;
        self.text(what, &value.to_string())?;
        let json = serde_json::to_string(value).map_err(|error| Failure::new(format!("{what}: {error}")))?;
        self.text(what, &json)
    }

    fn error<E: Debug + Display>(&self, what: &str, error: &E) -> Result<(), Failure> {
        self.debug(what, error)?;
        self.text(what, &error.to_string())
    }

    fn observed(&self, observed: &Observed) -> Result<(), Failure> {
        self.debug("the observation", observed)?;
        for (facet, state) in &observed.facets {
            if let FacetState::Set(value) = state {
                self.value(&format!("the facet {facet}"), value)?;
            }
        }
        Ok(())
    }
}
