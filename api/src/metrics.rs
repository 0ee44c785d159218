//! Numbers for Prometheus, as text: base units, no rates, no address or id as label.

use crate::state::Shared;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of a histogram, in microseconds.
const BOUNDS_US: [u64; 12] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_000_000];

/// Durations by bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub fn record(&self, took: Duration) {
        let us = took.as_micros() as u64;
        self.buckets[BOUNDS_US.partition_point(|bound| *bound < us)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    fn print(&self, out: &mut String, name: &str, help: &str) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut sum = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            sum += bucket.load(Ordering::Relaxed);
            match BOUNDS_US.get(at) {
                Some(bound) => writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {sum}"),
                None => writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {sum}"),
            }
            .unwrap_or_default();
        }
        let _ = writeln!(out, "{name}_sum {}\n{name}_count {sum}", self.sum_us.load(Ordering::Relaxed));
    }
}

/// What the api counts beside its outboxes.
#[derive(Debug, Default)]
pub struct Metrics {
    blocks: Histogram,
    /// From the head's arrival to the answer, of every REST request.
    pub rest: Histogram,
    /// From a request to `/rpc` to the node's answer.
    pub submit: Histogram,
}

impl Metrics {
    /// Books, frames and hand-over of one block.
    pub fn block(&self, took: Duration) {
        self.blocks.record(took);
    }
}

/// The text of `/metrics`.
pub fn print(shared: &Shared) -> String {
    let mut out = String::with_capacity(4096);
    let (metrics, totals) = (&shared.metrics, &shared.totals);
    metrics.blocks.print(&mut out, "hifi_sequencer_block_us", "books, frames and hand-over of one block");
    metrics.rest.print(&mut out, "hifi_rest_us", "answer time of REST requests");
    metrics.submit.print(&mut out, "hifi_submit_us", "answer time of the node behind /rpc");
    let lag = shared.feed.head().saturating_sub(shared.core.read().head.number);
    let rows: [(&str, &str, &str, u64); 7] = [
        ("hifi_sequencer_lag_blocks", "gauge", "blocks executed and not yet published here", lag),
        ("hifi_fanout_messages_total", "counter", "messages handed to connections", totals.messages.load(Ordering::Relaxed)),
        ("hifi_fanout_queue_bytes", "gauge", "bytes that wait in all outboxes", totals.bytes.load(Ordering::Relaxed) as u64),
        ("hifi_fanout_merged_total", "counter", "depth differences merged for slow readers", totals.merged.load(Ordering::Relaxed)),
        ("hifi_fanout_conflated_total", "counter", "values replaced before they were read", totals.conflated.load(Ordering::Relaxed)),
        ("hifi_fanout_closed_total", "counter", "sockets closed as slow", totals.closed.load(Ordering::Relaxed)),
        ("hifi_sockets", "gauge", "open websockets", shared.sockets.load(Ordering::Relaxed) as u64),
    ];
    for (name, kind, help, value) in rows {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    out
}
