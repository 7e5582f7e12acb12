//! Authenticator apps go on under another root key.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_platform::crypto::{Resealing, RootKey};
use uuid::Uuid;

use super::{SecondFactors, context, repository, sealer};
use crate::resealed::unreadable;
use crate::unit::Unit;
use crate::{Error, Resealed, Result};

impl SecondFactors {
    /// Seals anew what was sealed under `before`, the root key that was. Two at once share the work, and one that was
    /// stopped is begun again. A secret that fails keeps no others.
    pub async fn reseal(&self, before: &RootKey) -> Result<Resealed> {
        let before = sealer(before);
        let mut done = Resealed::default();
        let mut after = Uuid::nil();
        loop {
            let page = repository::page(&self.stores.db, after).await?;
            let Some((_, last)) = page.last() else { break };
            after = last.id.0;
            for (user, factor) in page {
                let replaced =
                    match self
                        .sealer
                        .reseal(&before, &context(user, factor.id), &factor.secret)
                    {
                        Resealing::Current => Ok(0),
                        Resealing::Resealed(secret) => {
                            let replaced =
                                repository::replace_secret(&self.stores.db, &factor, &secret).await;
                            replaced.map_err(Error::from)
                        }
                        Resealing::Unreadable => Err(unreadable()),
                    };
                done.count(format_args!("authenticator app {}", factor.id), replaced)?;
            }
        }
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let details = done.told("totp_secrets");
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
