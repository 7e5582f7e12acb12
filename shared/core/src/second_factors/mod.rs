//! Second factors that are no passkeys: authenticator apps, and recovery codes for whoever has lost his factor.

mod enrolment;
mod recovery;
mod recovery_code;
mod repository;
mod reseal;
mod reset;
mod totp;

use std::ops::Deref;
use std::time::Duration;

use plinth_domain::id::{TotpFactorId, UserId};
use plinth_domain::notice::FactorKind;
use plinth_domain::one_time_code::OneTimeCode;
use plinth_platform::crypto::{RootKey, Sealer};
use plinth_platform::settings::Settings;
use time::OffsetDateTime;

use crate::unit::Unit;
use crate::{Error, Result, Stores};

pub use enrolment::{Confirmation, Enrolment};
pub(crate) use recovery::{drop_codes_with_last_factor, first_codes};
pub(crate) use repository::waiting_since;
pub(crate) use reset::{
    remaining, remove_added_since, remove_all_of, remove_suspended, suspend_added_since,
};
pub use totp::{Provisioning, TotpSecret};

/// An app that was never confirmed is forgotten after so long.
pub(crate) const WAITING: Duration = Duration::from_hours(1);

/// An authenticator app, as its owner sees it.
#[derive(Debug, Clone)]
pub struct TotpFactor {
    pub id: TotpFactorId,
    pub name: String,
    pub confirmed_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
}

/// A second factor that an account has after its recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemainingFactor {
    pub kind: FactorKind,
    /// `None` for recovery codes.
    pub name: Option<String>,
    pub added_at: OffsetDateTime,
    /// It proves nothing, and is removed once an older factor was proved.
    pub is_suspended: bool,
}

/// Which of these a login can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Available {
    pub(crate) totp: bool,
    pub(crate) recovery_codes: bool,
}

/// The door to second factors.
#[derive(Clone)]
pub struct SecondFactors {
    stores: Stores,
    sealer: Sealer,
    /// What apps show as the issuer.
    product: String,
}

impl SecondFactors {
    pub fn new(stores: &Stores, settings: &Settings, root: &RootKey) -> Self {
        Self {
            stores: stores.clone(),
            sealer: sealer(root),
            product: settings.general.product_name.clone(),
        }
    }

    /// The user's authenticator apps, the oldest first.
    pub async fn list(&self, user: UserId) -> Result<Vec<TotpFactor>> {
        Ok(repository::list(&self.stores.db, user).await?)
    }

    /// Whether it is the code of one of the user's apps now; a code is taken once.
    pub(crate) async fn verify_totp(
        &self,
        unit: &mut Unit,
        user: UserId,
        code: &OneTimeCode,
        before: Option<OffsetDateTime>,
    ) -> Result<bool> {
        let at = unit.at();
        for factor in repository::confirmed(unit.connection(), user, before).await? {
            let secret = self.open(user, &factor)?;
            if let Some(step) = totp::step_of(&secret, code, at)
                && repository::use_step(unit.connection(), factor.id, step, at).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn open(
        &self,
        user: UserId,
        factor: &repository::SealedFactor,
    ) -> Result<impl Deref<Target = Vec<u8>>> {
        let secret = self.sealer.open(&context(user, factor.id), &factor.secret);
        secret.ok_or_else(|| {
            Error::internal("the secret of an app was sealed under another root key")
        })
    }
}

/// Which of the user's apps and codes can prove something; of those added before `before`, where it is given.
pub(crate) async fn available(
    unit: &mut Unit,
    user: UserId,
    before: Option<OffsetDateTime>,
) -> Result<Available> {
    let totp = !repository::confirmed(unit.connection(), user, before)
        .await?
        .is_empty();
    let codes = repository::count_codes(&mut *unit.connection(), user, before).await?;
    Ok(Available {
        totp,
        recovery_codes: codes > 0,
    })
}

/// What seals the secrets of apps.
fn sealer(root: &RootKey) -> Sealer {
    Sealer::new(&root.derive("totp secrets at rest v1"))
}

fn context(user: UserId, id: TotpFactorId) -> String {
    format!("totp:{user}:{id}")
}
