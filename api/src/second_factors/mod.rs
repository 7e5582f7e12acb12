//! The caller's own second factors over HTTP, except passkeys: one file per operation.

mod confirm_totp;
mod list_totp;
mod read_recovery_codes;
mod regenerate_recovery_codes;
mod remove_totp;
mod start_totp;

use crate::http::operation::operations;

operations! {
    list_totp::ListTotpFactors { factors },
    start_totp::StartTotp { factors },
    confirm_totp::ConfirmTotp { factors },
    remove_totp::RemoveTotp { factors },
    read_recovery_codes::ReadRecoveryCodes { factors },
    regenerate_recovery_codes::RegenerateRecoveryCodes { factors },
}
