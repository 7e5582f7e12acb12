//! Metrics of requests.

use std::sync::LazyLock;
use std::time::Duration;

use plinth_platform::telemetry::metrics::{LATENCY_BUCKETS, counter, histogram};
use prometheus::{HistogramVec, IntCounterVec};

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_http_requests_total",
        "Completed requests, by operation and status.",
        &["operation", "status"],
    )
});

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "plinth_http_request_duration_seconds",
        "Time until the response started.",
        &["operation"],
        LATENCY_BUCKETS,
    )
});

/// Counts one completed request. The label comes from the OpenAPI document, so a client cannot
/// create label values.
pub(super) fn record_request(operation: &'static str, status: u16, took: Duration) {
    let mut digits = [0; 3];
    REQUESTS
        .with_label_values(&[operation, decimal(status, &mut digits)])
        .inc();
    DURATION
        .with_label_values(&[operation])
        .observe(took.as_secs_f64());
}

/// Formats a three-digit status without an allocation.
fn decimal(status: u16, digits: &mut [u8; 3]) -> &str {
    let mut rest = status;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    std::str::from_utf8(digits).unwrap_or_default()
}
