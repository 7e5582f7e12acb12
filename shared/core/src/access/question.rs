//! What the gate asks Redis, in one round trip: the limits that are not paid for, and what is known of the caller.

use std::sync::LazyLock;

use plinth_domain::id::TokenId;
use plinth_platform::redis::{Redis, RedisFailure};
use redis::Script;

use super::limits::{Counted, Payment};
use super::{Presented, api_key_key, revoked_key, roles_key, session_key, user_key};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("gate.lua")));

/// A reader who leased a key and dies holds the others up for so long: they ask PostgreSQL meanwhile.
const LEASE_MS: u64 = 10_000;

/// What is known of a caller.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) revoked: bool,
    /// The copies as they stand; the empty text where the caller got the lease to fill it.
    pub(super) credential: Option<String>,
    pub(super) user: Option<String>,
    pub(super) roles: Option<String>,
}

/// What the script answers, as it says itself.
type Said = (
    u64,
    u64,
    u8,
    Option<String>,
    Option<String>,
    Option<String>,
    Vec<u64>,
);

/// What stands under the four keys of a caller.
type Held = (Option<u8>, Option<String>, Option<String>, Option<String>);

/// What Redis says.
#[derive(Debug)]
pub(super) enum Answer {
    /// One payment a limit, in the order asked.
    Admitted {
        payments: Vec<Payment>,
        known: Known,
    },
    /// The limit after those that were paid.
    Refused {
        payments: Vec<Payment>,
        retry_after_ms: u64,
        reset_ms: u64,
    },
}

/// Blacklist, credential, account, roles. A key is never on the blacklist: it is revoked where it stands.
fn keys(redis: &Redis, presented: Presented<'_>) -> [String; 4] {
    let (blacklist, credential) = match presented {
        Presented::AccessToken(claims) => (claims.token(), session_key(redis, claims.session())),
        Presented::ApiKey { key, .. } => (TokenId(key.0), api_key_key(redis, key)),
    };
    [
        revoked_key(redis, blacklist),
        credential,
        user_key(redis, presented.user()),
        roles_key(redis),
    ]
}

/// Reads what is known of a caller, where every limit is paid for: one plain command.
pub(super) async fn read(redis: &Redis, presented: Presented<'_>) -> Result<Known, RedisFailure> {
    let mut command = redis::cmd("MGET");
    for key in keys(redis, presented) {
        command.arg(key);
    }
    let (revoked, credential, user, roles): Held = redis.command("gate.read", &command).await?;
    Ok(Known {
        revoked: revoked.is_some(),
        credential,
        user,
        roles,
    })
}

/// Pays for the limits, reads what is known of a caller, and leases under `nonce` what is absent.
pub(super) async fn ask(
    redis: &Redis,
    counted: &[Counted],
    presented: Option<Presented<'_>>,
    nonce: &str,
    now_ms: u64,
) -> Result<Answer, RedisFailure> {
    let mut call = SCRIPT.prepare_invoke();
    // Replicas' clocks differ by less than a limit's interval matters; asking Redis for its own would cost a call.
    call.arg(counted.len()).arg(now_ms);
    for one in counted {
        call.key(one.key(redis))
            .arg(one.limit.burst)
            .arg(one.limit.interval_ms);
    }
    if let Some(presented) = presented {
        call.arg(nonce).arg(LEASE_MS);
        for key in keys(redis, presented) {
            call.key(key);
        }
    }
    let (retry_after_ms, reset_ms, revoked, credential, user, roles, paid): Said =
        redis.run("gate", &call).await?;
    let payments = paid.chunks_exact(3).map(payment).collect();
    Ok(if retry_after_ms > 0 {
        Answer::Refused {
            payments,
            retry_after_ms,
            reset_ms,
        }
    } else {
        Answer::Admitted {
            payments,
            known: Known {
                revoked: revoked == 1,
                credential,
                user,
                roles,
            },
        }
    })
}

fn payment(said: &[u64]) -> Payment {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Payment {
        requests: number(said[0]).max(1),
        remaining: number(said[1]),
        reset_ms: said[2],
    }
}
