//! Queue `notifications`: one file a kind.

pub mod deliver;
