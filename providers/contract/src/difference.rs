//! Where desired and observed differ.

use serde::Serialize;

use crate::path::Path;
use crate::value::Value;

/// One place in a facet where what was observed is not what is desired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where, from the facet's root.
    pub path: Path,
    /// How.
    #[serde(flatten)]
    pub change: Change,
    /// What else a person should know: who wrote it last, that the server decides its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How one place differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum Change {
    /// Desired, and not there.
    Add {
        /// What will be there.
        new: Value,
    },
    /// There, and to be removed.
    Remove {
        /// What is there.
        old: Value,
    },
    /// There with another value.
    Replace {
        /// What is there.
        old: Value,
        /// What will be there.
        new: Value,
    },
    /// There with the desired value, but not yet held by this policy's field manager.
    Claim,
}

impl Difference {
    /// A difference without a note.
    #[must_use]
    pub fn new(path: Path, change: Change) -> Self {
        Self {
            path,
            change,
            note: None,
        }
    }
}
