//! What a test may ask of the world beyond its normal course: failures, and a record of all requests.

use std::fmt;

use holdfast_contract::{Facet, ProviderError, ProviderName};

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// A read of one resource.
    Observe,
    /// A search.
    Find,
    /// The question which types are served.
    Served,
    /// A preview of a write.
    Preview,
    /// A creation.
    Create,
    /// A write of one facet.
    Set,
    /// A deletion.
    Delete,
    /// A read of a ledger.
    Load,
    /// A write of a ledger.
    Save,
    /// Taking or renewing a lease.
    Acquire,
    /// The question who holds a lease.
    Holder,
    /// Giving a lease back.
    Release,
}

impl Operation {
    /// Whether it changes anything.
    #[must_use]
    pub fn is_write(self) -> bool {
        match self {
            Self::Observe | Self::Find | Self::Served | Self::Preview | Self::Load | Self::Holder => false,
            Self::Create | Self::Set | Self::Delete | Self::Save | Self::Acquire | Self::Release => true,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Find => "find",
            Self::Served => "served",
            Self::Preview => "preview",
            Self::Create => "create",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Load => "load",
            Self::Save => "save",
            Self::Acquire => "acquire",
            Self::Holder => "holder",
            Self::Release => "release",
        })
    }
}

/// One request that the world was sent, whether or not it succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What was asked for.
    pub operation: Operation,
    /// Through which provider; none for ledgers and leases.
    pub provider: Option<ProviderName>,
    /// Of what: a resource as people name it, a policy, a type.
    pub target: String,
    /// Which facet, where the request is about one.
    pub facet: Option<Facet>,
}

/// `set s3/Bucket backups encryption`.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.target)?;
        match &self.facet {
            Some(facet) => write!(f, " {facet}"),
            None => Ok(()),
        }
    }
}

/// A failure that waits for the request that it befalls.
#[derive(Clone, Debug)]
pub struct Accident {
    operation: Operation,
    provider: Option<ProviderName>,
    target: Option<String>,
    facet: Option<Facet>,
    error: ProviderError,
    left: Option<u32>,
    lost_answer: bool,
}

impl Accident {
    /// The next request of this kind fails with `error`.
    #[must_use]
    pub fn new(operation: Operation, error: ProviderError) -> Self {
        Self {
            operation,
            provider: None,
            target: None,
            facet: None,
            error,
            left: Some(1),
            lost_answer: false,
        }
    }

    /// Only through the provider `name`.
    #[must_use]
    pub fn through(mut self, name: &ProviderName) -> Self {
        self.provider = Some(name.clone());
        self
    }

    /// Only where the target, as people name it, ends with `target`: `backups`, `openshift-velero/velero`.
    #[must_use]
    pub fn on(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    /// Only this facet: of a read it alone is unreadable, of writes only those of it fail.
    #[must_use]
    pub fn of(mut self, facet: &Facet) -> Self {
        self.facet = Some(facet.clone());
        self
    }

    /// So many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// Until [`World::heal`](crate::World::heal).
    #[must_use]
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// The write takes effect, and only its answer is lost.
    #[must_use]
    pub fn after_the_effect(mut self) -> Self {
        self.lost_answer = true;
        self
    }
}

/// When in the course of a request an accident befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

/// All accidents that wait.
#[derive(Debug, Default)]
pub(crate) struct Accidents(Vec<Accident>);

impl Accidents {
    pub(crate) fn add(&mut self, accident: Accident) {
        self.0.push(accident);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The error with which `request` fails at this moment, if it does.
    pub(crate) fn befall(&mut self, request: &Request, moment: Moment) -> Option<ProviderError> {
        let lost_answer = moment == Moment::After;
        let position = self.0.iter().position(|accident| {
            accident.operation == request.operation
                && accident.lost_answer == lost_answer
                && accident.facet == request.facet.clone().filter(|_| accident.facet.is_some())
                && (accident.provider.is_none() || accident.provider == request.provider)
                && accident
                    .target
                    .as_ref()
                    .is_none_or(|target| request.target.ends_with(target.as_str()))
        })?;
        let accident = self.0.get_mut(position)?;
        let error = accident.error.clone();
        if let Some(left) = &mut accident.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.0.remove(position);
            }
        }
        Some(error)
    }
}
