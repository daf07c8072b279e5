//! managed-velero on a cluster that has converged.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use holdfast_e2e::{Enforcer, Stage, on_stage};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::figures::{Figures, Measured, Memory, median};

const POLICY: &str = "policies/managed-velero";
/// So many starts are made.
const STARTS: usize = 5;
/// From a start until all watches have told what they tell first, and what was needed for that only is given back.
const CALM: Duration = Duration::from_secs(15);

pub(crate) fn measure(figures: &mut Figures) {
    on_stage(async |stage| {
        drop(stage.converged().await);
        let mut times = Vec::new();
        let mut memories = Vec::new();
        let mut asked = String::new();
        for _ in 0..STARTS {
            let mark = stage.mark().await;
            let begun = SystemTime::now();
            let enforcer = stage.enforce(POLICY, &["--listen", "127.0.0.1:0"]);
            let converged = first_pass(&enforcer).await;
            times.push(converged.duration_since(begun).unwrap());
            tokio::time::sleep(CALM).await;
            memories.push(Memory::of(&enforcer));
            asked = requests(stage, mark, converged).await;
            assert_eq!(enforcer.end().await.code, Some(0));
        }
        memories.sort_by_key(|memory| memory.resident);
        let memory = memories[STARTS / 2];
        figures.one(
            "memory at rest, managed-velero",
            Measured::Memory(memory.resident),
            Measured::Memory(20_000_000),
            &memory.parts(),
        );
        let (median, longest) = median(times);
        figures.one(
            "from start to the first pass, managed-velero converged",
            Measured::Time(median),
            Measured::Time(Duration::from_secs(1)),
            &format!(
                "median of {STARTS}; the longest {} ms; {asked}",
                longest.as_millis()
            ),
        );
    });
}

/// Waits for the first cycle, which has to find everything as it is declared; when that was told.
async fn first_pass(enforcer: &Enforcer) -> SystemTime {
    enforcer.reaches("server", "Converged").await;
    let lines = enforcer.lines();
    let phases: Vec<&Value> = lines.iter().filter(|line| line["message"] == "phase").collect();
    let first: Vec<&&Value> = phases
        .iter()
        .filter(|line| line["trace"] == phases[0]["trace"])
        .collect();
    let unsettled: BTreeMap<&str, &str> = first
        .iter()
        .map(|line| {
            (
                line["resource"].as_str().unwrap(),
                line["phase"].as_str().unwrap(),
            )
        })
        .filter(|(_, phase)| !["Converged", "Skipped"].contains(phase))
        .collect();
    assert!(
        unsettled.is_empty(),
        "the cluster hadn't converged: {unsettled:?}"
    );
    let told = first.last().unwrap()["timestamp"].as_str().unwrap();
    OffsetDateTime::parse(told, &Rfc3339).unwrap().into()
}

/// What was asked of the servers until then, and from then on.
async fn requests(stage: &Stage, mark: holdfast_testbed::Mark, converged: SystemTime) -> String {
    let witness = stage.since(mark).await;
    if std::env::var_os("HOLDFAST_BENCH_REQUESTS").is_some() {
        println!("{}", witness.lines());
    }
    let before = |time: &SystemTime| *time <= converged;
    let kubernetes = witness.kubernetes.iter().map(|event| event.timestamp);
    let s3 = witness.s3.iter().map(|request| request.started);
    let (first, then): (Vec<_>, Vec<_>) = kubernetes.partition(before);
    let (store, again): (Vec<_>, Vec<_>) = s3.partition(before);
    format!(
        "{} requests to the cluster and {} to the store, then {} and {}",
        first.len(),
        store.len(),
        then.len(),
        again.len()
    )
}
