//! What a rule wants of one facet.

use crate::path::Path;
use crate::value::Value;

/// What a rule wants of one facet of one resource.
///
/// Only what `value` declares is enforced. The lists are concrete places in the facet's document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// The declared document, without nulls.
    pub value: Value,
    /// Places set at creation and afterwards left as observed.
    pub initial: Vec<Path>,
    /// Places under which whatever isn't declared is removed.
    pub exact: Vec<Path>,
    /// Places of the observed document that must not be there.
    pub absent: Vec<Path>,
    /// Whose fields become ours; none: nobody's.
    pub take_over: Option<TakeOver>,
}

/// Former writers whose fields become ours, so that what is not declared of them is removed.
///
/// Only a kind whose servers keep account of who holds which field can do that; others leave it aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TakeOver {
    /// The former field managers.
    pub managers: Vec<String>,
    /// Under which places of the observed document; none: everywhere.
    pub scope: Option<Vec<Path>>,
}

impl Desired {
    /// A declared document with no special places.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}
