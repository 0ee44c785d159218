//! Ctrl-C and SIGTERM: the first asks everything to stop in order, the second ends the process at once, which is safe.

use std::process::exit;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first SIGINT, SIGTERM or SIGHUP; from then on a second one exits with code 130.
pub async fn requested() -> std::io::Result<()> {
    let (mut interrupt, mut terminate, mut hangup) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("hifi: stopped at once; nothing durable is lost");
        exit(130);
    });
    Ok(())
}
