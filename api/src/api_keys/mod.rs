//! The caller's own API keys over HTTP: one file an operation.

mod create;
mod list;
mod revoke;
mod view;

use plinth_core::api_keys::ApiKeys;

pub(crate) type Operations = (
    list::ListApiKeys,
    create::CreateApiKey,
    revoke::RevokeApiKey,
);

pub(crate) fn operations(api_keys: &ApiKeys) -> Operations {
    (
        list::ListApiKeys {
            api_keys: api_keys.clone(),
        },
        create::CreateApiKey {
            api_keys: api_keys.clone(),
        },
        revoke::RevokeApiKey {
            api_keys: api_keys.clone(),
        },
    )
}
