//! Logging: structured lines on standard error, filtered by `--log` or `HIFI_LOG`. Numbers are fields, never prose.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging once. A filter that does not parse falls back to warnings, and says so.
pub fn start(filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let bad = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    if let Some(error) = bad {
        tracing::warn!(error, "the log filter does not parse; showing warnings");
    }
}
