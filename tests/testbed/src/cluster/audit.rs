//! The API server's audit log, read back.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::SystemTime,
};

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::OWN_USER;
use crate::error::{Error, Result};

/// As whom the API server tends to its own objects, at times of its own choosing.
const SERVERS_OWN_USER: &str = "system:apiserver";

/// A moment in the audit log, in bytes from its start.
#[derive(Clone, Copy, Debug)]
pub struct Mark(pub(super) u64);

/// A request to the API server, as the API server itself tells of it.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; for what isn't a resource
    /// the HTTP method in lower case.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    /// Who was authenticated.
    pub user: String,
    /// On whose behalf, if that is someone else.
    pub impersonated: Option<String>,
    /// The `User-Agent` header; empty without one.
    pub user_agent: String,
    /// The plural name of the kind; empty for what isn't a resource, such as discovery.
    pub resource: String,
    /// `status`, `token` …; else empty.
    pub subresource: String,
    /// Empty for what is cluster-wide.
    pub namespace: String,
    /// Empty for lists, and for a create whose name the server generates.
    pub name: String,
    /// Empty for the core group.
    pub api_group: String,
    /// The HTTP status.
    pub code: u16,
    /// `ResponseComplete`; for a watch that is still open, `ResponseStarted`.
    pub stage: String,
    /// When the request came.
    pub timestamp: SystemTime,
    /// When its response was complete, or, with stage `ResponseStarted`, begun.
    pub finished: SystemTime,
    /// Whether it was sent with `dryRun=All`.
    pub dry_run: bool,
}

impl AuditEvent {
    /// Whether it was to change what the cluster stores: dry runs, token requests and access reviews don't count,
    /// refused ones do.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let verb = matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        );
        let review = matches!(
            self.api_group.as_str(),
            "authentication.k8s.io" | "authorization.k8s.io"
        ) && self.resource.ends_with("reviews");
        let token = self.resource == "serviceaccounts" && self.subresource == "token";
        verb && !self.dry_run && !review && !token
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: String,
    stage_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Default, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

/// Longer than any line of the log, in bytes.
const LINE_MAX: u64 = 1 << 20;

/// The events since `mark`, those of the testbed and of the API server itself left out: one for each request, of its last stage.
pub(super) fn read(log: &Path, mark: Mark) -> Result<Vec<AuditEvent>> {
    let text = text(log, mark)?;
    let mut events = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let bad = |reason: String| Error::Answer {
            request: "the audit log".into(),
            answer: format!("{reason}: {line}"),
        };
        let line: Line = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        if [OWN_USER, SERVERS_OWN_USER].contains(&line.user.username.as_str()) {
            continue;
        }
        let id = line.audit_id.clone();
        let event = event(line).map_err(|error| bad(error.to_string()))?;
        // A later stage of a request takes the place of the earlier one.
        let place = *places.entry(id).or_insert(events.len());
        match events.get_mut(place) {
            Some(earlier) => *earlier = event,
            None => events.push(event),
        }
    }
    Ok(events)
}

/// The end of what was logged so far: of the last whole line, as the server may be in the middle of one.
pub(super) fn end(log: &Path) -> Result<Mark> {
    let failed = Error::io("read the audit log");
    let mut tail = Vec::new();
    let from = File::open(log).and_then(|mut file| {
        let from = file.metadata()?.len().saturating_sub(LINE_MAX);
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut tail)?;
        Ok(from)
    });
    let whole = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    Ok(Mark(from.map_err(failed)? + whole as u64))
}

/// Whether the end of the request with this URI was logged since `mark`.
pub(super) fn has(log: &Path, mark: Mark, uri: &str) -> Result<bool> {
    let wanted = format!("\"requestURI\":\"{uri}\"");
    Ok(text(log, mark)?
        .lines()
        .any(|line| line.contains(&wanted) && line.contains("\"ResponseComplete\"")))
}

/// What was logged since `mark`, up to the last whole line.
fn text(log: &Path, mark: Mark) -> Result<String> {
    let mut text = String::new();
    File::open(log)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(mark.0))?;
            file.read_to_string(&mut text)
        })
        .map_err(Error::io("read the audit log"))?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    text.truncate(whole);
    Ok(text)
}

fn event(line: Line) -> Result<AuditEvent, time::error::Parse> {
    let when = |text: &str| OffsetDateTime::parse(text, &Rfc3339).map(SystemTime::from);
    // The only value that the API accepts.
    let dry_run = line
        .request_uri
        .split_once('?')
        .is_some_and(|(_, query)| query.split('&').any(|pair| pair == "dryRun=All"));
    Ok(AuditEvent {
        dry_run,
        timestamp: when(&line.request_received_timestamp)?,
        finished: when(&line.stage_timestamp)?,
        verb: line.verb,
        uri: line.request_uri,
        user: line.user.username,
        impersonated: line.impersonated_user.map(|user| user.username),
        user_agent: line.user_agent,
        resource: line.object_ref.resource,
        subresource: line.object_ref.subresource,
        namespace: line.object_ref.namespace,
        name: line.object_ref.name,
        api_group: line.object_ref.api_group,
        code: line.response_status.code,
        stage: line.stage,
    })
}

#[cfg(test)]
mod tests {
    use super::{end, text};

    #[test]
    fn a_mark_is_never_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        for (logged, whole) in [("", 0), ("half", 0), ("one\n", 4), ("one\nhalf of tw", 4)] {
            std::fs::write(&log, logged).unwrap();
            assert_eq!(end(&log).unwrap().0, whole, "{logged:?}");
        }
        let mark = end(&log).unwrap();
        std::fs::write(&log, "one\nhalf of two\nthree").unwrap();
        assert_eq!(text(&log, mark).unwrap(), "half of two\n");
    }
}
