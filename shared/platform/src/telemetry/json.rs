//! Log lines as JSON: the event's fields, then those of its span.
//!
//! tracing-subscriber's own format parses a span's fields back from their text for every line. Here
//! the text is inserted as it is, which saves most of a line's cost.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The format of log lines, and of the fields of spans in them.
pub(super) struct JsonLines;

impl<S> FormatEvent<S, Self> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Self>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(
            writer,
            "\",\"level\":\"{}\",\"target\":\"{}\"",
            metadata.level(),
            metadata.target()
        )?;
        let mut fields = Fields {
            writer: writer.by_ref(),
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result?;
        if let Some(span) = event
            .parent()
            .and_then(|id| context.span(id))
            .or_else(|| context.lookup_current())
        {
            write!(writer, ",\"span\":{{\"name\":\"{}\"", span.name())?;
            let extensions = span.extensions();
            let fields = extensions
                .get::<FormattedFields<Self>>()
                .map_or("", |fields| fields.fields.as_str());
            writer.write_str(fields)?;
            writer.write_char('}')?;
        }
        writer.write_str("}\n")
    }
}

/// Stores a span's fields as the JSON members that follow its name.
impl<'a> FormatFields<'a> for JsonLines {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut members = Fields {
            writer,
            result: Ok(()),
        };
        fields.record(&mut members);
        members.result
    }
}

/// Writes each field as a JSON member that follows another one.
struct Fields<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Fields<'_> {
    fn member(&mut self, field: &Field, value: impl fmt::Display) {
        if self.result.is_ok() {
            self.result = write!(self.writer, ",\"{}\":{value}", field.name());
        }
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has neither NaN nor infinities.
        if value.is_finite() {
            self.member(field, value);
        } else {
            self.record_str(field, &value.to_string());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let needs_no_escape = value
            .bytes()
            .all(|byte| byte >= b' ' && !matches!(byte, b'"' | b'\\'));
        if needs_no_escape {
            self.member(field, format_args!("\"{value}\""));
        } else {
            self.member(field, serde_json::Value::from(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .expect("no holder panics")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Captured {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_is_one_json_object_for_any_content() {
        let captured = Captured::default();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonLines)
            .event_format(JsonLines)
            .with_writer(captured.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span =
                tracing::info_span!("request", path = "/\"}\n", trace_id = tracing::field::Empty);
            span.record("trace_id", "abc");
            let _inside = span.enter();
            tracing::info!(count = 3, share = f64::NAN, error = %"\"quoted\"\u{1b}[31m", odd = ?Some("x"), "it's \"done\"");
        });
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {});
        let text =
            String::from_utf8(captured.0.lock().expect("no holder panics").clone()).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["message"], "it's \"done\"");
        assert_eq!(
            (&line["count"], &line["share"], &line["level"]),
            (&json!(3), &json!("NaN"), &json!("INFO"))
        );
        assert_eq!(line["error"], "\"quoted\"\u{1b}[31m");
        assert_eq!(line["odd"], "Some(\"x\")");
        assert_eq!(
            line["span"],
            json!({ "name": "request", "path": "/\"}\n", "trace_id": "abc" })
        );
    }
}
