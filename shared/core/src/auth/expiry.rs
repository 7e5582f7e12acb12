//! Sessions and tokens that are over, for the clean-up.

use crate::cleanup::expired_rows;

expired_rows! {
    /// Sessions that ended before this time.
    ended_sessions: "sessions", key "id", over at "idle_expires_at"
}

expired_rows! {
    /// Mailed tokens that expired before this time.
    expired_one_time_tokens: "one_time_tokens", key "token_hash", over at "expires_at"
}

expired_rows! {
    /// Access tokens that were taken back and expired before this time.
    expired_revocations: "revoked_tokens", key "id", over at "expires_at"
}
