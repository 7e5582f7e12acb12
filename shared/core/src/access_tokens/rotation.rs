//! Making and ending signing keys.
//!
//! A new key is known to every replica, and published, for a while before it signs; an old one is taken for as long as
//! anything it signed may be valid. So no valid token is refused while keys change.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_platform::crypto::{RootKey, Sealer, random};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::keys::{Key, Keys};
use super::repository::{self, NewKey};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// Clocks of replicas may differ by so much.
const SKEW: Duration = Duration::from_mins(1);

/// The keys in the database.
#[derive(Clone)]
pub struct SigningKeys {
    pub(super) stores: Stores,
    pub(super) sealer: Sealer,
    /// How long a token may be valid.
    lifetime: Duration,
}

/// A key, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    pub kid: String,
    pub activates_at: OffsetDateTime,
    pub retires_at: Option<OffsetDateTime>,
}

impl SigningKeys {
    /// `lifetime` is that of the longest access token.
    pub fn new(stores: &Stores, root: &RootKey, lifetime: Duration) -> Self {
        Self {
            stores: stores.clone(),
            sealer: sealer(root),
            lifetime,
        }
    }

    /// Every key that has not retired; the first is made here when there is none.
    pub(super) async fn load(&self) -> Result<Keys> {
        let now = self.stores.clock.now();
        let rows = repository::list(&self.stores.db, now).await?;
        let rows = if rows.is_empty() {
            self.begin().await?
        } else {
            rows
        };
        let keys = rows.into_iter().map(|row| {
            let seed = open(&self.sealer, &row.kid, &row.private_key)?;
            Ok(Key::from_seed(&seed, row.activates_at, row.retires_at))
        });
        Keys::of(keys.collect::<Result<_>>()?)
            .ok_or_else(|| Error::internal("there is no signing key"))
    }

    /// Makes the first key, unless another replica was faster.
    async fn begin(&self) -> Result<Vec<repository::Row>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        repository::lock(unit.connection()).await?;
        if repository::list(&mut *unit.connection(), at)
            .await?
            .is_empty()
        {
            // Whoever waits for it has looked at the clock before.
            self.make(&mut unit, at - SKEW).await?;
        }
        let rows = repository::list(&mut *unit.connection(), at).await?;
        unit.commit().await?;
        Ok(rows)
    }

    /// Makes a key that signs after `lead`; the present ones end once nothing that they signed is valid.
    pub async fn rotate(&self, lead: Duration) -> Result<KeyStatus> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let activates_at = unit.at() + lead;
        repository::lock(unit.connection()).await?;
        let kid = self.make(&mut unit, activates_at).await?;
        let retires_at = activates_at + self.lifetime + SKEW;
        repository::retire_others(unit.connection(), &kid, retires_at).await?;
        unit.commit().await?;
        Ok(KeyStatus {
            kid,
            activates_at,
            retires_at: None,
        })
    }

    /// Ends a key at once, as after a leak: everything that it signed is refused. Another takes its place now.
    pub async fn retire(&self, kid: &str) -> Result<KeyStatus> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        repository::lock(unit.connection()).await?;
        if !repository::retire(unit.connection(), kid, at).await? {
            return Err(Error::NotFound);
        }
        let details = json!({ "kid": kid });
        unit.audit_with(
            Action::SigningKeyRetired,
            Target::SigningKey,
            Outcome::Success,
            details,
        )
        .await?;
        let activates_at = at - SKEW;
        let next = self.make(&mut unit, activates_at).await?;
        unit.commit().await?;
        Ok(KeyStatus {
            kid: next,
            activates_at,
            retires_at: None,
        })
    }

    /// The keys that have not retired, the oldest first.
    pub async fn list(&self) -> Result<Vec<KeyStatus>> {
        let rows = repository::list(&self.stores.db, self.stores.clock.now()).await?;
        let status = |row: repository::Row| KeyStatus {
            kid: row.kid,
            activates_at: row.activates_at,
            retires_at: row.retires_at,
        };
        Ok(rows.into_iter().map(status).collect())
    }

    async fn make(&self, unit: &mut Unit, activates_at: OffsetDateTime) -> Result<String> {
        let at = unit.at();
        let seed: [u8; 32] = random();
        let key = Key::from_seed(&seed, activates_at, None);
        let private_key = self.sealer.seal(&context(&key.kid), &seed);
        let row = NewKey {
            kid: &key.kid,
            public_key: &key.public,
            private_key: &private_key,
            activates_at,
        };
        repository::insert(unit.connection(), &row, at).await?;
        let details = json!({ "kid": key.kid });
        unit.audit_with(
            Action::SigningKeyCreated,
            Target::SigningKey,
            Outcome::Success,
            details,
        )
        .await?;
        Ok(key.kid)
    }
}

/// Returns the name and the sealed private half of the key that was made last.
pub(crate) async fn newest(
    connection: &mut PgConnection,
) -> sqlx::Result<Option<(String, Vec<u8>)>> {
    repository::newest(connection).await
}

/// Checks that the root key is the one that the newest signing key was sealed under.
pub(crate) fn check_newest(sealer: &Sealer, newest: Option<(String, Vec<u8>)>) -> Result<()> {
    newest.map_or(Ok(()), |(kid, private_key)| {
        open(sealer, &kid, &private_key).map(drop)
    })
}

fn open(sealer: &Sealer, kid: &str, private_key: &[u8]) -> Result<[u8; 32]> {
    let seed = sealer.open(&context(kid), private_key);
    let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.as_slice().try_into().ok());
    seed.ok_or_else(|| {
        Error::internal(format!(
            "the signing key {kid} was sealed under another root key"
        ))
    })
}

/// What seals the private halves.
pub(crate) fn sealer(root: &RootKey) -> Sealer {
    Sealer::new(&root.derive("signing keys at rest v1"))
}

pub(super) fn context(kid: &str) -> String {
    format!("signing key:{kid}")
}
