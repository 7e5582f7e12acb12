//! The rules of accounts.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::password::Password;
use plinth_domain::role;
use plinth_domain::text::DisplayName;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::crypto::{PasswordHasher, Verified};
use serde_json::json;
use time::OffsetDateTime;

use super::repository;
use crate::unit::Unit;
use crate::{Error, Result, Stores};

/// An account that is about to be.
pub(crate) struct NewAccount {
    pub(crate) id: UserId,
    pub(crate) email: Email,
    pub(crate) display_name: Option<DisplayName>,
    pub(crate) password_hash: String,
}

/// An account of another system, with the hash of its password.
#[derive(Debug)]
pub struct ImportedAccount {
    pub email: Email,
    pub password_hash: String,
    pub display_name: Option<DisplayName>,
    /// Whether the other system has proved the address.
    pub email_verified: bool,
}

/// What a login is decided on.
pub(crate) struct Credentials {
    pub(crate) id: UserId,
    /// None of an account that logs in with passkeys alone.
    pub(crate) password_hash: Option<String>,
    pub(crate) password_changed_at: Option<OffsetDateTime>,
    pub(crate) email_verified: bool,
    pub(crate) status: UserStatus,
}

/// What an account's owner changes; an outer `None` leaves a part as it is.
#[derive(Debug, Default)]
pub struct ProfileChange {
    pub display_name: Option<Option<DisplayName>>,
}

/// The account as it stands in PostgreSQL.
pub async fn find(stores: &Stores, id: UserId) -> Result<Option<User>> {
    Ok(repository::find(&stores.db, id).await?)
}

pub(crate) async fn credentials(stores: &Stores, email: &Email) -> Result<Option<Credentials>> {
    Ok(repository::credentials(&stores.db, email).await?)
}

pub(crate) async fn credentials_of(stores: &Stores, id: UserId) -> Result<Option<Credentials>> {
    Ok(repository::credentials_of(&stores.db, id).await?)
}

/// Creates the account as a member; false when its address is taken.
pub(crate) async fn create(unit: &mut Unit, account: &NewAccount) -> Result<bool> {
    let at = unit.at();
    let created = repository::insert(unit.connection(), account, None, at).await?;
    if created {
        repository::add_role(unit.connection(), account.id, role::MEMBER).await?;
    }
    Ok(created)
}

/// False when it was verified already.
pub(crate) async fn mark_email_verified(unit: &mut Unit, id: UserId) -> Result<bool> {
    let at = unit.at();
    unit.changes_user(id).await;
    Ok(repository::verify_email(unit.connection(), id, at).await?)
}

/// Keeps the same password under another hash, unless it was changed meanwhile; false when it was.
pub(crate) async fn replace_password_hash(unit: &mut Unit, known: &Credentials, hash: &str) -> Result<bool> {
    let old = known.password_hash.as_deref();
    Ok(repository::replace_password_hash(unit.connection(), known.id, old, hash).await?)
}

/// Refuses what would leave nobody who may do everything. Whoever takes an administrator away does so alone.
pub(crate) async fn keep_an_administrator(unit: &mut Unit, leaving: UserId) -> Result<()> {
    repository::lock_administrators(unit.connection()).await?;
    let administrators = repository::active_administrators(unit.connection()).await?;
    if administrators == [leaving] {
        let detail = "This is the last administrator; make another one first.".to_owned();
        return Err(Error::Conflict { code: "last_administrator", detail });
    }
    Ok(())
}

/// The account that has this address.
pub(crate) async fn owner_of(unit: &mut Unit, email: &Email) -> Result<Option<Credentials>> {
    Ok(repository::credentials(unit.connection(), email).await?)
}

/// The door to accounts.
#[derive(Clone)]
pub struct Users {
    stores: Stores,
}

impl Users {
    pub fn new(stores: &Stores) -> Self {
        Self { stores: stores.clone() }
    }

    /// Changes what an account says of itself.
    pub async fn change_profile(&self, origin: &Origin, id: UserId, change: ProfileChange) -> Result<User> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if let Some(name) = &change.display_name {
            unit.changes_user(id).await;
            let name = name.as_ref().map(DisplayName::as_str);
            repository::set_display_name(unit.connection(), id, name, at).await?;
            let details = json!({ "changed": ["display_name"] });
            unit.audit_with(Action::AccountUpdated, Target::User(id), Outcome::Success, details).await?;
        }
        let user = repository::find(&mut *unit.connection(), id).await?.ok_or(Error::NotFound)?;
        unit.commit().await?;
        Ok(user)
    }

    /// Creates the account as a member; false when its address is taken.
    pub async fn import(&self, imported: ImportedAccount) -> Result<bool> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        let account = NewAccount {
            id: UserId::mint(at),
            email: imported.email,
            display_name: imported.display_name,
            password_hash: imported.password_hash,
        };
        let verified_at = imported.email_verified.then_some(at);
        let created = repository::insert(unit.connection(), &account, verified_at, at).await?;
        if created {
            repository::add_role(unit.connection(), account.id, role::MEMBER).await?;
            unit.audit(Action::AccountImported, Target::User(account.id), Outcome::Success).await?;
        }
        unit.commit().await?;
        Ok(created)
    }

    /// Makes sure that there is an administrator with this address and password; true when the account is new.
    ///
    /// An account that has the address already becomes one, and gets this password: whoever can run this can
    /// write to the database as well.
    pub async fn ensure_administrator(
        &self,
        hasher: &PasswordHasher,
        email: Email,
        password: Password,
    ) -> Result<bool> {
        if let Some(known) = repository::credentials(&self.stores.db, &email).await?
            && hasher.verify(password.clone(), known.password_hash).await? == Verified::Yes
            && find(&self.stores, known.id)
                .await?
                .is_some_and(|user| user.roles.iter().any(|held| held == role::ADMIN))
        {
            return Ok(false);
        }
        let password_hash = hasher.hash(password).await?;
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        let account = NewAccount { id: UserId::mint(at), email, display_name: None, password_hash };
        let created = repository::insert(unit.connection(), &account, Some(at), at).await?;
        let id = if created {
            account.id
        } else {
            let known =
                repository::credentials(unit.connection(), &account.email).await?.ok_or(Error::NotFound)?;
            unit.changes_user(known.id).await;
            repository::set_password(unit.connection(), known.id, &account.password_hash, at).await?;
            repository::verify_email(unit.connection(), known.id, at).await?;
            known.id
        };
        repository::add_role(unit.connection(), id, role::ADMIN).await?;
        unit.audit(Action::AdministratorCreated, Target::User(id), Outcome::Success).await?;
        unit.commit().await?;
        Ok(created)
    }
}
