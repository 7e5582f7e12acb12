//! Authentication: registration, the proof of an address, login, sessions and their tokens. One file an operation.

mod devices;
mod expiry;
mod login;
mod logout;
mod opening;
mod passkey_login;
mod refresh;
mod refresh_token;
mod register;
mod revocation;
mod session_methods;
mod sessions;
mod throttle;
mod tokens;
mod verification;

use std::time::Duration;

use plinth_platform::crypto::{PasswordHasher, RootKey, Signer};
use plinth_platform::settings::Settings;

use self::devices::Devices;
use self::throttle::Throttle;
use crate::Stores;
use crate::access_tokens::AccessTokens;
use crate::passkeys::Passkeys;

pub use devices::DEVICE_LIFETIME;
pub use expiry::{Removed, remove_expired};
pub use login::LoginRequest;
pub use opening::SessionTokens;
pub use passkey_login::PasskeyLogin;
pub use register::Registration;
pub(crate) use revocation::{end_impersonations_by_holders, end_sessions};
pub(crate) use session_methods::note_methods;
pub use sessions::SessionView;
pub(crate) use sessions::live;
pub use verification::{Verification, VerificationMail};

/// How long an administrator may act in somebody's name.
pub(crate) const IMPERSONATION: Duration = Duration::from_mins(15);

/// The door to authentication.
#[derive(Clone)]
pub struct Auth {
    stores: Stores,
    hasher: PasswordHasher,
    access_tokens: AccessTokens,
    lifetimes: Lifetimes,
    refresh_signer: Signer,
    devices: Devices,
    throttle: Throttle,
    passkeys: Passkeys,
}

#[derive(Debug, Clone, Copy)]
struct Lifetimes {
    access_token: Duration,
    session_idle: Duration,
    session: Duration,
    challenge: Duration,
}

impl Auth {
    /// Call inside the Tokio runtime.
    pub fn new(stores: &Stores, settings: &Settings, root: &RootKey, hasher: PasswordHasher) -> Self {
        Self {
            stores: stores.clone(),
            hasher,
            access_tokens: AccessTokens::new(stores, settings, root),
            lifetimes: Lifetimes {
                access_token: settings.auth.access_token_lifetime,
                session_idle: settings.auth.session_idle_lifetime,
                session: settings.auth.session_lifetime,
                challenge: settings.auth.challenge_lifetime,
            },
            refresh_signer: Signer::new(&root.derive("refresh tokens v2")),
            devices: Devices::new(&root.derive("device tokens v1")),
            throttle: Throttle::new(stores),
            passkeys: Passkeys::new(stores, settings),
        }
    }

    /// What checks access tokens.
    pub fn access_tokens(&self) -> &AccessTokens {
        &self.access_tokens
    }

    /// What checks passkeys.
    pub fn passkeys(&self) -> &Passkeys {
        &self.passkeys
    }
}
