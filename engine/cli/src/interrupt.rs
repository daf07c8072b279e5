//! Ctrl-C: the first stops cleanly between calls, the second at once.

use holdfast_engine::Stop;

use crate::printer::Printer;

/// Stops `stop` at the first interrupt or request to end, and the process at the second.
pub(crate) fn listen(stop: &Stop, printer: Printer) {
    let stop = stop.clone();
    tokio::spawn(async move {
        wait().await;
        stop.stop();
        printer.aside("Stopping: the calls in flight are finished. Once more stops at once.");
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
