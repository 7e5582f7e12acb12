//! The mailbox: takes every message by SMTP, keeps the latest in memory, and shows them on a page
//! and as JSON.

mod conformance;
mod message;
mod smtp;
mod store;
mod web;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::store::Store;

/// Serves SMTP and HTTP on these listeners until `stop` is cancelled.
pub(crate) fn start(smtp: TcpListener, http: TcpListener, stop: &CancellationToken) {
    let store = Store::default();
    tokio::spawn(smtp::serve(smtp, store.clone(), stop.clone()));
    tokio::spawn(web::serve(http, store, stop.clone()));
}
