//! Authentication over HTTP: one file an operation.

mod key_set;
mod login;
mod logout;
mod passkey_login_finish;
mod passkey_login_start;
mod refresh;
mod register;
mod resend_verification;
pub(crate) mod session_tokens;
mod verify_email;

use plinth_core::auth::Auth;
use plinth_platform::clock::Clock;

use self::session_tokens::SessionLifetime;
use crate::http::browser::Pages;

pub(crate) type Operations = (
    register::Register,
    verify_email::VerifyEmail,
    resend_verification::ResendVerification,
    login::Login,
    passkey_login_start::StartPasskeyLogin,
    passkey_login_finish::FinishPasskeyLogin,
    refresh::Refresh,
    logout::Logout,
    key_set::ReadKeySet,
);

pub(crate) fn operations(auth: &Auth, pages: &Pages, lifetime: SessionLifetime, clock: &Clock) -> Operations {
    (
        register::Register { auth: auth.clone() },
        verify_email::VerifyEmail { auth: auth.clone() },
        resend_verification::ResendVerification { auth: auth.clone() },
        login::Login { auth: auth.clone(), pages: pages.clone(), lifetime },
        passkey_login_start::StartPasskeyLogin { auth: auth.clone() },
        passkey_login_finish::FinishPasskeyLogin { auth: auth.clone(), pages: pages.clone(), lifetime },
        refresh::Refresh { auth: auth.clone(), pages: pages.clone(), lifetime },
        logout::Logout { auth: auth.clone(), pages: pages.clone() },
        key_set::ReadKeySet { auth: auth.clone(), clock: clock.clone() },
    )
}
