//! What is counted of requests.

use std::sync::LazyLock;
use std::time::Duration;

use plinth_platform::telemetry::metrics::{LATENCY_BUCKETS, counter, histogram};
use prometheus::{HistogramVec, IntCounterVec};

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_http_requests_total",
        "Answered requests, by operation and status.",
        &["operation", "status"],
    )
});

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "plinth_http_request_duration_seconds",
        "How long it took until the answer began.",
        &["operation"],
        LATENCY_BUCKETS,
    )
});

/// Counts one answered request. The operation is one of the document's, so that nobody can invent labels.
pub(super) fn answered(operation: &'static str, status: u16, took: Duration) {
    let mut digits = [0; 3];
    REQUESTS
        .with_label_values(&[operation, decimal(status, &mut digits)])
        .inc();
    DURATION
        .with_label_values(&[operation])
        .observe(took.as_secs_f64());
}

/// A three-digit status without an allocation.
fn decimal(status: u16, digits: &mut [u8; 3]) -> &str {
    let mut rest = status;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    std::str::from_utf8(digits).unwrap_or_default()
}
