//! Velero writes on its objects each minute. Nothing of ours moves for that.

use holdfast_e2e::{NAMESPACE, Stage, path, until_within};
use holdfast_testbed::AuditEvent;

use crate::support::{SOON, with_velero};

const VELERO: &str = "system:serviceaccount:openshift-velero:velero";
const PLAN: [&str; 3] = ["plan", "policies/managed-velero", "--detailed-exitcode"];
const APPLY: [&str; 5] = ["apply", "policies/managed-velero", "--yes", "--timeout", "60s"];

/// How often Velero has to look at its location, which it does each minute.
fn minutes() -> u32 {
    let text = std::env::var("HOLDFAST_REST_MINUTES").unwrap_or_else(|_| "10".into());
    text.parse().expect("HOLDFAST_REST_MINUTES is a number")
}

#[test]
fn while_velero_writes_its_status_each_minute_nothing_of_ours_is_written_or_asked() {
    with_velero(async |stage, _| {
        let begin = stage.cluster.mark().await.unwrap();
        let mut looked = validated(stage).await;
        for minute in 1..=minutes() {
            // Not before: a status that is as it was would prove nothing.
            until_within(SOON, "Velero has looked at its location again", async || {
                validated(stage).await != looked
            })
            .await;
            looked = validated(stage).await;
            for arguments in [&PLAN[..], &APPLY[..]] {
                let (output, witness) = stage.witness(arguments).await;
                let output = output.exits(0);
                assert_eq!(witness.writes_beside_the_lease(), [""; 0], "{}", output.stdout);
                let asked: Vec<_> = witness.kubernetes.iter().filter(|event| event.dry_run).collect();
                assert!(asked.is_empty(), "minute {minute}: {asked:?}");
                assert!(!witness.kubernetes.is_empty() && !witness.s3.is_empty());
            }
        }
        let written: Vec<_> = stage.cluster.since(begin).await.unwrap();
        let written = written.iter().filter(|event| is_veleros_status(event)).count();
        let least = usize::try_from(minutes()).unwrap();
        assert!(written >= least, "Velero wrote its location {written} times only");
        println!(
            "at rest for {} minutes, while Velero wrote its location {written} times",
            minutes()
        );
    });
}

fn is_veleros_status(event: &AuditEvent) -> bool {
    event.is_write() && event.user == VELERO && event.resource == "backupstoragelocations"
}

async fn validated(stage: &Stage) -> String {
    let location = path("velero.io/v1", "BackupStorageLocation", NAMESPACE, "default");
    let location = stage.api.get(&location).await.expect("a location");
    location["status"]["lastValidationTime"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
