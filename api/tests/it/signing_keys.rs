//! Signing keys: published, rotated without refusals, and retired at once.

use std::time::Duration;

use plinth_core::access_tokens::{SigningKeys, longest_lifetime};
use plinth_platform::crypto::{RootKey, Sealer};
use plinth_testkit::{Stage, until};
use reqwest::StatusCode;
use serde_json::json;

use crate::house::{House, Person, text};

/// Returns the keys like `plinth-api keys`.
fn keys(house: &House) -> SigningKeys {
    let settings = house.stage.settings();
    let root = RootKey::parse(&settings.general.secret_key).expect("a root key");
    SigningKeys::new(&house.stores, &root, longest_lifetime(&settings))
}

async fn published(house: &House) -> Vec<String> {
    let answer = house.get("/.well-known/jwks.json").await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let set = answer.expect(StatusCode::OK);
    for key in set["keys"].as_array().expect("keys") {
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"]),
            (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
        );
        assert!(key["d"].is_null(), "the private key is published");
    }
    set["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| text(&key["kid"]))
        .collect()
}

/// Returns the id of the key that signed a token.
fn kid(token: &str) -> String {
    let header = token.split('.').next().expect("a header");
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header)
        .expect("base64");
    text(&serde_json::from_slice::<serde_json::Value>(&header).expect("JSON")["kid"])
}

async fn refreshed(house: &House, person: Person) -> Person {
    let body = json!({ "refresh_token": person.refresh_token });
    let tokens = house
        .post("/v1/auth/refresh", &body)
        .await
        .expect(StatusCode::OK);
    Person {
        access_token: text(&tokens["access_token"]),
        refresh_token: text(&tokens["refresh_token"]),
        ..person
    }
}

#[tokio::test]
async fn no_valid_token_is_refused_during_a_rotation() {
    let house = House::open().await;
    let twin = house.twin().await;
    let person = house.person("ada").await;
    let first = kid(&person.access_token);
    assert_eq!(published(&house).await, std::slice::from_ref(&first));

    let second = keys(&house)
        .rotate(Duration::from_secs(30))
        .await
        .expect("rotates")
        .kid;
    until("both replicas publish the new key", async || {
        let both = [published(&house).await, published(&twin).await];
        both.iter().all(|keys| keys.contains(&second)).then_some(())
    })
    .await;
    let person = refreshed(&house, person).await;
    assert_eq!(
        kid(&person.access_token),
        first,
        "the new key does not sign yet"
    );
    house.stores.clock.advance(time::Duration::seconds(31));
    for house in [&house, &twin] {
        person.get(house, "/v1/me").await.expect(StatusCode::OK);
    }
    let person = refreshed(&twin, person).await;
    assert_eq!(kid(&person.access_token), second);
    for house in [&house, &twin] {
        person.get(house, "/v1/me").await.expect(StatusCode::OK);
    }
    // The old key is removed once none of its tokens can be valid.
    house.stores.clock.advance(time::Duration::minutes(17));
    assert_eq!(published(&house).await, [second]);
}

#[tokio::test]
async fn a_replica_reloads_keys_before_it_refuses_an_unknown_one() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let twin = house.twin().await;
    person.get(&twin, "/v1/me").await.expect(StatusCode::OK);
    let retired = kid(&person.access_token);
    let next = keys(&house).retire(&retired).await.expect("retires").kid;
    let person = until("the house signs with the next key", async || {
        let person = house.elsewhere(&person).await;
        (kid(&person.access_token) == next).then_some(person)
    })
    .await;
    person.get(&twin, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn tokens_of_a_retired_key_are_refused() {
    let house = House::open().await;
    let person = house.person("ada").await;
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    keys(&house)
        .retire(&kid(&person.access_token))
        .await
        .expect("retires");
    until("the key is known to have retired", async || {
        (person.get(&house, "/v1/me").await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "invalid_token");
    // The session is valid: it continues with a token of the next key.
    refreshed(&house, person)
        .await
        .get(&house, "/v1/me")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn replicas_that_start_concurrently_create_one_key() {
    let house = House::open().await;
    let twins = futures_util::future::join_all((0..4).map(|_| house.twin())).await;
    for twin in &twins {
        assert_eq!(published(twin).await, published(&house).await);
    }
    assert_eq!(house.count("signing_keys").await, 1);
}

#[tokio::test]
async fn keys_can_be_configured_and_a_second_one_verifies() {
    let (first, second) = (
        format!("{}=", "A".repeat(43)),
        format!("{}=", "B".repeat(42) + "A"),
    );
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_SIGNING_KEYS", &format!("{first},{second}"));
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let published = published(&house).await;
    assert_eq!(
        (published.len(), &kid(&person.access_token)),
        (2, &published[0])
    );
    assert_eq!(house.count("signing_keys").await, 0);
}

#[tokio::test]
async fn a_private_key_is_encrypted_in_the_database() {
    let house = House::open().await;
    let first = kid(&house.person("ada").await.access_token);
    let kept: Vec<u8> = sqlx::query_scalar("SELECT private_key FROM signing_keys")
        .fetch_one(&house.stores.db)
        .await
        .expect("one key");
    let root = RootKey::parse(&house.stage.settings().general.secret_key).expect("a root key");
    let sealer = Sealer::new(&root.derive("signing keys at rest v1"));
    let seed = sealer
        .open(&format!("signing key:{first}"), &kept)
        .expect("the root key decrypts it");
    assert!(seed.len() == 32 && !kept.windows(32).any(|part| part == seed.as_slice()));
    assert!(sealer.open("signing key:another", &kept).is_none());
}
