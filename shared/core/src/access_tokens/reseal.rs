//! Signing keys go on under another root key.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_platform::crypto::{Resealing, RootKey};

use super::repository;
use super::rotation::{SigningKeys, context, sealer};
use crate::unit::Unit;
use crate::{Resealed, Result};

impl SigningKeys {
    /// Seals anew what was sealed under `before`, the root key that was. Without it nothing could be signed any more.
    pub async fn reseal(&self, before: &RootKey) -> Result<Resealed> {
        let before = sealer(before);
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        repository::lock(unit.connection()).await?;
        let mut done = Resealed::default();
        for row in repository::list(&mut *unit.connection(), at).await? {
            match self.sealer.reseal(&before, &context(&row.kid), &row.private_key) {
                Resealing::Current => {}
                Resealing::Anew(private_key) => {
                    repository::set_private_key(unit.connection(), &row.kid, &private_key).await?;
                    done.resealed += 1;
                }
                Resealing::Unreadable => done.failed += 1,
            }
        }
        let details = done.told("signing_keys");
        unit.audit_with(Action::SecretsResealed, Target::None, Outcome::Success, details).await?;
        unit.commit().await?;
        Ok(done)
    }
}
