//! Recovery codes: issued, used and unique.

use reqwest::StatusCode;
use serde_json::json;

use super::{amr, challenge, enrol, prove};
use crate::house::{House, text};

#[tokio::test]
async fn a_recovery_code_works_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (_, codes) = enrol(&house, &person).await;
    assert_eq!(codes.len(), 10);
    let asked = challenge(&house, &person).await;
    let typed = codes[3].to_lowercase().replace('-', " ");
    let tokens = prove(&house, &asked, "recovery_code", &typed)
        .await
        .expect(StatusCode::OK);
    let strong = person.with(&tokens);
    assert_eq!(
        amr(&house, &strong).await,
        json!(["pwd", "recovery", "mfa"])
    );
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[3])
        .await
        .problem(401, "invalid_second_factor");
    prove(&house, &asked, "recovery_code", &codes[4])
        .await
        .expect(StatusCode::OK);
    let left = strong
        .get(&house, "/v1/me/mfa/recovery-codes")
        .await
        .expect(StatusCode::OK);
    assert_eq!(left["left"], 8);
    assert_eq!(
        house.notices(person.id).await,
        ["factor_added", "recovery_code_used", "recovery_code_used"]
    );
}

#[tokio::test]
async fn recovery_codes_are_stored_as_hashes_and_shown_once() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (_, codes) = enrol(&house, &person).await;
    let kept: Vec<Vec<u8>> = sqlx::query_scalar("SELECT code_hash FROM recovery_codes")
        .fetch_all(&house.stores.db)
        .await
        .expect("reads");
    for code in &codes {
        assert!(
            kept.iter()
                .all(|hash| !String::from_utf8_lossy(hash).contains(&code.replace('-', "")))
        );
    }
    let new = person
        .post(&house, "/v1/me/mfa/recovery-codes", &json!({}))
        .await
        .expect(StatusCode::OK);
    let new: Vec<String> = serde_json::from_value(new["recovery_codes"].clone()).expect("codes");
    assert!(new.iter().all(|code| !codes.contains(code)));
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .problem(401, "invalid_second_factor");
    prove(&house, &asked, "recovery_code", &new[0])
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn codes_and_secrets_are_unique() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (_, mut codes) = enrol(&house, &ada).await;
    codes.extend(enrol(&house, &bob).await.1);
    let mut seeds = Vec::new();
    for _ in 0..5 {
        let started = ada
            .post(&house, "/v1/me/mfa/totp", &json!({ "name": "Another" }))
            .await;
        seeds.push(text(&started.expect(StatusCode::CREATED)["secret"]));
    }
    for mut all in [codes, seeds] {
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
