//! The mailbox: takes every message by SMTP, keeps the latest in memory, and
//! shows them on a small page and as JSON.

mod conformance;
mod message;
mod smtp;
mod store;
mod web;

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

use self::store::Store;

/// Serves SMTP and HTTP on these listeners until `stop` is cancelled.
pub(crate) fn start(smtp: TcpListener, http: TcpListener, stop: &CancellationToken) -> Result<()> {
    let store = Store::default();
    let smtp = tokio::net::TcpListener::from_std(smtp).context("the mailbox's SMTP port")?;
    let http = tokio::net::TcpListener::from_std(http).context("the mailbox's HTTP port")?;
    tokio::spawn(smtp::serve(smtp, store.clone(), stop.clone()));
    tokio::spawn(web::serve(http, store, stop.clone()));
    Ok(())
}
