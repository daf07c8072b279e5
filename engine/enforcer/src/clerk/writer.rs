//! Writes what is told of one policy into the cluster.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use holdfast_contract::{Desk, Notice, PolicyId, ProviderError};
use holdfast_engine::jittered;
use serde_json::Value as Json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::Known;

/// How soon what could not be told is told again.
const AGAIN: Duration = Duration::from_secs(5);
/// A status that changes all the time is written once in so long.
const APART: Duration = Duration::from_millis(250);
/// So long after a status was written, or another one was seen, what is seen is taken for what is there.
const SETTLED: Duration = Duration::from_secs(5);

/// How soon a report that could not be written is tried again, at first and at most.
const REPORT_AGAIN: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(10)];
/// How soon it is where there is no such type, at most: whoever asks the server for it does so once in ten minutes, and is
/// not to be asked just before.
const UNSERVED: Duration = Duration::from_secs(800);

/// What is told of a Policy resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Papers {
    pub(super) uid: String,
    pub(super) status: Json,
    pub(super) results: Option<Json>,
}

/// What is to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    /// How often the lease was taken or given up. What was told before is nobody's to write any more, and somebody else
    /// may have written since.
    tenure: u64,
    /// Whether this replica holds the lease: then the status stays as it says, whoever writes another.
    is_holder: bool,
    papers: Option<Papers>,
}

impl Published {
    /// The lease is taken, or given up.
    pub(super) fn pass(&mut self, is_holder: bool) {
        *self = Self {
            tenure: self.tenure.wrapping_add(1),
            is_holder,
            papers: None,
        };
    }

    /// This is to be written from now on; whether that is news.
    pub(super) fn replace(&mut self, papers: Papers) -> bool {
        let is_new = self.papers.as_ref() != Some(&papers);
        self.papers = Some(papers);
        is_new
    }
}

/// How it stands with the report of one tenure.
#[derive(Default)]
struct Reported {
    /// What was to be written last, and for which uid.
    tried: Option<(String, Json)>,
    /// How often it could not be written.
    failures: u32,
    /// When it is tried again, where it isn't there.
    again: Option<Instant>,
}

impl Reported {
    /// The answer to what was tried.
    fn answered(&mut self, answer: &Result<bool, ProviderError>) {
        let wait = match answer {
            Ok(true) => None,
            Ok(false) => Some(UNSERVED),
            Err(_) => {
                let [first, most] = REPORT_AGAIN;
                let times = 2_u32.saturating_pow(self.failures.min(8));
                Some(first.saturating_mul(times).min(most))
            }
        };
        self.failures = match answer {
            Ok(_) => 0,
            Err(_) => self.failures.saturating_add(1),
        };
        self.again = wait.and_then(|wait| Instant::now().checked_add(jittered(wait)));
    }

    /// It is to be tried again.
    fn retry(&mut self) {
        self.again = None;
        self.tried = None;
    }
}

/// Writes what is to be told into the cluster.
pub(super) struct Writer {
    pub(super) id: PolicyId,
    pub(super) desk: Arc<dyn Desk>,
    pub(super) published: watch::Receiver<Published>,
    pub(super) posted: mpsc::Receiver<Notice>,
    pub(super) known: watch::Receiver<Known>,
}

impl Writer {
    pub(super) async fn run(mut self) {
        let mut last: Option<Published> = None;
        let mut reported = Reported::default();
        // When to look whether the status is what was written last.
        let mut look: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                changed = self.published.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let published = self.published.borrow_and_update().clone();
                    let before = last.filter(|last| last.tenure == published.tenure);
                    if before.is_none() {
                        reported = Reported::default();
                    }
                    let is_written = self.write(&published, before.as_ref(), &mut reported).await;
                    last = if is_written { Some(published) } else { before };
                    look = look.and_then(|_| settled());
                }
                notice = self.posted.recv() => match notice {
                    Some(notice) => self.tell(&notice).await,
                    None => return,
                },
                Ok(()) = self.known.changed() => look = look.or_else(settled),
                () = come(look) => {
                    look = None;
                    if let Some(last) = &last {
                        self.uphold(last, &mut reported).await;
                    }
                }
                () = come(reported.again) => {
                    reported.retry();
                    if let Some(last) = &last {
                        self.write(last, Some(last), &mut reported).await;
                    }
                }
            }
        }
    }

    /// Writes what differs from what was written `before`; whether it is written now. It is given up once there is something
    /// newer to write, and when the lease passes on even in the middle of a call, which may take long.
    async fn write(
        &self,
        published: &Published,
        before: Option<&Published>,
        reported: &mut Reported,
    ) -> bool {
        let Some(papers) = &published.papers else {
            return true;
        };
        let before = before.and_then(|before| before.papers.as_ref());
        let mut now = self.published.clone();
        let passed = async {
            // Whoever publishes outlives whoever writes.
            let _ = now.wait_for(|now| now.tenure != published.tenure).await;
        };
        tokio::select! {
            biased;
            () = passed => false,
            is_written = self.put(papers, before, reported) => is_written,
        }
    }

    async fn put(&self, papers: &Papers, before: Option<&Papers>, reported: &mut Reported) -> bool {
        let policy = &self.id;
        let is_same = |before: &Papers| (&before.uid, &before.status) == (&papers.uid, &papers.status);
        // What was written last is not known at first; what is there is, and need not be written again.
        let is_there = match before {
            Some(before) => is_same(before),
            None => self.known.borrow().says(&papers.uid, &papers.status),
        };
        if !is_there {
            while let Err(error) = self.desk.write_status(policy, &papers.uid, &papers.status).await {
                tracing::warn!(%policy, %error, "the status could not be written");
                sleep(jittered(AGAIN)).await;
                if self.published.has_changed().unwrap_or(true) {
                    return false;
                }
            }
        }
        if let Some(results) = &papers.results {
            self.report(&papers.uid, results, reported).await;
        }
        sleep(APART).await;
        true
    }

    /// Writes the report, unless that was tried before. Nobody waits for it to succeed: the status goes first.
    async fn report(&self, uid: &str, results: &Json, reported: &mut Reported) {
        let policy = &self.id;
        let is_tried = |(of, tried): &(String, Json)| of == uid && tried == results;
        if reported.tried.as_ref().is_some_and(is_tried) {
            return;
        }
        let answer = self.desk.write_report(policy, uid, results).await;
        if let Err(error) = &answer {
            tracing::warn!(%policy, %error, "the report of checks could not be written");
        }
        reported.tried = Some((uid.to_owned(), results.clone()));
        reported.answered(&answer);
    }

    /// Whoever holds the lease tells: where the status is another than what was written last, it is written again.
    async fn uphold(&self, last: &Published, reported: &mut Reported) {
        let is_another = |papers: &Papers| {
            let known = self.known.borrow();
            known.uid == papers.uid && known.status != papers.status
        };
        if !last.papers.as_ref().is_some_and(is_another) || !last.is_holder {
            return;
        }
        if self.published.has_changed().unwrap_or(true) {
            return;
        }
        tracing::info!(policy = %self.id, "somebody has written another status: it is written again");
        // What was written last isn't there any more: what is seen counts.
        self.write(last, None, reported).await;
    }

    async fn tell(&self, notice: &Notice) {
        if let Err(error) = self.desk.tell(notice).await {
            let policy = &self.id;
            tracing::debug!(%policy, reason = notice.reason, %error, "an event could not be made");
        }
    }
}

fn settled() -> Option<Instant> {
    Instant::now().checked_add(SETTLED)
}

/// Waits until `at`; none: for good.
async fn come(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
