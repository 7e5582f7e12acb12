//! Signing keys go on under another root key.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_platform::crypto::{Resealing, RootKey};

use super::repository;
use super::rotation::{SigningKeys, context, sealer};
use crate::resealed::unreadable;
use crate::unit::Unit;
use crate::{Error, Resealed, Result};

impl SigningKeys {
    /// Seals anew what was sealed under `before`, the root key that was. Without it nothing could be signed any more. A key
    /// that fails keeps no others.
    pub async fn reseal(&self, before: &RootKey) -> Result<Resealed> {
        let before = sealer(before);
        let mut done = Resealed::default();
        for row in repository::list(&self.stores.db, self.stores.clock.now()).await? {
            let replaced = match self
                .sealer
                .reseal(&before, &context(&row.kid), &row.private_key)
            {
                Resealing::Current => Ok(0),
                Resealing::Resealed(private_key) => {
                    let replaced =
                        repository::replace_private_key(&self.stores.db, &row, &private_key).await;
                    replaced.map_err(Error::from)
                }
                Resealing::Unreadable => Err(unreadable()),
            };
            done.count(format_args!("signing key {}", row.kid), replaced)?;
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let details = done.told("signing_keys");
        unit.audit_with(
            Action::SecretsResealed,
            Target::None,
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        Ok(done)
    }
}
