//! Users' files on a host of their own, if the deployment has one: nothing in a file then shares an origin with the API.

use std::sync::Arc;

use plinth_core::files::{ContentTickets, Files};
use plinth_platform::settings::HttpUrl;

use super::host::Host;

/// Serves contents, or redirects to the host that serves them. The answers are made where files are.
#[derive(Clone)]
pub(crate) struct ContentHost {
    pub(crate) files: Files,
    pub(crate) tickets: ContentTickets,
    pub(crate) elsewhere: Option<Arc<Elsewhere>>,
}

/// The other host.
pub(crate) struct Elsewhere {
    /// Without a slash at its end.
    pub(crate) url: String,
    pub(crate) host: Host,
}

impl ContentHost {
    pub(crate) fn new(files: &Files, tickets: ContentTickets, url: Option<&HttpUrl>) -> Self {
        let elsewhere = url.map(|url| {
            Arc::new(Elsewhere {
                url: url.trim_end_matches('/').to_owned(),
                host: Host::of(url),
            })
        });
        Self {
            files: files.clone(),
            tickets,
            elsewhere,
        }
    }
}
