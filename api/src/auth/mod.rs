//! Authentication over HTTP: one file per operation.

mod confirm_email;
pub(crate) mod device_token;
mod discard_registration;
mod forgot_password;
mod key_set;
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

use crate::http::operation::operations;

operations! {
    register::Register { auth },
    verify_email::VerifyEmail { auth },
    resend_verification::ResendVerification { auth },
    discard_registration::DiscardRegistration { auth },
    forgot_password::ForgotPassword { auth },
    reset_password::ResetPassword { auth },
    confirm_email::ConfirmEmail { auth },
    undo_email::UndoEmail { auth },
    undo_email_mfa::UndoEmailMfa { auth },
    login::Login { auth, csrf, lifetime },
    login_mfa::LoginMfa { auth, csrf, lifetime },
    step_up::StepUp { auth, csrf, lifetime },
    passkey_login_start::StartPasskeyLogin { auth },
    passkey_login_finish::FinishPasskeyLogin { auth, csrf, lifetime },
    restore::Restore { auth, csrf, lifetime },
    refresh::Refresh { auth, csrf, lifetime },
    logout::Logout { auth, csrf },
    key_set::ReadKeySet { auth, clock },
}
