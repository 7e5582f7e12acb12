//! Registrations that were never proved, for the clean-up.

use crate::cleanup::expired_rows;

expired_rows! {
    /// Registrations of before this time.
    unverified_registrations: "registrations", key "id", over at "created_at"
}
