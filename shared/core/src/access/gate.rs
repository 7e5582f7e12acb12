//! The gate that every request passes.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use plinth_domain::gcra::{Limit, Verdict};
use plinth_domain::id::UserId;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::clock::unix_ms;
use plinth_platform::crypto::unique_name;
use plinth_platform::redis::RedisFailure;
use plinth_platform::settings::LimitsSettings;
use plinth_platform::telemetry::metrics::CacheReads;
use quick_cache::sync::Cache;

use super::fallback::{self, SessionCopy};
use super::limits::{self, Counted, Limits, Payment, Standing};
use super::question::{self, Answer, Known};
use super::{Caller, session_key, user_key};
use crate::auth::Claims;
use crate::hot::{self, Copy, Trust};
use crate::{Error, Result, Stores};

static SESSION_READS: LazyLock<CacheReads> = LazyLock::new(|| CacheReads::of("session"));
static USER_READS: LazyLock<CacheReads> = LazyLock::new(|| CacheReads::of("user"));

/// How long a copy of an account is used without a look at PostgreSQL.
const USER_TTL: Duration = Duration::from_mins(5);
/// The same for a session.
const SESSION_TTL: Duration = Duration::from_mins(5);

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
    trust: Trust,
    limits: Limits,
    /// Accounts with the text that each was read from.
    read: Cache<UserId, (Box<str>, Arc<User>)>,
}

/// What Redis holds of a request's caller.
struct Copies {
    revoked: bool,
    session: Copy<SessionCopy>,
    user: Copy<Arc<User>>,
    /// Under which an absent copy was leased.
    nonce: String,
}

impl Copies {
    /// As if Redis had nothing that can be believed.
    fn none() -> Self {
        Self { revoked: false, session: Copy::Doubtful, user: Copy::Doubtful, nonce: String::new() }
    }
}

impl Gate {
    /// Call inside the Tokio runtime: a task of the gate's own tells Redis what it has missed.
    pub fn new(stores: &Stores, limits: &LimitsSettings) -> Self {
        Self {
            stores: stores.clone(),
            trust: Trust::start(stores),
            limits: Limits::new(limits),
            read: Cache::new(ACCOUNTS),
        }
    }

    /// Counts the request against its limits and finds out who is asking. `sensitive` requests, those that
    /// guess at credentials, have a limit of their own.
    pub async fn admit(&self, ip: IpAddr, sensitive: bool, claims: Option<&Claims>) -> Result<Admission> {
        let mut counted = self.limits.of(ip, sensitive, claims.map(Claims::user));
        let spent = self.limits.spend(&mut counted);
        let (limit, copies) = match self.ask_redis(&counted, spent, claims).await {
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
        let caller = match claims {
            Some(claims) => Some(self.identify(claims, copies).await?),
            None => None,
        };
        Ok(Admission { caller, limit })
    }

    async fn ask_redis(
        &self,
        counted: &[Counted],
        spent: Standing,
        claims: Option<&Claims>,
    ) -> Result<(Standing, Option<Copies>), RedisFailure> {
        let redis = &self.stores.redis;
        if counted.is_empty() {
            let Some(claims) = claims else { return Ok((spent, None)) };
            let known = question::read(redis, claims).await?;
            if known.session.is_some() && known.user.is_some() {
                return Ok((spent, Some(self.copies(claims, known, String::new()))));
            }
        }
        // Boxed: with the limits paid for and the copies there, a request does not come here.
        Box::pin(self.pay(counted, spent, claims)).await
    }

    async fn pay(
        &self,
        counted: &[Counted],
        spent: Standing,
        claims: Option<&Claims>,
    ) -> Result<(Standing, Option<Copies>), RedisFailure> {
        let nonce = unique_name();
        let now_ms = unix_ms(self.stores.clock.now());
        let answer = question::ask(&self.stores.redis, counted, claims, &nonce, now_ms).await?;
        let keep = |payments: Vec<Payment>| {
            counted.iter().zip(payments).fold(spent, |standing, (one, payment)| {
                limits::tighter(standing, self.limits.keep(one, payment))
            })
        };
        match answer {
            Answer::Admitted { payments, known } => {
                Ok((keep(payments), claims.map(|claims| self.copies(claims, known, nonce))))
            }
            Answer::Refused { payments, retry_after_ms, reset_ms } => {
                let refusing = counted.get(payments.len()).map(|one| {
                    (one.limit, Verdict { allowed: false, remaining: 0, retry_after_ms, reset_ms })
                });
                keep(payments);
                Ok((refusing, None))
            }
        }
    }

    fn copies(&self, claims: &Claims, known: Known, nonce: String) -> Copies {
        Copies {
            revoked: known.revoked,
            session: Copy::read(known.session.as_deref()),
            user: self.read_user(claims.user(), known.user),
            nonce,
        }
    }

    /// Reads the copy of an account; one that is as it was last time is not read again.
    fn read_user(&self, id: UserId, text: Option<String>) -> Copy<Arc<User>> {
        let Some(text) = text else { return Copy::Doubtful };
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

    /// Blacklist, session, account: from the copies where they are fresh, from PostgreSQL otherwise.
    async fn identify(&self, claims: &Claims, copies: Option<Copies>) -> Result<Caller> {
        let copies = copies.filter(|_| self.trust.holds()).unwrap_or_else(Copies::none);
        let Copies { revoked, session, user, nonce } = copies;
        SESSION_READS.observe(matches!(session, Copy::Fresh(_)));
        USER_READS.observe(matches!(user, Copy::Fresh(_)));
        if revoked {
            return Err(ended());
        }
        let now = self.stores.clock.now();
        // What a warm request does not need is boxed: its state would be carried, and moved, by every request.
        let session = match session {
            // A refresh may have moved the end that a copy knows.
            Copy::Fresh(session) if session.expires_at > now => session,
            stale => Box::pin(self.read_session(claims, stale == Copy::Leased, &nonce, now)).await?,
        };
        if session.user != claims.user() || session.expires_at <= now {
            return Err(ended());
        }
        let user = match user {
            Copy::Fresh(user) => user,
            stale => Box::pin(self.find_user(claims.user(), stale == Copy::Leased, &nonce)).await?,
        };
        if user.status != UserStatus::Active {
            return Err(Error::Unauthenticated {
                code: "account_suspended",
                detail: "The account of this access token is suspended.",
            });
        }
        Ok(Caller {
            user,
            session: claims.session(),
            token: claims.token(),
            token_expires_at: claims.expires_at(),
        })
    }

    /// The session from PostgreSQL; fills its key where this reader has the lease.
    async fn read_session(
        &self,
        claims: &Claims,
        leased: bool,
        nonce: &str,
        now: time::OffsetDateTime,
    ) -> Result<SessionCopy> {
        let read = fallback::session(&self.stores.db, claims.session(), claims.token(), now).await?;
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

    /// The account from PostgreSQL; fills its key where this reader has the lease.
    async fn find_user(&self, id: UserId, leased: bool, nonce: &str) -> Result<Arc<User>> {
        let user = crate::users::find(&self.stores, id).await?.ok_or_else(ended)?;
        if leased {
            let redis = &self.stores.redis;
            hot::fill(redis, &user_key(redis, id), nonce, &user, USER_TTL).await;
        }
        Ok(Arc::new(user))
    }
}

fn ended() -> Error {
    Error::Unauthenticated {
        code: "session_ended",
        detail: "The session of this access token has ended; log in again.",
    }
}
