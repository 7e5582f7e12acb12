//! The caller's own second factors over HTTP, but for passkeys: one file an operation.

mod confirm_totp;
mod list_totp;
mod read_recovery_codes;
mod regenerate_recovery_codes;
mod remove_totp;
mod start_totp;

use plinth_core::second_factors::SecondFactors;

pub(crate) type Operations = (
    list_totp::ListTotpFactors,
    start_totp::StartTotp,
    confirm_totp::ConfirmTotp,
    remove_totp::RemoveTotp,
    read_recovery_codes::ReadRecoveryCodes,
    regenerate_recovery_codes::RegenerateRecoveryCodes,
);

pub(crate) fn operations(factors: &SecondFactors) -> Operations {
    (
        list_totp::ListTotpFactors {
            factors: factors.clone(),
        },
        start_totp::StartTotp {
            factors: factors.clone(),
        },
        confirm_totp::ConfirmTotp {
            factors: factors.clone(),
        },
        remove_totp::RemoveTotp {
            factors: factors.clone(),
        },
        read_recovery_codes::ReadRecoveryCodes {
            factors: factors.clone(),
        },
        regenerate_recovery_codes::RegenerateRecoveryCodes {
            factors: factors.clone(),
        },
    )
}
