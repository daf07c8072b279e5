//! Events for what has happened.

use std::collections::BTreeMap;

use holdfast_contract::{Notice, PolicyId, ResourceKey};

use crate::reasons::EventReason;
use crate::story::News;
use crate::words;

/// So many events are made at once; the rest is counted in one. A first installation has more news than anybody reads.
pub const MOST: usize = 20;

/// Events of the Policy, of incarnation `uid`, for `news`: what somebody should look at first.
#[must_use]
pub fn notices(policy: &PolicyId, uid: &str, news: &[News]) -> Vec<Notice> {
    let mut news: Vec<&News> = news.iter().collect();
    news.sort_by_key(|news| !news.reason.is_warning());
    let kept = if news.len() > MOST {
        MOST.saturating_sub(1)
    } else {
        MOST
    };
    let (told, counted) = news.split_at_checked(kept).unwrap_or((&news, &[]));
    let mut notices: Vec<Notice> = told.iter().map(|news| notice(policy, uid, news)).collect();
    if !counted.is_empty() {
        notices.push(of(policy, uid, EventReason::MoreHappened, &more(counted)));
    }
    notices
}

fn notice(policy: &PolicyId, uid: &str, news: &News) -> Notice {
    let is_in_namespace = |key: &&ResourceKey| key.api.is_some() && key.namespace.is_some();
    let object = news.key.as_ref().filter(is_in_namespace).cloned();
    Notice {
        object_uid: news.uid.clone().filter(|_| object.is_some()),
        object,
        ..of(policy, uid, news.reason, &news.sentence)
    }
}

fn of(policy: &PolicyId, uid: &str, reason: EventReason, sentence: &str) -> Notice {
    Notice {
        policy: policy.clone(),
        uid: uid.to_owned(),
        object: None,
        object_uid: None,
        warning: reason.is_warning(),
        reason: reason.name(),
        action: reason.action(),
        note: words::cut(sentence, words::LONGEST),
    }
}

/// `and 12 more: 2 Changed, 10 Created`.
fn more(counted: &[&News]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for news in counted {
        let count = counts.entry(news.reason.name()).or_default();
        *count = count.saturating_add(1);
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    format!("and {} more: {}", counted.len(), counts.join(", "))
}
