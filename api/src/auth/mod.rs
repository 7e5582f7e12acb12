//! Authentication over HTTP: one file an operation.

mod confirm_email;
mod discard_registration;
mod forgot_password;
mod key_set;
pub(crate) mod known_device;
mod login;
mod login_mfa;
pub(crate) mod logout;
mod mfa_challenge;
mod passkey_login_finish;
mod passkey_login_start;
mod refresh;
mod register;
pub(crate) mod remaining_factors;
mod resend_verification;
mod reset_password;
mod restore;
pub(crate) mod session_tokens;
mod step_up;
mod undo_email;
mod undo_email_mfa;
mod verify_email;

use plinth_core::auth::Auth;
use plinth_platform::clock::Clock;

use self::session_tokens::SessionLifetime;
use crate::http::browser::Pages;

pub(crate) type Operations = (
    register::Register,
    verify_email::VerifyEmail,
    resend_verification::ResendVerification,
    discard_registration::DiscardRegistration,
    forgot_password::ForgotPassword,
    reset_password::ResetPassword,
    (
        confirm_email::ConfirmEmail,
        undo_email::UndoEmail,
        undo_email_mfa::UndoEmailMfa,
    ),
    login::Login,
    login_mfa::LoginMfa,
    step_up::StepUp,
    passkey_login_start::StartPasskeyLogin,
    passkey_login_finish::FinishPasskeyLogin,
    restore::Restore,
    refresh::Refresh,
    logout::Logout,
    key_set::ReadKeySet,
);

pub(crate) fn operations(
    auth: &Auth,
    pages: &Pages,
    lifetime: SessionLifetime,
    clock: &Clock,
) -> Operations {
    (
        register::Register { auth: auth.clone() },
        verify_email::VerifyEmail { auth: auth.clone() },
        resend_verification::ResendVerification { auth: auth.clone() },
        discard_registration::DiscardRegistration { auth: auth.clone() },
        forgot_password::ForgotPassword { auth: auth.clone() },
        reset_password::ResetPassword { auth: auth.clone() },
        (
            confirm_email::ConfirmEmail { auth: auth.clone() },
            undo_email::UndoEmail { auth: auth.clone() },
            undo_email_mfa::UndoEmailMfa { auth: auth.clone() },
        ),
        login::Login {
            auth: auth.clone(),
            pages: pages.clone(),
            lifetime,
        },
        login_mfa::LoginMfa {
            auth: auth.clone(),
            pages: pages.clone(),
            lifetime,
        },
        step_up::StepUp {
            auth: auth.clone(),
            pages: pages.clone(),
            lifetime,
        },
        passkey_login_start::StartPasskeyLogin { auth: auth.clone() },
        passkey_login_finish::FinishPasskeyLogin {
            auth: auth.clone(),
            pages: pages.clone(),
            lifetime,
        },
        restore::Restore {
            auth: auth.clone(),
            pages: pages.clone(),
            lifetime,
        },
        refresh::Refresh {
            auth: auth.clone(),
            pages: pages.clone(),
            lifetime,
        },
        logout::Logout {
            auth: auth.clone(),
            pages: pages.clone(),
        },
        key_set::ReadKeySet {
            auth: auth.clone(),
            clock: clock.clone(),
        },
    )
}
