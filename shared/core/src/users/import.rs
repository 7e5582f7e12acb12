//! Accounts of another system.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::rejection::Rejection;
use plinth_domain::role::RoleName;
use plinth_domain::text::DisplayName;
use time::OffsetDateTime;

use super::administration::known_roles;
use super::repository;
use super::service::{Creation, NewAccount, Users, insert};
use crate::second_factors::{SecondFactors, TotpSecret};
use crate::unit::Unit;
use crate::{Error, Result};

/// An account of another system.
#[derive(Debug)]
pub struct ImportedAccount {
    pub email: Email,
    /// In the form that is stored; none for an account whose owner chooses a password by mail.
    pub password_hash: Option<String>,
    pub display_name: Option<DisplayName>,
    /// Whether the other system has proved the address.
    pub email_verified: bool,
    /// When the other system created it.
    pub created_at: Option<OffsetDateTime>,
    /// Roles beside that of every member. They must exist.
    pub roles: Vec<RoleName>,
    /// The secret of an authenticator app.
    pub totp_secret: Option<TotpSecret>,
}

impl Users {
    /// Creates the account as a member; false if its address is taken, or another account can take it back.
    pub async fn import(&self, factors: &SecondFactors, imported: ImportedAccount) -> Result<bool> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        if imported
            .created_at
            .is_some_and(|created_at| created_at > at)
        {
            let detail = "An account was not created in the future.";
            return Err(Error::invalid(
                "/created_at",
                Rejection::new("in_the_future", detail),
            ));
        }
        known_roles(&mut unit, &imported.roles).await?;
        let account = NewAccount {
            id: UserId::mint(at),
            email: imported.email,
            display_name: imported.display_name,
            password_hash: imported.password_hash,
        };
        let verified_at = imported.email_verified.then_some(at);
        let created_at = imported.created_at.unwrap_or(at);
        if insert(&mut unit, &account, verified_at, created_at).await? != Creation::Created {
            return Ok(false);
        }
        repository::mark_imported(unit.connection(), account.id, at).await?;
        for role in &imported.roles {
            repository::add_role(unit.connection(), account.id, role.as_str()).await?;
        }
        if let Some(secret) = &imported.totp_secret {
            factors.import(&mut unit, account.id, secret).await?;
        }
        unit.audit(
            Action::AccountImported,
            Target::User(account.id),
            Outcome::Success,
        )
        .await?;
        unit.commit().await?;
        Ok(true)
    }
}
