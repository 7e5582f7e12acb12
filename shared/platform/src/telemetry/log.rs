//! The targets and the format of log lines.

use std::io::{self, IsTerminal as _, stderr};
use std::path::Path;

use tracing::Subscriber;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use super::batch::{Batch, BatchGuard};
use super::json::JsonLines;
use crate::settings::LogFormat;

/// Number of daily log files to keep.
const MAX_LOG_FILES: usize = 7;

/// A layer that writes log lines to a target.
type LogLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// Creates the layer that writes to standard error in batches. The guard writes the last lines.
pub(super) fn standard_error<S>(format: LogFormat) -> io::Result<(LogLayer<S>, BatchGuard)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_text = match format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let (batch, guard) = Batch::start(stderr())?;
    if is_text {
        let colour = stderr().is_terminal();
        let lines = tracing_subscriber::fmt::layer()
            .compact()
            .with_ansi(colour)
            .with_writer(batch);
        Ok((Box::new(lines), guard))
    } else {
        Ok((Box::new(json().with_writer(batch)), guard))
    }
}

/// Creates the layer that writes JSON to a rotating file, if a path is given. The guard flushes the
/// file.
pub(super) fn file<S>(
    path: Option<&Path>,
) -> Result<(Option<LogLayer<S>>, Option<WorkerGuard>), TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(path) = path else {
        return Ok((None, None));
    };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or(TelemetryError::LogFileName)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .max_log_files(MAX_LOG_FILES)
        .build(folder)?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    Ok((Some(Box::new(json().with_writer(writer))), Some(guard)))
}

fn json<S>() -> tracing_subscriber::fmt::Layer<S, JsonLines, JsonLines>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonLines)
        .event_format(JsonLines)
}
