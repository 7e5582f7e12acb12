//! The mailbox over HTTP: JSON for tests and tools, and a page.

use std::fmt::Write as _;

use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::web::{Data, Html, Json, Path, Query};
use poem::{EndpointExt as _, Route, Server, get, handler};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::message::Message;
use super::store::Store;

const STYLE: &str = include_str!("page.css");

/// Serves until `stop` is cancelled.
pub(crate) async fn serve(listener: TcpListener, store: Store, stop: CancellationToken) {
    let app = Route::new()
        .at("/", get(page))
        .at("/messages", get(list).delete(clear))
        .at("/messages/:id", get(one))
        .at("/messages/:id/html", get(html_part))
        .data(store);
    let Ok(acceptor) = TcpAcceptor::from_tokio(listener) else {
        return;
    };
    let server = Server::new_with_acceptor(acceptor);
    let _ = server
        .run_with_graceful_shutdown(app, stop.cancelled(), Some(std::time::Duration::ZERO))
        .await;
}

#[derive(Debug, Deserialize)]
struct Filter {
    to: Option<String>,
}

#[handler]
fn list(Data(store): Data<&Store>, Query(filter): Query<Filter>) -> Json<Vec<Message>> {
    Json(store.list(filter.to.as_deref()))
}

#[handler]
fn clear(Data(store): Data<&Store>) -> StatusCode {
    store.clear();
    StatusCode::NO_CONTENT
}

#[handler]
fn one(Data(store): Data<&Store>, Path(id): Path<Uuid>) -> Result<Json<Message>, StatusCode> {
    store.get(id).map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// The HTML of a message is untrusted: it is shown without scripts, forms or external resources,
/// also if it is opened by itself.
#[handler]
fn html_part(Data(store): Data<&Store>, Path(id): Path<Uuid>) -> poem::Result<poem::Response> {
    let html = store
        .get(id)
        .and_then(|message| message.html)
        .ok_or(StatusCode::NOT_FOUND)?;
    Ok(poem::Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(
            "Content-Security-Policy",
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        )
        .body(html))
}

#[handler]
fn page(Data(store): Data<&Store>, Query(filter): Query<Filter>) -> Html<String> {
    let messages = store.list(filter.to.as_deref());
    let mut body = String::new();
    for message in messages.iter().take(200) {
        render(&mut body, message);
    }
    if messages.is_empty() {
        body.push_str("<p>No mail yet. It appears here as soon as the worker sends it.</p>");
    }
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Mailbox</title>\
         <meta name=viewport content='width=device-width'>\
         <style>{STYLE}</style><h1>Mailbox</h1>\
         <p class=hint>{} messages, newest first, kept in memory. \
         <a href=/messages>JSON</a></p>{body}</html>",
        messages.len(),
    ))
}

fn render(body: &mut String, message: &Message) {
    let _ = write!(
        body,
        "<details><summary><b>{}</b> <span>{} to {}</span> <time>{}</time></summary>",
        escape(&message.subject),
        escape(&message.from),
        escape(&message.to),
        message.received_at,
    );
    if let Some(text) = &message.text {
        let _ = write!(body, "<pre>{}</pre>", escape(text));
    }
    if message.html.is_some() {
        let _ = write!(
            body,
            "<iframe sandbox loading=lazy title='HTML part' src='/messages/{}/html'></iframe>",
            message.id
        );
    }
    body.push_str("</details>");
}

/// Escapes text for HTML.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for symbol in text.chars() {
        match symbol {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_becomes_markup() {
        assert_eq!(
            escape("<script>\"a\" & 'b'</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;"
        );
    }
}
