//! What a Lease says, and how one is taken: pure but for the clock.

use std::time::Duration;

use holdfast_contract::Holder;
use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tokio::time::Instant;

/// Since when a lease hasn't changed, as far as this process has looked on.
#[derive(Debug, Default)]
pub(crate) struct Sightings(Option<(String, Instant)>);

impl Sightings {
    /// Notes that `lease` was read, and tells for how long it is known not to have changed.
    pub(crate) fn unchanged_for(&mut self, lease: &Json) -> Duration {
        let version = lease
            .pointer("/metadata/resourceVersion")
            .and_then(Json::as_str)
            .unwrap_or_default();
        match &self.0 {
            Some((seen, since)) if seen == version => since.elapsed(),
            _ => {
                self.0 = Some((version.to_owned(), Instant::now()));
                Duration::ZERO
            }
        }
    }
}

fn text<'a>(lease: &'a Json, field: &str) -> Option<&'a str> {
    lease
        .get("spec")?
        .get(field)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// Whether `holder` has it.
pub(crate) fn is_held_by(lease: &Json, holder: &Holder) -> bool {
    text(lease, "holderIdentity") == Some(holder.0.as_str())
}

/// Who else has it and for how long still, if it is neither ours nor free nor expired. `unchanged`: how long it is
/// known not to have been renewed.
pub(crate) fn theirs(lease: &Json, holder: &Holder, unchanged: Duration) -> Option<(Holder, Duration)> {
    held(lease, unchanged).filter(|(other, _)| other != holder)
}

/// Who has it and for how long still, if it is neither free nor expired.
pub(crate) fn held(lease: &Json, unchanged: Duration) -> Option<(Holder, Duration)> {
    let holder = text(lease, "holderIdentity")?;
    let remaining = duration(lease)
        .checked_sub(age(lease).max(unchanged))
        .filter(|left| !left.is_zero())?;
    Some((Holder(holder.to_owned()), remaining))
}

/// For how long it is held after each renewal.
pub(crate) fn duration(lease: &Json) -> Duration {
    let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Json::as_u64);
    Duration::from_secs(seconds.unwrap_or(0))
}

/// How long ago it was renewed, by the clocks of whoever did and of this machine.
pub(crate) fn age(lease: &Json) -> Duration {
    // Without a time of renewal, what was looked on for is all there is to go by.
    text(lease, "renewTime")
        .and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok())
        .map_or(Duration::ZERO, |renewed| {
            // A renewal in the future is a clock that is ahead; it lasts no longer for that.
            Duration::try_from(OffsetDateTime::now_utc() - renewed).unwrap_or(Duration::ZERO)
        })
}

/// Makes `lease` one that `holder` now takes or renews for `duration`.
pub(crate) fn take(lease: &mut Json, holder: &Holder, duration: Duration) {
    let now = now();
    let Some(lease) = lease.as_object_mut() else {
        return;
    };
    let spec = lease.entry("spec").or_insert_with(|| json!({}));
    let Some(spec) = spec.as_object_mut() else { return };
    let last = spec.get("holderIdentity").and_then(Json::as_str);
    if last != Some(holder.0.as_str()) {
        // The first to take it is no transition.
        let transitions = spec.get("leaseTransitions").and_then(Json::as_i64);
        let transitions = transitions.map_or(0, |count| count.saturating_add(1));
        spec.insert("acquireTime".to_owned(), json!(now));
        spec.insert("leaseTransitions".to_owned(), json!(transitions));
    }
    spec.insert("holderIdentity".to_owned(), json!(holder.0));
    spec.insert("leaseDurationSeconds".to_owned(), json!(seconds(duration)));
    spec.insert("renewTime".to_owned(), json!(now));
}

/// Leaves `lease` without a holder.
pub(crate) fn give_back(lease: &mut Json) {
    if let Some(spec) = lease.get_mut("spec").and_then(Json::as_object_mut) {
        spec.remove("holderIdentity");
        spec.insert("renewTime".to_owned(), json!(now()));
    }
}

/// Whole seconds, rounded up, at least one: what a Lease can say.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
        .max(1)
}

/// Now, as `MicroTime` is written.
pub(crate) fn now() -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    OffsetDateTime::now_utc().format(&form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> Holder {
        Holder(name.to_owned())
    }

    fn lease(holder: &str) -> Json {
        let mut lease = json!({ "metadata": { "resourceVersion": "1" } });
        take(&mut lease, &self::holder(holder), HOUR);
        lease
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_lease_is_theirs_until_it_expires() {
        let ours = holder("us");
        let fresh = lease("them");
        let (other, remaining) = theirs(&fresh, &ours, Duration::ZERO).unwrap();
        assert_eq!(other, holder("them"));
        assert!(remaining <= HOUR && remaining > HOUR / 2, "{remaining:?}");
        assert_eq!(
            theirs(&fresh, &holder("them"), Duration::ZERO),
            None,
            "it is their own"
        );
        assert_eq!(
            theirs(&fresh, &ours, HOUR),
            None,
            "not renewed while we looked on"
        );
        let mut old = fresh;
        old["spec"]["renewTime"] = json!("2020-01-01T00:00:00.000000Z");
        assert_eq!(theirs(&old, &ours, Duration::ZERO), None, "expired by the clock");
    }

    #[test]
    fn a_clock_that_is_ahead_lengthens_no_lease() {
        let mut ahead = lease("them");
        ahead["spec"]["renewTime"] = json!("2999-01-01T00:00:00.000000Z");
        let (_, remaining) = theirs(&ahead, &holder("us"), Duration::from_mins(59)).unwrap();
        assert_eq!(remaining, Duration::from_mins(1));
    }

    #[test]
    fn taking_over_counts_a_transition_and_renewing_does_not() {
        let mut lease = json!({});
        take(&mut lease, &holder("a"), Duration::from_millis(1500));
        assert_eq!(lease["spec"]["leaseTransitions"], 0);
        assert_eq!(
            lease["spec"]["leaseDurationSeconds"], 2,
            "never shorter than asked for"
        );
        let acquired = lease["spec"]["acquireTime"].clone();
        take(&mut lease, &holder("a"), HOUR);
        assert_eq!(
            (&lease["spec"]["leaseTransitions"], &lease["spec"]["acquireTime"]),
            (&json!(0), &acquired)
        );
        take(&mut lease, &holder("b"), HOUR);
        assert_eq!(
            (
                &lease["spec"]["leaseTransitions"],
                &lease["spec"]["holderIdentity"]
            ),
            (&json!(1), &json!("b"))
        );
    }

    #[test]
    fn a_lease_that_was_given_back_is_free() {
        let mut lease = lease("a");
        assert!(is_held_by(&lease, &holder("a")));
        give_back(&mut lease);
        assert!(!is_held_by(&lease, &holder("a")));
        assert_eq!(theirs(&lease, &holder("b"), Duration::ZERO), None);
    }
}
