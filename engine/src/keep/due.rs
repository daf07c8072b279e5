//! When the next cycle is due although nobody says anything.

use super::{Duration, Instant, Keeper, Pass, ProviderError, Run, jittered, pause};
use crate::clock::after;

/// How long what waits is left alone at first, and at most, before it is read again.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How soon a cycle that has used up its passes is followed by the next.
const SOON: Duration = Duration::from_secs(1);
/// Everything is read anew, as somebody asked for it, once in so long at most: whoever asks all the time gets no more.
const ASKED: Duration = Duration::from_secs(5);
/// The cluster is asked which types it serves once in so long at most, however fast its definitions change.
const TYPES: Duration = Duration::from_secs(1);

/// What is due when.
#[derive(Debug)]
pub(super) struct Due {
    /// How often all is read again that no service pushes.
    interval: Duration,
    /// When that was done last.
    pub(super) read: Instant,
    /// When it is to be done next.
    next_read: Instant,
    /// When what isn't settled is to be read again, and how long that is after the last time.
    poll: Option<Instant>,
    pause: Duration,
    /// When what could not be read is tried again, and how often that has failed in a row.
    retry: Option<Instant>,
    failures: u32,
    /// When parameters whose source could not be read are to be read again, and how often that has failed in a row.
    parameters: Option<Instant>,
    unread: u32,
    /// When what was failed to be written, fought over or only looked at is to be tried once more.
    other: Option<Instant>,
    /// When the cluster is to be asked anew which types it serves, and from when on it may be.
    types: Option<Instant>,
    types_from: Instant,
    /// From when on everything may be read anew because somebody asks for it.
    pub(super) ask: Instant,
}

/// Why a cycle is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Interval,
    Poll,
    Retry,
    Parameters,
    Other,
    Types,
}

impl Due {
    pub(super) fn new(interval: Duration) -> Self {
        let now = Instant::now();
        Self {
            interval,
            read: now,
            next_read: after(now, jittered(interval)),
            poll: None,
            pause: POLL.0,
            retry: None,
            failures: 0,
            parameters: None,
            unread: 0,
            other: None,
            types: None,
            types_from: now,
            ask: now,
        }
    }

    /// The first thing that is due.
    pub(super) fn next(&self) -> (Instant, Why) {
        let all = [
            Some((self.next_read, Why::Interval)),
            self.poll.map(|at| (at, Why::Poll)),
            self.retry.map(|at| (at, Why::Retry)),
            self.parameters.map(|at| (at, Why::Parameters)),
            self.other.map(|at| (at, Why::Other)),
            self.types.map(|at| (at, Why::Types)),
        ];
        let first = all.into_iter().flatten().min_by_key(|(at, _)| *at);
        first.unwrap_or((self.next_read, Why::Interval))
    }

    /// All that no service pushes was read: the next time is an interval later.
    pub(super) fn read_all(&mut self, now: Instant) {
        self.read = now;
        self.next_read = after(now, jittered(self.interval));
    }

    /// The cluster is said to serve other types; a change that is soon followed by others is taken together with them.
    pub(super) fn types_changed(&mut self, soon: Duration) {
        let soon = after(Instant::now(), soon);
        self.types.get_or_insert(soon.max(self.types_from));
    }

    /// The sources of the parameters were read, whatever they hold.
    pub(super) fn parameters_read(&mut self) {
        self.parameters = None;
        self.unread = 0;
    }

    /// A source of the parameters could not be read.
    pub(super) fn parameters_unread(&mut self, error: &ProviderError) {
        self.unread = self.unread.saturating_add(1);
        self.parameters = Some(after(Instant::now(), pause(self.unread, error)));
    }

    /// It was asked which types it serves.
    pub(super) fn types_asked(&mut self) {
        self.types = None;
        self.types_from = after(Instant::now(), TYPES);
    }

    /// Everything was read because somebody asked for it.
    pub(super) fn asked(&mut self, now: Instant) {
        self.read_all(now);
        self.ask = after(now, ASKED);
    }
}

impl Keeper<'_> {
    /// Says when the next cycle is due, as the pass has left things.
    pub(super) fn plan_next(&mut self, pass: &Pass) {
        let now = Instant::now();
        let polled = self.is_polled(pass);
        let is_left = self.may_write() && (!pass.plan.mints.is_empty() || pass.plan.ready().next().is_some());
        let soon = is_left.then(|| after(now, SOON));
        self.run.tally.looked(pass.report.is_converged());
        // What is held up by what was written before it has room from then on.
        let room = self.run.tally.next().filter(|_| pass.plan.excess.is_some());
        let looks = [self.run.next_try(now), self.next_look(pass, now), soon, room];
        let due = &mut self.due;
        due.other = looks.into_iter().flatten().min();
        if polled {
            due.poll = Some(after(now, jittered(due.pause)));
            due.pause = due.pause.saturating_mul(2).min(POLL.1);
        } else {
            due.poll = None;
            due.pause = POLL.0;
        }
        if let Some(error) = self.session.snapshot.passing_failure() {
            due.failures = due.failures.saturating_add(1);
            due.retry = Some(after(now, pause(due.failures, error)));
        } else {
            due.retry = None;
            due.failures = 0;
        }
    }

    /// When another look tells more, or a hold is over.
    fn next_look(&self, pass: &Pass, now: Instant) -> Option<Instant> {
        let looks = pass.plan.looks().map(|(_, from)| from);
        let holds = pass.plan.resources.iter().filter_map(|resource| {
            let hold = resource.hold.as_ref().filter(|hold| hold.waits())?;
            Some(hold.until)
        });
        let next = looks.chain(holds).min()?;
        let clock = self.session.engine.clock.now();
        let wait = next.unix_timestamp().saturating_sub(clock.unix_timestamp());
        // A time that is over already, and told nothing, is asked for a second later.
        let wait = u64::try_from(wait).unwrap_or_default().max(1);
        Some(after(now, Duration::from_secs(wait)))
    }

    /// Forgets what is read again, as it is due.
    pub(super) async fn fall_due(&mut self, why: Why, pass: &Pass) {
        let now = Instant::now();
        match why {
            Why::Interval => {
                self.forget_unpushed(now);
                self.due.read_all(now);
            }
            Why::Poll => self.forget_polled(pass),
            Why::Retry => {
                self.session.snapshot.forget_passing_failures();
                self.session.providers.forget_failures();
                self.session.accounts.retain(|_, account| account.is_ok());
            }
            Why::Parameters => drop(self.read_parameters().await),
            Why::Other => Run::look_again(&mut self.session, pass),
            Why::Types => self.refresh_types().await,
        }
    }
}
