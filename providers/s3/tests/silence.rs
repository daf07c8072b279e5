//! A store that takes connections and says nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod subject;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_contract::{Observation, Provider, ProviderError, Wanted};
use holdfast_testbed::ObjectStore;
use subject::calls::{MANAGED, wanted};
use subject::{fresh_key, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

const FOUND: &[u8] =
    b"HTTP/1.1 200 OK\r\nx-amz-bucket-region: us-east-1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A store that has every bucket, and says so only while it `answers`.
async fn store(answers: Arc<AtomicBool>) -> ObjectStore {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                let mut request = [0; 8192];
                let _ = socket.read(&mut request).await;
                if answers.load(Ordering::SeqCst) {
                    let _ = socket.write_all(FOUND).await;
                } else {
                    // Until the other side gives up.
                    let _ = socket.read(&mut request).await;
                }
            });
        }
    });
    ObjectStore {
        endpoint,
        region: "us-east-1".to_owned(),
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_key: "hunter2".to_owned(),
    }
}

async fn observe(
    provider: &dyn Provider,
    wanted: &[Wanted],
) -> (Vec<Result<Observation, ProviderError>>, Duration) {
    let begun = Instant::now();
    (provider.observe(wanted).await, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_silent_ends_an_observation_of_many_buckets_within_half_a_minute() {
    let answers = Arc::new(AtomicBool::new(false));
    let provider = open(&store(Arc::clone(&answers)).await, &[]).await;
    let many: Vec<Wanted> = (0..200).map(|_| wanted(&fresh_key(), &MANAGED)).collect();
    for longest in [30, 1] {
        let (observed, took) = observe(provider.as_ref(), &many).await;
        assert!(took < Duration::from_secs(longest), "{took:?}");
        for one in observed {
            assert!(matches!(one, Err(ProviderError::Unavailable { .. })), "{one:?}");
        }
    }
    answers.store(true, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    let (observed, _) = observe(provider.as_ref(), &many).await;
    for one in observed {
        assert!(matches!(one, Ok(Observation::Present(_))), "{one:?}");
    }
}
