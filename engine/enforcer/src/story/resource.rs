//! What has happened to one resource.

use super::{BTreeSet, EventReason, HoldState, Json, News, Phase, ResourceReport, StepVerb, words};
use crate::status::{NAME, NAMED};

/// How a resource fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Course {
    /// It never held, with the policy as it is.
    #[default]
    Unsettled,
    /// It was made, and doesn't hold yet.
    Made,
    /// It held when that could last be told.
    Held,
    /// It held, and doesn't any more.
    Drifted,
}

/// What is known of one resource.
#[derive(Debug, Default)]
pub(super) struct Seen {
    phase: Option<Phase>,
    /// The trouble that was told and isn't over: what is tried again, and fails again, is no news.
    trouble: Option<EventReason>,
    course: Course,
    /// What was desired when it last held, as its report has it.
    desired: Option<u64>,
    /// The facets that can't be read or written.
    blocked: BTreeSet<String>,
    hold: Option<HoldState>,
    vanished: bool,
    /// What is to be told when it is gone, while it is to be deleted.
    pub(super) leaves: Option<Box<News>>,
    /// What was done to it since it was last told.
    pub(super) written: BTreeSet<StepVerb>,
}

impl Seen {
    /// As the entry of a status says; none where it says no phase.
    pub(super) fn before(entry: &Json) -> Option<Self> {
        let text = |value: &Json, key: &str| value.get(key).and_then(Json::as_str).map(str::to_owned);
        let phase = text(entry, "phase")?;
        let phase = Phase::ALL.into_iter().find(|known| known.to_string() == phase)?;
        let blocked = entry.get("blocked").and_then(Json::as_array);
        let blocked = blocked.into_iter().flatten().filter_map(Json::as_str);
        let hold = entry.get("hold").and_then(|hold| text(hold, "state"));
        let vanished = entry.get("vanished").and_then(|vanished| vanished.get("proven"));
        Some(Self {
            phase: Some(phase),
            trouble: trouble(phase),
            course: if phase == Phase::Converged && entry.get("action").is_none() {
                Course::Held
            } else {
                Course::Unsettled
            },
            desired: None,
            blocked: blocked.map(str::to_owned).collect(),
            hold: hold.map(|state| {
                if state == "overdue" {
                    HoldState::Overdue
                } else {
                    HoldState::Waits
                }
            }),
            vanished: vanished == Some(&Json::Bool(true)),
            leaves: None,
            written: BTreeSet::new(),
        })
    }

    /// As it is reported, all of which was told.
    pub(super) fn told(resource: &ResourceReport) -> Self {
        Self {
            phase: Some(resource.phase),
            trouble: trouble(resource.phase),
            blocked: resource.blocked.keys().cloned().collect(),
            hold: resource.hold.as_ref().map(|hold| hold.state),
            vanished: resource.vanished.as_ref().is_some_and(|vanished| vanished.proven),
            ..Self::default()
        }
    }

    /// Whether nothing is known of it.
    pub(super) fn is_new(&self) -> bool {
        self.phase.is_none()
    }

    /// Adds the blocked facets that a status has no room for, or not by their names: they were told as well.
    pub(super) fn fill(&mut self, resource: &ResourceReport) {
        let last = self
            .blocked
            .last()
            .filter(|_| self.blocked.len() >= NAMED)
            .cloned();
        let is_hidden = |facet: &&String| {
            !words::is_whole(facet, NAME) || last.as_ref().is_some_and(|last| *facet > last)
        };
        self.blocked
            .extend(resource.blocked.keys().filter(is_hidden).cloned());
    }

    /// What it is to be is another now.
    pub(super) fn edit(&mut self) {
        self.course = Course::Unsettled;
    }

    /// Compares with what is reported now, and tells what is new.
    pub(super) fn see(&mut self, resource: &ResourceReport, news: &mut Vec<News>) {
        self.drift(resource, news);
        self.deeds(resource, news);
        self.trouble(resource, news);
        self.facets(resource, news);
        self.hold(resource, news);
        if resource.phase == Phase::Converged && !differs(resource) {
            self.course = Course::Held;
            self.desired = Some(resource.desired);
            self.written.clear();
        }
        self.phase = Some(resource.phase);
        self.leaves = (resource.action == Some(StepVerb::Delete)).then(|| {
            Box::new(News {
                verb: Some(StepVerb::Delete),
                phase: None,
                ..News::of(EventReason::Deleted, resource, "deleted")
            })
        });
    }

    fn drift(&mut self, resource: &ResourceReport, news: &mut Vec<News>) {
        let is_asked_for = self.desired.is_some_and(|desired| desired != resource.desired);
        if self.course == Course::Held && differs(resource) && is_asked_for && !is_gone(resource) {
            // A fact, or what another resource has come to, makes something else of it. Nobody has touched it.
            self.course = Course::Unsettled;
        } else if self.course == Course::Held && differs(resource) {
            self.course = Course::Drifted;
            let sentence = words::drift(resource);
            news.push(News::of(EventReason::DriftDetected, resource, &sentence));
        }
        let vanished = resource.vanished.as_ref().is_some_and(|vanished| vanished.proven);
        if vanished && !self.vanished {
            news.push(News::of(EventReason::BucketVanished, resource, &resource.reason));
        }
        self.vanished = vanished;
    }

    /// What came of what was written. Only what is observed proves that.
    fn deeds(&mut self, resource: &ResourceReport, news: &mut Vec<News>) {
        let is_there = resource.action != Some(StepVerb::Create) && is_told(resource.phase);
        let holds = resource.phase == Phase::Converged && !differs(resource);
        let mut tell = |reason, verb, sentence: &str| {
            news.push(News {
                verb,
                ..News::of(reason, resource, sentence)
            });
        };
        if self.course == Course::Drifted {
            // The heaviest of what was done says how it was put right.
            let verb = self.written.iter().next_back().copied();
            match verb {
                _ if !holds => {}
                Some(_) => tell(EventReason::DriftRepaired, verb, "put right, and holds again"),
                None => tell(
                    EventReason::DriftGone,
                    None,
                    "holds again, without a write by this policy",
                ),
            }
            return;
        }
        if is_there && self.written.contains(&StepVerb::Create) {
            let (reason, sentence) = if self.written.contains(&StepVerb::Replace) {
                (EventReason::Replaced, "deleted and made anew")
            } else {
                (EventReason::Created, "created")
            };
            tell(reason, Some(StepVerb::Create), sentence);
            self.written.clear();
            self.course = Course::Made;
        }
        if holds && self.written.contains(&StepVerb::Delete) {
            tell(EventReason::Deleted, Some(StepVerb::Delete), "deleted");
        } else if holds && self.course != Course::Made && self.written.contains(&StepVerb::Update) {
            tell(
                EventReason::Changed,
                Some(StepVerb::Update),
                "changed, and is as the policy says",
            );
        }
    }

    fn trouble(&mut self, resource: &ResourceReport, news: &mut Vec<News>) {
        if self.phase == Some(resource.phase) {
            return;
        }
        // What holds everything up is told of the policy; of a part of the resource, for that part.
        let is_whole = resource.action.is_none() && resource.blocked.is_empty() && !self.vanished;
        let begins = trouble(resource.phase).filter(|reason| *reason != EventReason::Blocked || is_whole);
        let is_tried_again = matches!(resource.phase, Phase::Absent | Phase::Applying | Phase::Drifted)
            && self.trouble != Some(EventReason::Unreadable);
        match begins {
            Some(reason) if self.trouble != begins => {
                news.push(News::of(reason, resource, &resource.reason));
                self.trouble = begins;
            }
            None if !is_tried_again => self.trouble = None,
            _ => {}
        }
    }

    fn facets(&mut self, resource: &ResourceReport, news: &mut Vec<News>) {
        for (facet, why) in &resource.blocked {
            if !self.blocked.contains(facet) {
                news.push(News::of(
                    EventReason::Blocked,
                    resource,
                    &format!("{facet}: {why}"),
                ));
            }
        }
        self.blocked = resource.blocked.keys().cloned().collect();
    }

    fn hold(&mut self, resource: &ResourceReport, news: &mut Vec<News>) {
        let state = resource.hold.as_ref().map(|hold| hold.state);
        if let Some(hold) = &resource.hold
            && state != self.hold
        {
            match hold.state {
                HoldState::Waits => news.push(News::of(EventReason::Held, resource, &words::held(hold))),
                HoldState::Overdue => {
                    let sentence = words::overdue(hold);
                    news.push(News::of(EventReason::HoldOverdue, resource, &sentence));
                }
                HoldState::Free => {}
            }
        }
        self.hold = state;
    }
}

/// What a phase is told as, if it is one of trouble.
fn trouble(phase: Phase) -> Option<EventReason> {
    match phase {
        Phase::Blocked => Some(EventReason::Blocked),
        Phase::Contested => Some(EventReason::Contested),
        Phase::Failed => Some(EventReason::Failed),
        Phase::Unknown => Some(EventReason::Unreadable),
        _ => None,
    }
}

/// Whether it is known not to be as declared.
pub(crate) fn differs(resource: &ResourceReport) -> bool {
    resource.action.is_some() || matches!(resource.phase, Phase::Absent | Phase::Drifted)
}

fn is_gone(resource: &ResourceReport) -> bool {
    resource.action == Some(StepVerb::Create)
}

/// Whether the phase says that the resource is there.
fn is_told(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Blocked | Phase::Contested | Phase::Converged | Phase::Drifted | Phase::Settling
    )
}
