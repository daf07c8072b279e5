//! Errors, grouped by what the caller may do about them.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::key::{ApiType, ResourceKey};
use crate::path::Path;

/// The underlying failure, shared so that one failure can be reported in several places.
pub type BoxError = Arc<dyn Error + Send + Sync>;

/// What went wrong in an external system, by what the caller may do.
///
/// No variant means "absent": absence is an [`Observation`](crate::Observation), and only a real not-found proves it.
/// Messages never hold the content of a document.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// It changed since it was observed: observe again, then plan again.
    #[error("{key} changed since it was observed")]
    Conflict {
        /// What changed.
        key: ResourceKey,
    },
    /// This identity may not do it: an administrator has to allow `action`.
    #[error("access denied: this identity lacks {action} on {target}")]
    Denied {
        /// The permission that is missing, in the service's own words: `s3:PutBucketLogging`, `patch deployments.apps`.
        action: String,
        /// What it was to be done on.
        target: String,
    },
    /// The credentials themselves are missing, wrong or expired: an administrator has to mend them.
    #[error("no credentials that {service} accepts: {message}")]
    Unauthenticated {
        /// Who said so.
        service: String,
        /// What it said, or what is missing.
        message: String,
    },
    /// The service asks to slow down: wait, then try again.
    #[error("{service} asks to slow down")]
    Throttled {
        /// Who asked.
        service: String,
        /// How long it asked to wait, if it said so.
        retry_after: Option<Duration>,
    },
    /// It did not answer, or could not: try again later. Whether a write took effect is not known.
    #[error("{service} can't be reached or can't answer: {message}")]
    Unavailable {
        /// Who.
        service: String,
        /// What happened.
        message: String,
        /// The failure below it.
        #[source]
        source: Option<BoxError>,
    },
    /// A write was given up before its answer came: observe again, as it may have taken effect.
    #[error("{service} gave no answer within {} s; whether it was done, the next look tells", after.as_secs())]
    Abandoned {
        /// Who was asked.
        service: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The request can't be right as it is: change the policy.
    #[error("{target} refused: {message}")]
    Invalid {
        /// What was asked for.
        target: String,
        /// Why it was refused.
        message: String,
        /// The field at fault, where the service names one.
        field: Option<Path>,
    },
    /// These fields can't be changed on what exists: replace it, or leave them.
    #[error("{key}: {} can't be changed on an existing object", fields.join(", "))]
    Immutable {
        /// What it is.
        key: ResourceKey,
        /// The fields that can't be changed.
        fields: Vec<String>,
    },
    /// The service has no such thing, or keeps it differently: said once, not written again.
    #[error("{service} does not support {what}")]
    Unsupported {
        /// Which service.
        service: String,
        /// The facet, field or call that it lacks.
        what: String,
    },
    /// The server knows no such kind; whether the object would exist can't be said.
    #[error("this cluster doesn't serve {api} ({})", api.api_version)]
    NotServed {
        /// The kind that isn't served.
        api: ApiType,
    },
    /// Someone else's: it must not be touched.
    #[error("{target} belongs to somebody else: {message}")]
    Foreign {
        /// What it is.
        target: String,
        /// How that shows.
        message: String,
    },
}

impl ProviderError {
    /// Whether trying the same again later may succeed without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Abandoned { .. }
                | Self::Conflict { .. }
                | Self::Throttled { .. }
                | Self::Unavailable { .. }
        )
    }

    /// Whether a person has to change a permission, a credential or the policy first.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::Unauthenticated { .. }
                | Self::Immutable { .. }
                | Self::Unsupported { .. }
                | Self::Foreign { .. }
        )
    }
}
