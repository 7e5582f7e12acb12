//! Metrics of the data stores, and the page that Prometheus scrapes.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    TextEncoder, default_registry, gather,
};

/// Histogram buckets for latencies from half a millisecond to ten seconds, in seconds.
pub const LATENCY_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

static STORE_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "plinth_store_duration_seconds",
        "Duration of a named query or command.",
        &["store", "query", "outcome"],
        LATENCY_BUCKETS,
    )
});

static CACHE_READS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_cache_reads_total",
        "Reads of the cache.",
        &["cache", "outcome"],
    )
});

static UNLISTED_REFUSALS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_audit_refusals_unlisted_total",
        "Refusals of unknown callers that were not written to the audit log.",
        &[],
    )
});

/// Creates a histogram in the process's registry.
pub fn histogram(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let metric = HistogramVec::new(
        HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        labels,
    )
    .expect("names and labels are valid constants");
    default_registry()
        .register(Box::new(metric.clone()))
        .expect("each metric is registered once");
    metric
}

/// Creates a counter in the process's registry.
pub fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)
        .expect("names and labels are valid constants");
    default_registry()
        .register(Box::new(metric.clone()))
        .expect("each metric is registered once");
    metric
}

/// Creates a gauge in the process's registry.
pub fn gauge(name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    let metric =
        GaugeVec::new(Opts::new(name, help), labels).expect("names and labels are valid constants");
    default_registry()
        .register(Box::new(metric.clone()))
        .expect("each metric is registered once");
    metric
}

/// Records a query or command of a store by its name.
pub fn observe_store(store: &'static str, query: &'static str, ok: bool, took: Duration) {
    STORE_DURATION
        .with_label_values(&[store, query, if ok { "ok" } else { "error" }])
        .observe(took.as_secs_f64());
}

/// Counts a refusal that is not written to the audit log.
pub fn count_unlisted_refusal() {
    UNLISTED_REFUSALS.with_label_values::<&str>(&[]).inc();
}

/// The counters of one cache's reads.
pub struct CacheReads {
    hits: IntCounter,
    misses: IntCounter,
}

impl CacheReads {
    pub fn new(cache: &'static str) -> Self {
        let reads = |outcome| CACHE_READS.with_label_values(&[cache, outcome]);
        Self {
            hits: reads("hit"),
            misses: reads("miss"),
        }
    }

    pub fn observe(&self, is_hit: bool) {
        if is_hit {
            self.hits.inc();
        } else {
            self.misses.inc();
        }
    }
}

/// Returns every metric in Prometheus's text format.
pub fn page() -> String {
    let mut page = Vec::new();
    TextEncoder::new()
        .encode(&gather(), &mut page)
        .expect("gathered metrics can be encoded");
    String::from_utf8(page).expect("the text format is UTF-8")
}
