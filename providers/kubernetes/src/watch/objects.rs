//! Single objects of one type and namespace as they change.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::select_all;
use futures::stream::{BoxStream, StreamExt, unfold};
use holdfast_contract::{ApiType, Kind as _, Observation, ProviderError, ResourceKey, Seen, WatchStream};
use serde_json::Value as Json;

use super::feed::{Collection, Event, Feed, Part};
use super::{SINGLE_MAX, SINGLE_MAX_UNLISTED};
use crate::kind::POLICY_LABEL;
use crate::observe::{Answers, observed, read_group};
use crate::provider::Server;
use crate::types;

/// From how many objects on one list proves them absent at less cost than a request for each.
const LIST_FROM: usize = 32;

/// What is told of one object.
type One = (ResourceKey, Result<Observation, ProviderError>);

/// Objects of one type and namespace.
pub(super) struct Group {
    pub(super) server: Arc<Server>,
    pub(super) api: ApiType,
    pub(super) namespace: Option<String>,
    pub(super) keys: BTreeSet<ResourceKey>,
    /// The mark that they bear, if they do.
    pub(super) mark: Option<String>,
}

/// How they are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Each by itself.
    Singly,
    /// Those with the mark by one watch; those few that are there without it each by itself.
    Marked,
    /// By one watch of all of the type and namespace.
    Whole,
}

/// One of a group's watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Marked,
    Single(ResourceKey),
    Whole,
}

struct Watch {
    group: Group,
    mode: Mode,
    /// There without the mark, as told last.
    unmarked: BTreeSet<ResourceKey>,
    members: BTreeMap<Member, BoxStream<'static, One>>,
}

impl Group {
    /// Each object as it is now, then as it changes.
    pub(super) fn watch(self) -> WatchStream {
        let place = (self.api.clone(), self.namespace.clone());
        let singly = self.keys.len() <= SINGLE_MAX
            || types::is_secret(&self.api)
            || self.server.unlisted.has(&place) && self.keys.len() <= SINGLE_MAX_UNLISTED;
        let mode = match &self.mark {
            _ if singly => Mode::Singly,
            Some(_) => Mode::Marked,
            None => Mode::Whole,
        };
        let mut watch = Watch {
            group: self,
            mode,
            unmarked: BTreeSet::new(),
            members: BTreeMap::new(),
        };
        watch.arrange();
        unfold(watch, |mut watch| async {
            let (key, seen) = watch.next().await;
            Some((Seen::One(key, seen), watch))
        })
        .boxed()
    }

    fn bears_mark(&self, observation: &Observation) -> bool {
        let mark = observation
            .present()
            .and_then(|observed| self.server.kind.marked_by(observed));
        mark.is_some() && mark == self.mark
    }

    fn member(&self, member: &Member) -> BoxStream<'static, One> {
        let (part, keys) = match member {
            Member::Marked => {
                let mark = self.mark.as_deref().unwrap_or_default();
                (
                    Part::Labelled(format!("{POLICY_LABEL}={mark}")),
                    self.keys.clone(),
                )
            }
            Member::Single(key) => (Part::Named(key.name.clone()), BTreeSet::from([key.clone()])),
            Member::Whole => (Part::All, self.keys.clone()),
        };
        Followed::new(self, part, keys).stream()
    }
}

impl Watch {
    async fn next(&mut self) -> One {
        loop {
            let streams = self.members.iter_mut();
            let next = streams.map(|(member, stream)| stream.next().map(|one| (member.clone(), one)));
            // Never of nothing, which would panic: there is a member for as long as there is a key.
            let ((member, one), ..) = select_all(next).await;
            let Some(one) = one else {
                self.members.remove(&member);
                continue;
            };
            if self.learn(&member, &one) {
                return one;
            }
        }
    }

    /// Changes how the objects are watched, where what is told of one shows the need; whether to tell it.
    fn learn(&mut self, member: &Member, (key, seen): &One) -> bool {
        match seen {
            // A role may name the objects that may be read, and then no list is allowed.
            Err(ProviderError::Denied { .. })
                if self.mode != Mode::Singly && self.group.keys.len() <= SINGLE_MAX_UNLISTED =>
            {
                let place = (self.group.api.clone(), self.group.namespace.clone());
                self.group.server.unlisted.add(place);
                self.mode = Mode::Singly;
                self.arrange();
                return false;
            }
            // It is watched otherwise.
            Err(_) if *member == Member::Marked && self.unmarked.contains(key) => return false,
            Err(_) => return true,
            Ok(observation) => {
                if observation.present().is_none() || self.group.bears_mark(observation) {
                    self.unmarked.remove(key);
                } else {
                    self.unmarked.insert(key.clone());
                }
            }
        }
        if self.mode == Mode::Marked && self.unmarked.len() > SINGLE_MAX {
            self.mode = Mode::Whole;
            // Each counts as unmarked until it is told of.
            self.unmarked.clone_from(&self.group.keys);
        } else if self.mode == Mode::Whole && self.group.mark.is_some() && self.unmarked.is_empty() {
            self.mode = Mode::Marked;
        }
        self.arrange();
        true
    }

    /// Begins and ends watches, so that there are those that the mode needs.
    fn arrange(&mut self) {
        let single = |keys: &BTreeSet<ResourceKey>| -> Vec<Member> {
            keys.iter().cloned().map(Member::Single).collect()
        };
        let mut needed = match self.mode {
            Mode::Singly => single(&self.group.keys),
            Mode::Marked => single(&self.unmarked),
            Mode::Whole => vec![Member::Whole],
        };
        if self.mode == Mode::Marked {
            needed.push(Member::Marked);
        }
        let needed: BTreeSet<Member> = needed.into_iter().collect();
        self.members.retain(|member, _| needed.contains(member));
        for member in needed {
            let group = &self.group;
            self.members
                .entry(member)
                .or_insert_with_key(|member| group.member(member));
        }
    }
}

/// Objects in one feed.
struct Followed {
    server: Arc<Server>,
    place: (ApiType, Option<String>),
    keys: BTreeSet<ResourceKey>,
    feed: Feed<One>,
    /// Whether what isn't in the feed may be there all the same.
    is_selected: bool,
    ready: VecDeque<One>,
}

impl Followed {
    fn new(group: &Group, part: Part, keys: BTreeSet<ResourceKey>) -> Self {
        let by_name: BTreeMap<String, ResourceKey> =
            keys.iter().map(|key| (key.name.clone(), key.clone())).collect();
        let is_selected = matches!(part, Part::Labelled(_));
        let of = Collection {
            api: group.api.clone(),
            namespace: group.namespace.clone(),
            part,
        };
        let read = move |object: Json| {
            let name = object.pointer("/metadata/name").and_then(Json::as_str)?;
            let key = by_name.get(name)?.clone();
            let seen = observed(&key, object).map(|observed| Observation::Present(Arc::new(observed)));
            Some((key, seen))
        };
        Self {
            server: Arc::clone(&group.server),
            place: (group.api.clone(), group.namespace.clone()),
            keys,
            feed: Feed::new(&group.server, of, read),
            is_selected,
            ready: VecDeque::new(),
        }
    }

    fn stream(self) -> BoxStream<'static, One> {
        unfold(self, |mut followed| async {
            let one = followed.next().await;
            Some((one, followed))
        })
        .boxed()
    }

    async fn next(&mut self) -> One {
        loop {
            if let Some(one) = self.ready.pop_front() {
                return one;
            }
            match self.feed.next().await {
                Event::Listed(items) => self.take_all(items).await,
                event => self.take(event).await,
            }
        }
    }

    async fn take_all(&mut self, items: Vec<One>) {
        let missing: BTreeSet<ResourceKey> = {
            let listed: BTreeSet<&ResourceKey> = items.iter().map(|(key, _)| key).collect();
            self.keys
                .iter()
                .filter(|key| !listed.contains(key))
                .cloned()
                .collect()
        };
        self.ready.extend(items);
        if self.is_selected {
            self.confirm(missing).await;
        } else {
            let absent = missing.into_iter().map(|key| (key, Ok(Observation::Absent)));
            self.ready.extend(absent);
        }
    }

    /// Takes `event`, and those that have come with it: what many of them say is gone is read at once.
    async fn take(&mut self, event: Event<One>) {
        let mut gone: BTreeSet<ResourceKey> = BTreeSet::new();
        let mut next = Some(event);
        let mut failed = None;
        while let Some(event) = next {
            match event {
                Event::Changed((key, seen)) => {
                    gone.remove(&key);
                    self.ready.push_back((key, seen));
                }
                Event::Removed((key, _)) => {
                    gone.insert(key);
                }
                Event::Listed(items) => self.ready.extend(items),
                Event::Failed(error) => failed = Some(error),
            }
            next = if gone.is_empty() || failed.is_some() {
                None
            } else {
                self.feed.ready()
            };
        }
        if !gone.is_empty() {
            self.confirm(gone).await;
        }
        if let Some(error) = failed {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &ProviderError) {
        let errors = self.keys.iter().map(|key| (key.clone(), Err(error.clone())));
        self.ready.extend(errors);
    }

    /// Reads what the feed doesn't show: it may be gone, or only no longer bear the mark.
    async fn confirm(&mut self, missing: BTreeSet<ResourceKey>) {
        let keys = missing.iter().collect();
        let answers: Answers = read_group(&self.server, self.place.clone(), keys, LIST_FROM).await;
        let unsure =
            |error: &ProviderError| error.is_transient() || matches!(error, ProviderError::NotServed { .. });
        let doubt = answers
            .values()
            .find_map(|answer| answer.as_ref().err().filter(|error| unsure(error)))
            .cloned();
        self.ready.extend(answers);
        // What was told of it before is no longer so, and what is so is learnt by trying again.
        if let Some(error) = doubt
            && let Some(Event::Failed(error)) = self.feed.doubt(&error)
        {
            self.fail(&error);
        }
    }
}
