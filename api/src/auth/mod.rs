//! Authentication over HTTP: one file an operation.

mod login;
mod logout;
mod refresh;
mod register;
mod resend_verification;
mod session_tokens;
mod verify_email;

use plinth_core::auth::Auth;

pub(crate) type Operations = (
    register::Register,
    verify_email::VerifyEmail,
    resend_verification::ResendVerification,
    login::Login,
    refresh::Refresh,
    logout::Logout,
);

pub(crate) fn operations(auth: &Auth) -> Operations {
    (
        register::Register { auth: auth.clone() },
        verify_email::VerifyEmail { auth: auth.clone() },
        resend_verification::ResendVerification { auth: auth.clone() },
        login::Login { auth: auth.clone() },
        refresh::Refresh { auth: auth.clone() },
        logout::Logout { auth: auth.clone() },
    )
}
