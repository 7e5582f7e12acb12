//! The optional separate host for users' files, which keeps them off the origin of the API.

use std::sync::Arc;

use plinth_core::files::{ContentTickets, Files};
use plinth_platform::settings::HttpUrl;

use super::host::Host;

/// The services that serve file content, or redirect to the host that serves it.
#[derive(Clone)]
pub(crate) struct ContentHost {
    pub(crate) files: Files,
    pub(crate) tickets: ContentTickets,
    pub(crate) separate: Option<Arc<SeparateHost>>,
}

/// The separate host for users' files.
pub(crate) struct SeparateHost {
    /// The base URL, without a trailing slash.
    pub(crate) url: String,
    pub(crate) host: Host,
}

impl ContentHost {
    pub(crate) fn new(files: &Files, tickets: ContentTickets, url: Option<&HttpUrl>) -> Self {
        let separate = url.map(|url| {
            Arc::new(SeparateHost {
                url: url.trim_end_matches('/').to_owned(),
                host: Host::from_url(url),
            })
        });
        Self {
            files: files.clone(),
            tickets,
            separate,
        }
    }
}
