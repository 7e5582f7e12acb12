//! Authentication: registration, the proof of an address, login, sessions and their tokens. One file an operation.

mod deletion;
mod devices;
mod email_change;
mod email_undo;
mod expiry;
mod impersonation;
mod login;
mod logout;
mod mailed_token;
mod mfa;
mod opening;
mod passkey_login;
mod password_change;
mod password_policy;
mod password_reset;
mod recovery;
mod refresh;
mod refresh_token;
mod registration;
mod replacement;
mod restore;
mod revocation;
mod security_notice;
mod session_caller;
mod sessions;
mod step_up;
mod stored_hashes;
mod throttle;
mod tokens;

use std::time::Duration;

use plinth_platform::crypto::{PasswordHasher, RootKey, Signer};
use plinth_platform::settings::Settings;

use self::devices::Devices;
use crate::Stores;
use crate::access_tokens::AccessTokens;
use crate::passkeys::Passkeys;
use crate::second_factors::SecondFactors;

pub use deletion::DeletionTime;
pub(crate) use deletion::due_deletions;
pub use devices::DEVICE_LIFETIME;
pub use email_change::{AccountProof, EmailChanges};
pub use email_undo::UndoAnswer;
pub(crate) use expiry::{ended_sessions, expired_one_time_tokens, expired_revocations};
pub use login::LoginRequest;
pub use mailed_token::{Asked, MailedToken};
pub use mfa::{LoginAnswer, MfaChallenge, Proof};
pub use opening::SessionTokens;
pub use passkey_login::PasskeyLogin;
pub use password_change::PasswordChange;
pub use password_policy::PasswordPolicy;
pub use password_reset::{PasswordReset, PasswordResets};
pub use registration::{Registration, Verification, VerificationMail};
pub(crate) use registration::{release_unverified, unverified_registrations};
pub use restore::PendingDeletion;
pub(crate) use revocation::{
    end_impersonations_around, end_impersonations_around_role, end_session, end_sessions,
};
pub use security_notice::{NoticeMail, SecurityNotices};
pub use session_caller::SessionCaller;
pub use sessions::SessionView;
pub(crate) use sessions::{live, standing};
pub(crate) use step_up::note_methods;
pub(crate) use throttle::{Attempt, Throttle};

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
    second_factors: SecondFactors,
    passkeys: Passkeys,
    policy: PasswordPolicy,
}

#[derive(Debug, Clone, Copy)]
struct Lifetimes {
    access_token: Duration,
    session_idle: Duration,
    session: Duration,
    challenge: Duration,
    email_undo: Duration,
    recovery_window: Duration,
    deletion_grace: Duration,
}

impl Auth {
    pub fn new(
        stores: &Stores,
        settings: &Settings,
        root: &RootKey,
        hasher: PasswordHasher,
        access_tokens: AccessTokens,
    ) -> Self {
        Self {
            stores: stores.clone(),
            hasher,
            access_tokens,
            lifetimes: Lifetimes {
                access_token: settings.auth.access_token_lifetime,
                session_idle: settings.auth.session_idle_lifetime,
                session: settings.auth.session_lifetime,
                challenge: settings.auth.challenge_lifetime,
                email_undo: settings.auth.email_undo_lifetime,
                recovery_window: settings.auth.recovery_window,
                deletion_grace: settings.auth.deletion_grace.0,
            },
            refresh_signer: Signer::new(&root.derive("refresh tokens v2")),
            devices: Devices::new(&root.derive("device tokens v1")),
            throttle: Throttle::new(stores),
            second_factors: SecondFactors::new(stores, settings, root),
            passkeys: Passkeys::new(stores, settings),
            policy: PasswordPolicy::of(settings),
        }
    }

    /// What checks access tokens.
    pub fn access_tokens(&self) -> &AccessTokens {
        &self.access_tokens
    }

    /// Learns what the hashes cost that accounts came with from another system: until then a wrong password may take less
    /// time than one at such an account. Ends when that is known; while PostgreSQL is away it is asked again.
    pub fn learn_stored_hashes(&self) -> impl Future<Output = ()> + Send + use<> {
        stored_hashes::learn(self.stores.clone(), self.hasher.clone())
    }

    /// What checks passkeys.
    pub fn passkeys(&self) -> &Passkeys {
        &self.passkeys
    }
}
