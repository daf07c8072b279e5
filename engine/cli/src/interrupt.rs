//! Ctrl-C: the first stops cleanly between calls, the second at once.

use holdfast_engine::Stop;

/// Stops `stop` at the first interrupt or request to end, which `say` tells of, and the process at the second.
pub(crate) fn listen(stop: &Stop, say: impl FnOnce(&str) + Send + 'static) {
    let stop = stop.clone();
    tokio::spawn(async move {
        wait().await;
        stop.stop();
        say("Stopping: the calls in flight are finished. Once more stops at once.");
        wait().await;
        std::process::exit(130);
    });
}

async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
