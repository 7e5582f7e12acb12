//! Queue `notifications`: one file a kind.

mod deliver;
