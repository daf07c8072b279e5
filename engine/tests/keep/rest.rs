//! Rest: who has nothing to do asks nothing.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_converged_cluster_is_asked_nothing_for_hours() {
    let case = Case::text(&policy(MAP), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        tokio::time::sleep(MINUTE).await;
        case.world.forget_requests();
        tokio::time::sleep(MINUTE * 180).await;
        assert_eq!(requests(&case), Vec::<String>::new());
        assert!(
            onlooker.cycles() > 30,
            "it looked at what it knows: {}",
            onlooker.cycles()
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_not_push_is_read_each_interval_and_not_written() {
    let case = Case::text(&policy(&format!("  interval: 10m\n{BUCKET}")), "");
    kept(&case, async |onlooker| {
        onlooker.converged().await;
        tokio::time::sleep(MINUTE).await;
        case.world.forget_requests();
        tokio::time::sleep(MINUTE * 60).await;
        let requests = case.world.requests();
        let reads = requests
            .iter()
            .filter(|request| !request.operation.is_write())
            .count();
        assert_eq!(case.writes(), 0);
        // Six to eight rounds, as each interval is up to a quarter shorter by chance.
        assert!((6..=16).contains(&reads), "{requests:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_observes_writes_nothing_not_even_a_ledger() {
    let case = Case::text(&policy(&format!("  mode: Observe\n{MAP}")), "");
    kept(&case, async |onlooker| {
        onlooker.until("a look", |told| told.cycles > 0).await;
        tokio::time::sleep(MINUTE * 20).await;
        assert_eq!(case.writes(), 0);
        assert!(case.ledger().await.is_null());
    })
    .await;
}
