//! Logs, traces and metrics, set up once at the start of a process.

mod batch;
mod json;
mod log;
pub mod metrics;
pub mod trace;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_appender::non_blocking::WorkerGuard;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::settings::Settings;
use batch::BatchGuard;

/// Filter of the spans in traces. Store calls are debug spans, so that they cost nothing if no
/// traces are collected.
const TRACE_FILTER: &str =
    "info,plinth_platform=debug,plinth_object_store=debug,h2=off,hyper=off,tonic=off,tower=off";

/// lettre's debug lines contain the mails: addresses, and links with one-time tokens.
const MAIL_CLIENT_DIRECTIVE: &str = "lettre=info";

/// The reason why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("PLINTH_LOG_LEVEL is not a valid filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("failed to open the log file: {0}")]
    LogFile(#[from] tracing_appender::rolling::InitError),
    #[error("PLINTH_LOG_FILE has no file name")]
    LogFileName,
    #[error("failed to start the thread that writes log lines")]
    Thread(#[source] std::io::Error),
    #[error("failed to build the OTLP exporter: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("telemetry is already set up in this process: {0}")]
    AlreadySetUp(#[from] tracing_subscriber::util::TryInitError),
}

/// Flushes buffered logs and spans when dropped at the end of the process.
#[must_use = "telemetry stops when this is dropped"]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
    _error_log: BatchGuard,
    _log_file: Option<WorkerGuard>,
}

/// Sets up logs and traces for the named service. Must be called within the Tokio runtime.
pub fn init(service: &'static str, settings: &Settings) -> Result<Telemetry, TelemetryError> {
    let filter =
        EnvFilter::try_new(&*settings.log.level)?.add_directive(MAIL_CLIENT_DIRECTIVE.parse()?);
    let (file_layer, log_file) = log::file(settings.log.file.as_deref())?;
    let (error_layer, error_log) =
        log::standard_error(settings.log.format).map_err(TelemetryError::Thread)?;
    let tracer = settings
        .telemetry
        .otlp_endpoint
        .as_deref()
        .map(|url| trace::provider(service, url))
        .transpose()?;
    let otel_layer = tracer.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("plinth"))
            .with_location(false)
            .with_threads(false)
            .with_filter(EnvFilter::new(TRACE_FILTER))
    });
    tracing_subscriber::registry()
        .with(otel_layer)
        .with(error_layer.with_filter(filter.clone()))
        .with(file_layer.map(|layer| layer.with_filter(filter)))
        .try_init()?;
    Ok(Telemetry {
        tracer,
        _error_log: error_log,
        _log_file: log_file,
    })
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(tracer) = self.tracer.take() {
            // The error is ignored: the process ends, and no log is left to report it to.
            let _ = tracer.shutdown();
        }
    }
}
