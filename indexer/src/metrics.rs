//! What the indexer counts and times, in base units, without rates and without labels made of addresses or ids.

use std::time::Duration;

/// One block decoded and projected.
pub(crate) fn projected(took: Duration, records: usize, fills: usize) {
    metrics::histogram!("hifi_project_block_us").record(took.as_secs_f64() * 1e6);
    metrics::counter!("hifi_project_records_total").increment(records as u64);
    metrics::counter!("hifi_project_fills_total").increment(fills as u64);
}

/// One block transaction committed, of one or more blocks.
pub(crate) fn stored(took: Duration, blocks: usize, rows: u64) {
    metrics::histogram!("hifi_store_commit_us").record(took.as_secs_f64() * 1e6);
    metrics::counter!("hifi_store_blocks_total").increment(blocks as u64);
    metrics::counter!("hifi_store_rows_total").increment(rows);
}

/// Where feed and Postgres stand.
pub(crate) fn heights(head: u64, stored: u64) {
    metrics::gauge!("hifi_feed_head_block").set(head as f64);
    metrics::gauge!("hifi_store_lag_blocks").set(head.saturating_sub(stored) as f64);
}

/// One flush of the state tables.
pub(crate) fn flushed(took: Duration, values: u64) {
    metrics::histogram!("hifi_store_flush_us").record(took.as_secs_f64() * 1e6);
    metrics::counter!("hifi_store_flushed_values_total").increment(values);
}

/// The writer lost Postgres and began anew.
pub(crate) fn reconnected() {
    metrics::counter!("hifi_store_reconnects_total").increment(1);
}
