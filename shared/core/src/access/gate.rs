//! The gate that every request passes.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use plinth_domain::error_code::ErrorCode;
use plinth_domain::gcra::{Limit, Verdict};
use plinth_domain::id::{ApiKeyId, UserId};
use plinth_domain::user::{User, UserStatus};
use plinth_platform::clock::unix_ms;
use plinth_platform::crypto::unique_name;
use plinth_platform::redis::RedisFailure;
use plinth_platform::settings::LimitsSettings;
use plinth_platform::telemetry::metrics::CacheReads;
use quick_cache::sync::Cache;
use tokio_util::task::AbortOnDropHandle;

use super::fallback::{self, ApiKeyCopy, SessionCopy};
use super::limits::{self, Counted, Limits, Payment, Purpose, Standing};
use super::question::{self, Answer, Known};
use super::rights::RoleTable;
use super::{
    Caller, Credential, Login, Presented, Rights, api_key_key, roles_key, session_key, user_key,
};
use crate::access_tokens::Claims;
use crate::hot::{self, Copy};
use crate::{Error, Result, Stores};

static SESSION_READS: LazyLock<CacheReads> = LazyLock::new(|| CacheReads::new("session"));
static API_KEY_READS: LazyLock<CacheReads> = LazyLock::new(|| CacheReads::new("api_key"));
static USER_READS: LazyLock<CacheReads> = LazyLock::new(|| CacheReads::new("user"));

/// How long a copy of an account is used without a look at PostgreSQL.
const USER_TTL: Duration = Duration::from_mins(5);
/// The same for a session.
const SESSION_TTL: Duration = Duration::from_mins(5);

/// The same for an API key; a key's last use is as precise as this.
const API_KEY_TTL: Duration = Duration::from_mins(1);
/// The same for the version of the roles.
const ROLES_TTL: Duration = Duration::from_mins(5);

/// Accounts that are kept as they were read.
const ACCOUNTS: usize = 10_000;

/// What the gate says of a request.
#[derive(Debug)]
pub struct Admission {
    /// Who is asking; `None` for nobody known.
    pub caller: Option<Caller>,
    /// The tightest limit that was counted; `None` where all are off.
    pub limit: Option<(Limit, Verdict)>,
}

/// Admits requests.
pub struct Gate {
    stores: Stores,
    /// Keeps the trust in copies while the gate is there.
    _trust: AbortOnDropHandle<()>,
    limits: Limits,
    /// Accounts with the text that each was read from.
    read: Cache<UserId, (Box<str>, Arc<User>)>,
    /// The roles that were read last.
    roles: RwLock<Option<Arc<RoleTable>>>,
    /// What accounts may do, by the version of the roles that said so.
    rights: Cache<UserId, Arc<Resolved>>,
}

/// What an account may do, and by what that was found.
struct Resolved {
    version: String,
    user: Arc<User>,
    rights: Arc<Rights>,
}

/// What Redis holds of a request's caller.
struct Copies {
    revoked: bool,
    credential: Option<String>,
    user: Copy<Arc<User>>,
    roles: Copy<String>,
    /// Under which an absent copy was leased.
    nonce: String,
}

impl Copies {
    /// As if Redis had nothing that can be believed.
    fn none() -> Self {
        Self {
            revoked: false,
            credential: None,
            user: Copy::Doubtful,
            roles: Copy::Doubtful,
            nonce: String::new(),
        }
    }
}

impl Gate {
    /// Call inside the Tokio runtime: a task of the gate's own tells Redis what it has missed.
    pub fn new(stores: &Stores, limits: &LimitsSettings) -> Self {
        Self {
            stores: stores.clone(),
            _trust: hot::keep_trust(stores),
            limits: Limits::new(limits),
            read: Cache::new(ACCOUNTS),
            roles: RwLock::default(),
            rights: Cache::new(ACCOUNTS),
        }
    }

    /// Counts the request against its limits and finds out who is asking.
    pub async fn admit(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        presented: Option<Presented<'_>>,
    ) -> Result<Admission> {
        let mut counted = self.limits.of(ip, purpose, presented);
        let spent = self.limits.spend(&mut counted);
        let (limit, copies) = match self.ask_redis(&counted, spent, presented).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "the gate goes on without Redis");
                let alone = self.limits.count_alone(&counted, self.stores.clock.now());
                (alone.or(spent), None)
            }
        };
        if let Some((_, refused)) = limit.filter(|(_, verdict)| !verdict.allowed) {
            return Err(Error::RateLimited(refused));
        }
        let caller = match presented {
            Some(presented) => Some(self.identify(presented, copies).await?),
            None => None,
        };
        Ok(Admission { caller, limit })
    }

    async fn ask_redis(
        &self,
        counted: &[Counted],
        spent: Standing,
        presented: Option<Presented<'_>>,
    ) -> Result<(Standing, Option<Copies>), RedisFailure> {
        let redis = &self.stores.redis;
        if counted.is_empty() {
            let Some(presented) = presented else {
                return Ok((spent, None));
            };
            let known = question::read(redis, presented).await?;
            if known.credential.is_some() && known.user.is_some() && known.roles.is_some() {
                return Ok((spent, Some(self.copies(presented, known, String::new()))));
            }
        }
        // Boxed: with the limits paid for and the copies there, a request does not come here.
        Box::pin(self.pay(counted, spent, presented)).await
    }

    async fn pay(
        &self,
        counted: &[Counted],
        spent: Standing,
        presented: Option<Presented<'_>>,
    ) -> Result<(Standing, Option<Copies>), RedisFailure> {
        let nonce = unique_name();
        let now_ms = unix_ms(self.stores.clock.now());
        let answer = question::ask(&self.stores.redis, counted, presented, &nonce, now_ms).await?;
        let keep = |payments: Vec<Payment>| {
            counted
                .iter()
                .zip(payments)
                .fold(spent, |standing, (one, payment)| {
                    limits::tighter(standing, self.limits.keep(one, payment))
                })
        };
        match answer {
            Answer::Admitted { payments, known } => Ok((
                keep(payments),
                presented.map(|presented| self.copies(presented, known, nonce)),
            )),
            Answer::Refused {
                payments,
                retry_after_ms,
                reset_ms,
            } => {
                let refusing = counted.get(payments.len()).map(|one| {
                    (
                        one.limit,
                        Verdict {
                            allowed: false,
                            remaining: 0,
                            retry_after_ms,
                            reset_ms,
                        },
                    )
                });
                keep(payments);
                Ok((refusing, None))
            }
        }
    }

    fn copies(&self, presented: Presented<'_>, known: Known, nonce: String) -> Copies {
        Copies {
            revoked: known.revoked,
            credential: known.credential,
            user: self.read_user(presented.user(), known.user),
            roles: Copy::read(known.roles.as_deref()),
            nonce,
        }
    }

    /// Reads the copy of an account; one that is as it was last time is not read again.
    fn read_user(&self, id: UserId, text: Option<String>) -> Copy<Arc<User>> {
        let Some(text) = text else {
            return Copy::Doubtful;
        };
        if let Some((known, user)) = self.read.get(&id)
            && *known == *text
        {
            return Copy::Fresh(user);
        }
        let read: Copy<Arc<User>> = Copy::read(Some(&text));
        if let Copy::Fresh(user) = &read {
            self.read.insert(id, (text.into(), user.clone()));
        }
        read
    }

    /// Blacklist, credential, account, roles: from the copies where they are fresh, from PostgreSQL otherwise.
    async fn identify(&self, presented: Presented<'_>, copies: Option<Copies>) -> Result<Caller> {
        let copies = copies
            .filter(|_| self.stores.trust.holds(self.stores.redis.outages()))
            .unwrap_or_else(Copies::none);
        let Copies {
            revoked,
            credential,
            user,
            roles,
            nonce,
        } = copies;
        USER_READS.observe(matches!(user, Copy::Fresh(_)));
        if revoked {
            return Err(ended());
        }
        let (credential, scopes) = match presented {
            Presented::AccessToken(claims) => {
                self.check_session(claims, credential.as_deref(), &nonce)
                    .await?;
                (Credential::Session(Login::of(claims)), None)
            }
            Presented::ApiKey { key, user } => {
                let copy = Box::pin(self.find_api_key(key, credential.as_deref(), &nonce)).await?;
                let copy = copy
                    .filter(|copy| copy.user == user)
                    .ok_or_else(key_ended)?;
                (
                    Credential::ApiKey {
                        key,
                        multi_factor: copy.multi_factor,
                    },
                    Some(copy.scopes),
                )
            }
        };
        let user = match user {
            Copy::Fresh(user) => user,
            stale => {
                Box::pin(self.find_user(presented.user(), stale == Copy::Leased, &nonce)).await?
            }
        };
        if user.status != UserStatus::Active {
            return Err(shut_out(user.status));
        }
        let known = self
            .roles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let table = match (roles, known) {
            (Copy::Fresh(version), Some(table)) if table.version == version => table,
            (stale, _) => Box::pin(self.read_roles(stale == Copy::Leased, &nonce)).await?,
        };
        let rights = self.rights(&user, &table);
        let rights = scopes.map_or(rights.clone(), |scopes| Arc::new(rights.within(&scopes)));
        Ok(Caller {
            user,
            rights,
            credential,
        })
    }

    /// What the account may do; found once for an account and a version of the roles.
    fn rights(&self, user: &Arc<User>, table: &RoleTable) -> Arc<Rights> {
        if let Some(known) = self.rights.get(&user.id)
            && Arc::ptr_eq(&known.user, user)
            && known.version == table.version
        {
            return known.rights.clone();
        }
        let rights = table.rights(&user.roles);
        let resolved = Resolved {
            version: table.version.clone(),
            user: user.clone(),
            rights: rights.clone(),
        };
        self.rights.insert(user.id, Arc::new(resolved));
        rights
    }

    async fn check_session(&self, claims: &Claims, held: Option<&str>, nonce: &str) -> Result<()> {
        let copy: Copy<SessionCopy> = Copy::read(held);
        SESSION_READS.observe(matches!(copy, Copy::Fresh(_)));
        let now = self.stores.clock.now();
        // What a warm request does not need is boxed: its state would be carried, and moved, by every request.
        let session = match copy {
            // A refresh may have moved the end that a copy knows.
            Copy::Fresh(session) if session.expires_at > now => session,
            stale => Box::pin(self.read_session(claims, stale == Copy::Leased, nonce, now)).await?,
        };
        if session.user != claims.user()
            || session.expires_at <= now
            || is_replaced(claims, &session)
        {
            return Err(ended());
        }
        Ok(())
    }

    /// The session from PostgreSQL; fills its key where this reader has the lease.
    async fn read_session(
        &self,
        claims: &Claims,
        leased: bool,
        nonce: &str,
        now: time::OffsetDateTime,
    ) -> Result<SessionCopy> {
        let read = fallback::session(&self.stores, claims.session(), claims.token(), now).await?;
        let read = read.ok_or_else(ended)?;
        // It is live, so that it has time left.
        let left = (read.expires_at - now).unsigned_abs();
        if leased {
            let redis = &self.stores.redis;
            let key = session_key(redis, claims.session());
            hot::fill(redis, &key, nonce, &read, left.min(SESSION_TTL)).await;
        }
        Ok(read)
    }

    /// The key if it is live, from its copy or from PostgreSQL.
    async fn find_api_key(
        &self,
        key: ApiKeyId,
        held: Option<&str>,
        nonce: &str,
    ) -> Result<Option<ApiKeyCopy>> {
        let now = self.stores.clock.now();
        let copy: Copy<ApiKeyCopy> = Copy::read(held);
        API_KEY_READS.observe(matches!(copy, Copy::Fresh(_)));
        let leased = match copy {
            Copy::Fresh(copy) => return Ok(Some(copy).filter(|copy| copy.is_live(now))),
            stale => stale == Copy::Leased,
        };
        let read = fallback::api_key(&self.stores, key).await?;
        if let Some(read) = read.as_ref().filter(|_| leased) {
            let redis = &self.stores.redis;
            hot::fill(redis, &api_key_key(redis, key), nonce, read, API_KEY_TTL).await;
        }
        Ok(read)
    }

    /// The account from PostgreSQL; fills its key where this reader has the lease.
    async fn find_user(&self, id: UserId, leased: bool, nonce: &str) -> Result<Arc<User>> {
        let user = crate::users::find(&self.stores, id)
            .await?
            .ok_or_else(ended)?;
        if leased {
            let redis = &self.stores.redis;
            hot::fill(redis, &user_key(redis, id), nonce, &user, USER_TTL).await;
        }
        Ok(Arc::new(user))
    }

    /// The roles from PostgreSQL; fills their version where this reader has the lease.
    async fn read_roles(&self, leased: bool, nonce: &str) -> Result<Arc<RoleTable>> {
        let table = Arc::new(fallback::role_table(&self.stores).await?);
        if leased {
            let redis = &self.stores.redis;
            hot::fill(redis, &roles_key(redis), nonce, &table.version, ROLES_TTL).await;
        }
        *self.roles.write().unwrap_or_else(PoisonError::into_inner) = Some(table.clone());
        Ok(table)
    }
}

/// Whether a step-up has replaced the token. It stands on no blacklist that Redis could lose: tokens tell whole seconds,
/// and each step-up is in a second of its own. Of an impersonation they tell the administrator's login, which no step-up
/// renews.
fn is_replaced(claims: &Claims, session: &SessionCopy) -> bool {
    let told = claims.authenticated_at().unix_timestamp();
    claims.impersonator().is_none() && told < session.authenticated_at.unix_timestamp()
}

pub(super) fn shut_out(status: UserStatus) -> Error {
    match status {
        UserStatus::Deleting | UserStatus::Deleted => ended(),
        UserStatus::Active | UserStatus::Suspended => Error::Unauthenticated {
            code: ErrorCode::AccountSuspended,
            detail: "The account of these credentials is suspended.",
        },
    }
}

pub(super) fn key_ended() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::InvalidToken,
        detail: "The API key has expired or was revoked.",
    }
}

pub(super) fn ended() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::SessionEnded,
        detail: "The session of this access token has ended; log in again.",
    }
}
