//! A Redis that serves reads and refuses writes: every replica still refuses what was revoked.

use std::time::{Duration, Instant};

use plinth_testkit::{RedisServer, Stage, Wire, until};
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::house::{Answer, House, Person, text};

/// The longest trust lease, plus the rest of a request.
const MAX_REVOCATION_TIME: Duration = Duration::from_secs(9);

/// The reason why Redis refuses writes.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// READONLY: it has become a replica.
    ReadOnly,
    /// NOREPLICAS: it has too few replicas.
    NoReplicas,
    /// NOPERM: the user may not write.
    NoPermission,
    /// MISCONF: it cannot save its snapshots.
    Misconfigured,
}

impl Refusal {
    async fn begin(self, server: &RedisServer, house: &House) {
        match self {
            Self::ReadOnly => configure_redis(house, "REPLICAOF", &["127.0.0.1", "1"]).await,
            Self::NoReplicas => {
                configure_redis(house, "CONFIG", &["SET", "min-replicas-to-write", "1"]).await;
            }
            Self::NoPermission => {
                configure_redis(house, "ACL", &["SETUSER", "default", "-@write"]).await;
            }
            Self::Misconfigured => server.fail_to_save().await,
        }
        let write: redis::RedisResult<()> = redis::cmd("SET")
            .arg("x")
            .arg(1)
            .query_async(&mut house.redis().await)
            .await;
        write.expect_err("writes are refused");
    }

    async fn end(self, server: &RedisServer, house: &House) {
        match self {
            Self::ReadOnly => configure_redis(house, "REPLICAOF", &["NO", "ONE"]).await,
            Self::NoReplicas => {
                configure_redis(house, "CONFIG", &["SET", "min-replicas-to-write", "0"]).await;
            }
            Self::NoPermission => {
                configure_redis(house, "ACL", &["SETUSER", "default", "+@all"]).await;
            }
            Self::Misconfigured => server.save_again().await,
        }
    }
}

async fn configure_redis(house: &House, command: &str, arguments: &[&str]) {
    let mut command = redis::cmd(command);
    let () = command
        .arg(arguments)
        .query_async(&mut house.redis().await)
        .await
        .expect("the command succeeds");
}

/// Waits until the session and the account are served from the cache.
pub(crate) async fn warm(house: &House, person: &Person) {
    until("copies are there and believed", async || {
        person.get(house, "/v1/me").await.expect(StatusCode::OK);
        let keys = [
            format!("session:{}", person.session_id),
            format!("user:{}", person.id),
        ];
        let mut copies = redis::cmd("MGET");
        for key in keys {
            copies.arg(house.stores.redis.key(&key));
        }
        let held: Vec<Option<String>> = copies
            .query_async(&mut house.redis().await)
            .await
            .expect("reads");
        let is_copy =
            |held: &Option<String>| held.as_deref().is_some_and(|text| text.starts_with('{'));
        held.iter().all(is_copy).then_some(())
    })
    .await;
}

async fn on_own_redis() -> (RedisServer, House) {
    let redis = RedisServer::start().await;
    let house = House::on(Stage::open().await.with("PLINTH_REDIS_URL", &redis.url())).await;
    (redis, house)
}

#[rstest]
#[case(Refusal::ReadOnly)]
#[case(Refusal::NoReplicas)]
#[case(Refusal::NoPermission)]
#[case(Refusal::Misconfigured)]
#[tokio::test]
async fn a_logout_applies_everywhere_although_redis_refuses_the_invalidation(
    #[case] refusal: Refusal,
) {
    let (redis, house) = on_own_redis().await;
    let twin = house.twin().await;
    let (goes, stays, later) = (
        house.person("ada").await,
        house.person("bob").await,
        house.person("eve").await,
    );
    // The invalidations of their registrations have expired.
    house.forget_copies().await;
    for person in [&goes, &stays, &later] {
        warm(&house, person).await;
        warm(&twin, person).await;
    }
    refusal.begin(&redis, &house).await;
    let asked = Instant::now();
    goes.post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(
        asked.elapsed() < MAX_REVOCATION_TIME,
        "{:?}",
        asked.elapsed()
    );
    for replica in [&twin, &house] {
        goes.get(replica, "/v1/me")
            .await
            .problem(401, "session_ended");
        stays.get(replica, "/v1/me").await.expect(StatusCode::OK);
    }
    // By now, the replicas use copies rarely, and a revocation waits for none of them.
    let asked = Instant::now();
    later
        .post(&twin, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    for replica in [&house, &twin] {
        later
            .get(replica, "/v1/me")
            .await
            .problem(401, "session_ended");
    }
    refusal.end(&redis, &house).await;
    for _ in 0..20 {
        for (person, replica) in [
            (&goes, &house),
            (&goes, &twin),
            (&later, &house),
            (&later, &twin),
        ] {
            person
                .get(replica, "/v1/me")
                .await
                .problem(401, "session_ended");
        }
        stays.get(&twin, "/v1/me").await.expect(StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn suspensions_roles_and_keys_apply_at_once_although_redis_refuses_the_invalidation() {
    let (redis, house) = on_own_redis().await;
    let twin = house.twin().await;
    let admin = house.administrator().await;
    let auditor = house.official(&admin, "auditor", &["audit:read"]).await;
    let (suspended, keyed) = (house.person("ada").await, house.person("bob").await);
    let made = keyed
        .post(
            &house,
            "/v1/me/api-keys",
            &json!({ "name": "ci", "scopes": ["profile:read"] }),
        )
        .await;
    let made: Value = made.expect(StatusCode::CREATED);
    let bearer = text(&made["token"]);
    let by_key = async |replica: &House| {
        let request = replica.request(Method::GET, "/v1/me").bearer_auth(&bearer);
        Answer::of(request).await
    };
    house.forget_copies().await;
    for person in [&admin, &auditor, &suspended, &keyed] {
        warm(&house, person).await;
        warm(&twin, person).await;
    }
    for replica in [&house, &twin, &twin] {
        by_key(replica).await.expect(StatusCode::OK);
        auditor
            .get(replica, "/v1/audit-events")
            .await
            .expect(StatusCode::OK);
    }
    Refusal::ReadOnly.begin(&redis, &house).await;
    let path = format!("/v1/users/{}/suspend", suspended.id);
    let revoked = format!("/v1/me/api-keys/{}", text(&made["api_key"]["id"]));
    let (reason, nothing) = (json!({ "reason": "spam" }), json!({ "permissions": [] }));
    let (suspend, revoke, role) = tokio::join!(
        admin.post(&house, &path, &reason),
        keyed.delete(&house, &revoked),
        admin.send(&house, Method::PATCH, "/v1/roles/auditor", &nothing),
    );
    for answer in [&suspend, &revoke, &role] {
        assert!(answer.status.is_success(), "{answer:?}");
    }
    for replica in [&twin, &house] {
        assert_eq!(
            suspended.get(replica, "/v1/me").await.status,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(by_key(replica).await.status, StatusCode::UNAUTHORIZED);
        auditor
            .get(replica, "/v1/audit-events")
            .await
            .problem(403, "permission_denied");
    }
}

#[tokio::test]
async fn a_replica_that_is_cut_off_from_redis_waits_for_the_others() {
    let mut stage = Stage::open().await;
    let whole = stage.settings();
    let wire = stage.wire_redis().await;
    let house = House::on(stage).await;
    // The other one reaches Redis all the time.
    let twin = house
        .twin_with_stores(&[("PLINTH_REDIS_URL", whole.redis.url.expose())])
        .await;
    for break_it in [Wire::tear, Wire::hold] {
        let person = house.person("ada").await;
        house.forget_copies().await;
        warm(&twin, &person).await;
        break_it(&wire);
        person
            .post(&house, "/v1/auth/logout", &json!({}))
            .await
            .expect(StatusCode::NO_CONTENT);
        person
            .get(&twin, "/v1/me")
            .await
            .problem(401, "session_ended");
        wire.restore();
        until("Redis is reached again", async || {
            house.stores.redis.ping().await.ok()
        })
        .await;
        person
            .get(&house, "/v1/me")
            .await
            .problem(401, "session_ended");
    }
}
