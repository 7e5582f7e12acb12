//! The rules of accounts.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::password::Password;
use plinth_domain::permission::Permission;
use plinth_domain::role;
use plinth_domain::text::DisplayName;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::crypto::{PasswordHasher, StoredPassword, Verified};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::email_undos::{self, NewUndo};
use super::repository;
use crate::unit::Unit;
use crate::{Error, Result, Stores, auth};

/// An account that is about to be.
pub(crate) struct NewAccount {
    pub(crate) id: UserId,
    pub(crate) email: Email,
    pub(crate) display_name: Option<DisplayName>,
    /// None for an account whose owner chooses a password by mail.
    pub(crate) password_hash: Option<String>,
}

/// Whether the account is active and has the password that it had, which stays so until the end of this change.
pub(crate) async fn hold_unchanged(
    unit: &mut Unit,
    id: UserId,
    password_changed_at: Option<OffsetDateTime>,
) -> Result<bool> {
    Ok(repository::hold_unchanged(unit.connection(), id, password_changed_at).await?)
}

/// Whether the account has a second factor.
pub(crate) async fn has_second_factor(unit: &mut Unit, id: UserId) -> Result<bool> {
    let user = repository::find(&mut *unit.connection(), id).await?;
    Ok(user.is_some_and(|user| user.has_second_factor))
}

/// What a login is decided on.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a login asks for each of them by itself"
)]
pub(crate) struct Credentials {
    pub(crate) id: UserId,
    /// None of an account that logs in with passkeys alone.
    pub(crate) password_hash: Option<String>,
    /// Whether the hash may be of the password as typed: another system made it.
    pub(crate) password_imported: bool,
    pub(crate) password_changed_at: Option<OffsetDateTime>,
    pub(crate) email_verified: bool,
    pub(crate) has_second_factor: bool,
    /// Only a mailed link lets the owner in.
    pub(crate) recovery_is_pending: bool,
    pub(crate) status: UserStatus,
}

impl Credentials {
    /// What a presented password is compared with; `None` if the account has no password.
    pub(crate) fn stored_password(&self) -> Option<StoredPassword> {
        let hash = self.password_hash.clone()?;
        Some(StoredPassword {
            hash,
            imported: self.password_imported,
        })
    }
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

/// Nobody else changes these accounts, or what they may do, before this change is over.
///
/// The order of locks, which every change keeps, so that none waits for one that waits for it: first the accounts, by this;
/// then a challenge, before what answers it; of several sessions the one with the lowest id first. Who learns from a
/// challenge whose it is locks no account after it. What refers to an account or a session locks it as well, and its key
/// cannot change meanwhile.
pub(crate) async fn lock(unit: &mut Unit, ids: &[UserId]) -> Result<()> {
    Ok(repository::lock(unit.connection(), ids).await?)
}

/// The account, locked. One that was deleted is not found.
pub(crate) async fn hold(unit: &mut Unit, id: UserId) -> Result<User> {
    lock(unit, &[id]).await?;
    let user = repository::find(&mut *unit.connection(), id).await?;
    user.filter(|user| user.status != UserStatus::Deleted)
        .ok_or(Error::NotFound)
}

pub(crate) async fn credentials(stores: &Stores, email: &Email) -> Result<Option<Credentials>> {
    Ok(repository::credentials(&stores.db, email).await?)
}

/// The same of a known account.
pub(crate) async fn credentials_of(stores: &Stores, id: UserId) -> Result<Option<Credentials>> {
    Ok(repository::credentials_of(&stores.db, id).await?)
}

/// The same as this change sees it.
pub(crate) async fn credentials_in(unit: &mut Unit, id: UserId) -> Result<Option<Credentials>> {
    Ok(repository::credentials_of(unit.connection(), id).await?)
}

/// Whether the account has got another password, or another address, since then.
pub(crate) async fn has_changed_since(
    unit: &mut Unit,
    id: UserId,
    since: OffsetDateTime,
) -> Result<bool> {
    Ok(repository::has_changed_since(unit.connection(), id, since).await?)
}

/// The hash of some account's password that begins like none of these.
pub(crate) async fn password_hash_unlike(
    stores: &Stores,
    beginnings: &[String],
) -> Result<Option<String>> {
    Ok(repository::password_hash_unlike(&stores.db, beginnings).await?)
}

/// What came of the creation of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    Created,
    /// Another account has the address.
    Taken,
    /// Another account can take the address back, whoever has it now.
    Reserved,
}

/// Creates the account, whose address is proved, as a member.
pub(crate) async fn create(unit: &mut Unit, account: &NewAccount) -> Result<Creation> {
    let at = unit.at();
    insert(unit, account, Some(at), at).await
}

/// Inserts the account as a member.
pub(super) async fn insert(
    unit: &mut Unit,
    account: &NewAccount,
    email_verified_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
) -> Result<Creation> {
    let at = unit.at();
    if repository::insert(
        unit.connection(),
        account,
        (email_verified_at, created_at),
        at,
    )
    .await?
    {
        repository::add_role(unit.connection(), account.id, role::MEMBER).await?;
        return Ok(Creation::Created);
    }
    if address_is_reserved(unit, &account.email, None).await? {
        return Ok(Creation::Reserved);
    }
    Ok(Creation::Taken)
}

/// Gives an unverified account the address, name and password of the person who proved its address.
pub(crate) async fn take_over(unit: &mut Unit, id: UserId, proved: &NewAccount) -> Result<()> {
    let at = unit.at();
    unit.changes_user(id).await;
    Ok(repository::take_over(unit.connection(), id, proved, at).await?)
}

/// Whether an operator imported the account.
pub(crate) async fn is_imported(unit: &mut Unit, id: UserId) -> Result<bool> {
    Ok(repository::is_imported(unit.connection(), id).await?)
}

/// Locks the unverified account that has this address, unless it is `except` or another change holds it.
pub(crate) async fn hold_unverified(
    unit: &mut Unit,
    email: &Email,
    except: UserId,
) -> Result<Option<UserId>> {
    Ok(repository::hold_unverified(unit.connection(), email, except).await?)
}

/// Marks the address of the account as verified; false when it was already. A name that was given before the proof goes,
/// unless an operator imported it. Refused if another account can take the address back. The caller holds the account.
pub(crate) async fn mark_email_verified(unit: &mut Unit, account: &User) -> Result<bool> {
    if account.email_verified_at.is_some() {
        return Ok(false);
    }
    let email = Email::parse_known(&account.email).map_err(Error::internal)?;
    if address_is_reserved(unit, &email, Some(account.id)).await? {
        return Err(email_taken());
    }
    let at = unit.at();
    unit.changes_user(account.id).await;
    Ok(repository::verify_email(unit.connection(), account.id, at).await?)
}

/// Keeps the same password under another hash, unless it was changed meanwhile; false when it was.
pub(crate) async fn replace_password_hash(
    unit: &mut Unit,
    known: &Credentials,
    hash: &str,
) -> Result<bool> {
    let old = known.password_hash.as_deref();
    Ok(repository::replace_password_hash(unit.connection(), known.id, old, hash).await?)
}

/// The account, which nobody else changes until the end of this change.
pub(crate) async fn find_locked(unit: &mut Unit, id: UserId) -> Result<Option<User>> {
    lock(unit, &[id]).await?;
    Ok(repository::find(&mut *unit.connection(), id).await?)
}

/// The same for the account that has this address.
pub(crate) async fn hold_by_email(unit: &mut Unit, email: &Email) -> Result<Option<User>> {
    match repository::lock_by_email(unit.connection(), email).await? {
        Some(id) => Ok(repository::find(&mut *unit.connection(), id).await?),
        None => Ok(None),
    }
}

/// Sets another password, or takes it away. Passwords of before are remembered if the last change was after `kept_since`.
pub(crate) async fn set_password(
    unit: &mut Unit,
    id: UserId,
    hash: Option<&str>,
    kept_since: OffsetDateTime,
) -> Result<()> {
    let at = unit.at();
    unit.changes_user(id).await;
    Ok(repository::set_password(unit.connection(), id, hash, (at, kept_since)).await?)
}

/// Takes the password away until a mailed link sets another one; factors added from `from` on are not trusted then.
pub(crate) async fn begin_recovery(
    unit: &mut Unit,
    id: UserId,
    from: OffsetDateTime,
) -> Result<()> {
    let at = unit.at();
    unit.changes_user(id).await;
    Ok(repository::begin_recovery(unit.connection(), id, from, at).await?)
}

/// From when on factors are not trusted by the recovery that is pending.
pub(crate) async fn recovery_from(unit: &mut Unit, id: UserId) -> Result<Option<OffsetDateTime>> {
    Ok(repository::recovery_from(unit.connection(), id).await?)
}

/// When the account's password was last changed.
pub(crate) async fn password_changed_at(
    unit: &mut Unit,
    id: UserId,
) -> Result<Option<OffsetDateTime>> {
    let known = repository::credentials_of(unit.connection(), id).await?;
    Ok(known.and_then(|known| known.password_changed_at))
}

/// The hashes that the next password must not have: of the present one, and of those that were replaced if the last change
/// was after `since`.
pub(crate) async fn refused_hashes(
    stores: &Stores,
    id: UserId,
    since: OffsetDateTime,
) -> Result<Vec<String>> {
    Ok(repository::refused_hashes(&stores.db, id, since).await?)
}

/// Gives the account another address, which its owner has proved. An unverified account of the address gives way. Refused if
/// another account has the address, or can take it back.
pub(crate) async fn set_email(unit: &mut Unit, id: UserId, email: &Email) -> Result<()> {
    auth::release_unverified(unit, email, id).await?;
    let at = unit.at();
    unit.changes_user(id).await;
    if repository::set_email(unit.connection(), id, email, at).await? {
        return Ok(());
    }
    Err(email_taken())
}

fn email_taken() -> Error {
    let detail = "Another account has this address by now, or can take it back.".to_owned();
    Error::Conflict {
        code: ErrorCode::EmailTaken,
        detail,
    }
}

/// Whether another account than `except` had this address and can still take it back.
pub(crate) async fn address_is_reserved(
    unit: &mut Unit,
    email: &Email,
    except: Option<UserId>,
) -> Result<bool> {
    let at = unit.at();
    Ok(email_undos::is_reserved(unit.connection(), email, except, at).await?)
}

/// Notes that the account can take this address, which it has just left, back until `expires_at`.
pub(crate) async fn open_email_undo(
    unit: &mut Unit,
    user: UserId,
    email: &Email,
    expires_at: OffsetDateTime,
) -> Result<()> {
    let new = NewUndo {
        user,
        email,
        changed_at: unit.at(),
        expires_at,
        waived_at: None,
    };
    Ok(email_undos::insert(unit.connection(), &new).await?)
}

/// Notes that the account cannot take this address back, which it has just left. The note is kept until `expires_at`; a
/// notice of the change that is mailed later has no link either.
pub(crate) async fn refuse_email_undo(
    unit: &mut Unit,
    user: UserId,
    email: &Email,
    expires_at: OffsetDateTime,
) -> Result<()> {
    let at = unit.at();
    let new = NewUndo {
        user,
        email,
        changed_at: at,
        expires_at,
        waived_at: Some(at),
    };
    Ok(email_undos::insert(unit.connection(), &new).await?)
}

/// Returns when the account left this address, if it can take it back.
pub(crate) async fn email_undo_open_since(
    unit: &mut Unit,
    id: UserId,
    email: &Email,
) -> Result<Option<OffsetDateTime>> {
    let at = unit.at();
    Ok(email_undos::open_since(unit.connection(), id, email, at).await?)
}

/// Prolongs the time in which the account can take the address back to that of the mailed link. Returns false if its owner
/// has waived that.
pub(crate) async fn prolong_email_undo(
    unit: &mut Unit,
    id: UserId,
    email: &Email,
    (changed_at, expires_at): (OffsetDateTime, OffsetDateTime),
) -> Result<bool> {
    Ok(email_undos::prolong(unit.connection(), id, email, (changed_at, expires_at)).await?)
}

/// Notes that one change of the account's address was undone, and with it every later one.
pub(crate) async fn close_email_undos(
    unit: &mut Unit,
    id: UserId,
    email: &Email,
    since: OffsetDateTime,
) -> Result<()> {
    let at = unit.at();
    Ok(email_undos::close_since(unit.connection(), id, email, since, at).await?)
}

/// Gives up every way to take an address back; returns when the earliest change was, or `None` if there is none.
pub(crate) async fn waive_email_undos(
    unit: &mut Unit,
    id: UserId,
) -> Result<Option<OffsetDateTime>> {
    let at = unit.at();
    Ok(email_undos::waive(unit.connection(), id, at).await?)
}

/// Shuts the account out until it is restored or `due_at` deletes it for good. One that is suspended stays suspended.
pub(crate) async fn begin_deletion(
    unit: &mut Unit,
    id: UserId,
    due_at: OffsetDateTime,
) -> Result<()> {
    let at = unit.at();
    unit.changes_user(id).await;
    Ok(repository::begin_deletion(unit.connection(), id, due_at, at).await?)
}

/// Takes the deletion of the account back. One that is suspended stays suspended.
pub(crate) async fn cancel_deletion(unit: &mut Unit, id: UserId) -> Result<()> {
    let at = unit.at();
    unit.changes_user(id).await;
    Ok(repository::cancel_deletion(unit.connection(), id, at).await?)
}

/// How many accounts have a grace period that ended before this time.
pub(crate) async fn count_due_deletions(stores: &Stores, before: OffsetDateTime) -> Result<i64> {
    Ok(repository::count_due_deletions(&stores.db, before).await?)
}

/// Accounts whose grace period ended before this time, after an id.
pub(crate) async fn due_deletions(
    stores: &Stores,
    before: OffsetDateTime,
    after: Uuid,
    limit: i64,
) -> Result<Vec<UserId>> {
    Ok(repository::due_deletions(&stores.db, before, after, limit).await?)
}

/// Leaves nothing personal of the account; its address is free again.
pub(crate) async fn bury(unit: &mut Unit, id: UserId) -> Result<()> {
    let at = unit.at();
    unit.changes_user(id).await;
    email_undos::remove_all_of(unit.connection(), id).await?;
    Ok(repository::bury(unit.connection(), id, at).await?)
}

/// Refuses what would leave nobody who may do everything. Whoever takes an administrator away does so alone.
pub(crate) async fn keep_an_administrator(unit: &mut Unit, leaving: UserId) -> Result<()> {
    repository::lock_administrators(unit.connection()).await?;
    let administrators = repository::active_administrators(unit.connection()).await?;
    if administrators == [leaving] {
        let detail = "This is the last administrator; make another one first.".to_owned();
        return Err(Error::Conflict {
            code: ErrorCode::LastAdministrator,
            detail,
        });
    }
    Ok(())
}

/// Everybody who may act and has this permission by one of his roles.
pub(crate) async fn with_permission(
    unit: &mut Unit,
    permission: Permission,
) -> Result<Vec<UserId>> {
    Ok(repository::with_permission(unit.connection(), permission).await?)
}

/// The account that has this address.
pub(crate) async fn owner_of(unit: &mut Unit, email: &Email) -> Result<Option<Credentials>> {
    Ok(repository::credentials(unit.connection(), email).await?)
}

/// The door to accounts.
#[derive(Clone)]
pub struct Users {
    pub(super) stores: Stores,
}

impl Users {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Changes what an account says of itself.
    pub async fn change_profile(
        &self,
        origin: &Origin,
        id: UserId,
        change: ProfileChange,
    ) -> Result<User> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if let Some(name) = &change.display_name {
            unit.changes_user(id).await;
            let name = name.as_ref().map(DisplayName::as_str);
            repository::set_display_name(unit.connection(), id, name, at).await?;
            let details = json!({ "changed": ["display_name"] });
            unit.audit_with(
                Action::AccountUpdated,
                Target::User(id),
                Outcome::Success,
                details,
            )
            .await?;
        }
        let user = repository::find(&mut *unit.connection(), id)
            .await?
            .ok_or(Error::NotFound)?;
        unit.commit_if_audited().await?;
        Ok(user)
    }

    /// Makes sure that there is an administrator with this address and password; true when the account is new.
    ///
    /// An account that has the address already becomes one, and gets this password, which ends its sessions: whoever can
    /// run this can write to the database as well.
    pub async fn ensure_administrator(
        &self,
        hasher: &PasswordHasher,
        email: Email,
        password: Password,
    ) -> Result<bool> {
        if let Some(known) = repository::credentials(&self.stores.db, &email).await?
            && hasher
                .verify_stored(password.clone(), known.stored_password())
                .await?
                == Verified::Yes
            && find(&self.stores, known.id)
                .await?
                .is_some_and(|user| user.roles.iter().any(|held| held == role::ADMIN))
        {
            return Ok(false);
        }
        let password_hash = hasher.hash(password).await?;
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        let account = NewAccount {
            id: UserId::mint(at),
            email,
            display_name: None,
            password_hash: Some(password_hash),
        };
        let created = repository::insert(unit.connection(), &account, (Some(at), at), at).await?;
        let id = if created {
            account.id
        } else {
            let known = repository::credentials(unit.connection(), &account.email)
                .await?
                .ok_or_else(email_taken)?;
            unit.changes_user(known.id).await;
            let hash = account.password_hash.as_deref();
            repository::set_password(
                unit.connection(),
                known.id,
                hash,
                (at, OffsetDateTime::UNIX_EPOCH),
            )
            .await?;
            repository::verify_email(unit.connection(), known.id, at).await?;
            auth::end_sessions(&mut unit, known.id, None).await?;
            known.id
        };
        repository::add_role(unit.connection(), id, role::ADMIN).await?;
        unit.audit(
            Action::AdministratorCreated,
            Target::User(id),
            Outcome::Success,
        )
        .await?;
        unit.commit().await?;
        Ok(created)
    }
}
