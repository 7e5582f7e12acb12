//! The caller's own API keys over HTTP: one file per operation.

mod create;
mod list;
mod revoke;
mod view;

use crate::http::operation::operations;

operations! {
    list::ListApiKeys { api_keys },
    create::CreateApiKey { api_keys },
    revoke::RevokeApiKey { api_keys },
}
