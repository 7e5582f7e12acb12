//! The client that the kit itself asks with.

use std::sync::OnceLock;

/// One for all: making one reads every root certificate. It keeps no connection, since a kept one
/// dies with the runtime of the test that opened it.
pub(crate) fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0);
        builder.build().expect("a client without TLS of its own")
    })
}
