//! All share links of an account: listed and revoked together, pinned to a version, and revoked
//! with their creator.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use super::links::{assert_not_found, file, share};
use crate::house::{Answer, House, Person, text};
use crate::mailed::{CONFIRM, RESET, UNDO};

async fn own_links(house: &House, person: &Person) -> Vec<Value> {
    let page = person
        .get(house, "/v1/me/links")
        .await
        .expect(StatusCode::OK);
    page["items"].as_array().expect("items").clone()
}

/// Creates a key that can create links. Returns the person with the key, and its id.
async fn key_for_links(house: &House, person: &Person, body: &Value) -> (Person, String) {
    let made = person
        .post(house, "/v1/me/api-keys", body)
        .await
        .expect(StatusCode::CREATED);
    let program = Person {
        id: person.id,
        email: person.email.clone(),
        access_token: text(&made["token"]),
        refresh_token: String::new(),
        session_id: person.session_id,
    };
    (program, text(&made["api_key"]["id"]))
}

async fn add_version(house: &House, person: &Person, file: &str, content: &'static str) {
    let form = reqwest::multipart::Form::new().text("file", content);
    let path = format!("/v1/files/{file}/versions");
    let added = person.request(house, Method::POST, &path).multipart(form);
    Answer::of(added).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn all_links_of_an_account_are_listed_in_pages_and_revoked_together() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let files = [
        file(&house, &ada, b"one".to_vec()).await,
        file(&house, &ada, b"two".to_vec()).await,
    ];
    let bobs = file(&house, &bob, b"mine".to_vec()).await;
    let kept = share(&house, &bob, &bobs, &json!({})).await;
    let mut links = Vec::new();
    for of in [0, 1, 0] {
        links.insert(0, share(&house, &ada, &files[of], &json!({})).await);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ada
            .get(&house, &format!("/v1/me/links?limit=2{cursor}"))
            .await
            .expect(StatusCode::OK);
        for item in page["items"].as_array().expect("items") {
            assert_eq!(
                (&item["file_name"], &item["file_trashed"]),
                (&json!("plan.txt"), &json!(false))
            );
            seen.push((text(&item["link"]["id"]), text(&item["file_id"])));
        }
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(
        seen,
        links
            .iter()
            .map(|link| (link.id.clone(), link.file.clone()))
            .collect::<Vec<_>>()
    );

    let revoked = ada
        .delete(&house, "/v1/me/links")
        .await
        .expect(StatusCode::OK);
    assert_eq!(revoked, json!({ "revoked": 3 }));
    for link in &links {
        assert_not_found(&house, &link.path).await;
    }
    assert!(own_links(&house, &ada).await.is_empty());
    house.get(&kept.content()).await.expect(StatusCode::OK);
    assert_eq!(own_links(&house, &bob).await.len(), 1);
    let again = ada
        .delete(&house, "/v1/me/links")
        .await
        .expect(StatusCode::OK);
    assert_eq!(again, json!({ "revoked": 0 }));
    let actions = house.actions().await;
    let revocations = actions
        .iter()
        .filter(|action| *action == "share_link.revoked:success");
    assert_eq!(revocations.count(), 1, "{actions:?}");
}

#[tokio::test]
async fn a_pinned_link_serves_its_version_and_ends_with_it() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"first".to_vec()).await;
    let pinned = share(&house, &person, &id, &json!({ "pinned": true })).await;
    let current = share(&house, &person, &id, &json!({ "pinned": false })).await;
    add_version(&house, &person, &id, "the second version").await;
    assert_eq!(house.get(&pinned.content()).await.bytes, b"first");
    assert_eq!(
        house.get(&current.content()).await.bytes,
        b"the second version"
    );
    let shared = house.get(&pinned.path).await.expect(StatusCode::OK);
    assert_eq!(shared["size"], 5);
    let versions: Vec<_> = own_links(&house, &person)
        .await
        .into_iter()
        .map(|own| own["link"]["version"].clone())
        .collect();
    assert_eq!(versions, [Value::Null, json!(1)]);
    let path = format!("/v1/files/{id}/versions/1");
    person
        .delete(&house, &path)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_not_found(&house, &pinned.path).await;
    house.get(&current.content()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_link_of_an_api_key_ends_with_the_key() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let scopes = json!(["files:read", "files:write"]);
    let body = json!({ "name": "ci", "scopes": scopes });
    let (revoked, revoked_id) = key_for_links(&house, &person, &body).await;
    let body = json!({ "name": "short", "scopes": scopes, "expires_in_days": 1 });
    let (short, _) = key_for_links(&house, &person, &body).await;
    let by_revoked = share(&house, &revoked, &id, &json!({})).await;
    let by_short = share(&house, &short, &id, &json!({})).await;
    let by_person = share(&house, &person, &id, &json!({})).await;
    for link in [&by_revoked, &by_short, &by_person] {
        house.get(&link.content()).await.expect(StatusCode::OK);
    }
    // The link has the expiry of its key.
    let listed = own_links(&house, &person).await;
    let ends = |link: &str| {
        let item = listed
            .iter()
            .find(|own| own["link"]["id"] == *link)
            .expect("the link is listed");
        text(&item["link"]["expires_at"])
    };
    assert!(ends(&by_short.id) < ends(&by_person.id), "{listed:?}");

    person
        .delete(&house, &format!("/v1/me/api-keys/{revoked_id}"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_not_found(&house, &by_revoked.path).await;
    house.get(&by_short.content()).await.expect(StatusCode::OK);
    house
        .stores
        .clock
        .advance(Duration::days(1) + Duration::seconds(1));
    assert_not_found(&house, &by_short.path).await;
    house.get(&by_person.content()).await.expect(StatusCode::OK);
    // Ended links do not count against the limit of a file, and revoked ones are not listed.
    let person = house.elsewhere(&person).await;
    let ids: Vec<_> = own_links(&house, &person)
        .await
        .iter()
        .map(|own| text(&own["link"]["id"]))
        .collect();
    assert_eq!(ids, [by_person.id, by_short.id]);
}

#[tokio::test]
async fn an_impersonating_administrator_cannot_create_a_link() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let id = file(&house, &person, b"text".to_vec()).await;
    let path = format!("/v1/users/{}/impersonate", person.id);
    let tokens = admin
        .post(&house, &path, &json!({ "reason": "Ticket 42" }))
        .await
        .expect(StatusCode::OK);
    let links = format!("/v1/files/{id}/links");
    let made = house
        .request(Method::POST, &links)
        .bearer_auth(text(&tokens["access_token"]));
    Answer::of(made.json(&json!({})))
        .await
        .problem(403, "impersonation_forbidden");
    assert_eq!(house.count("share_links").await, 0);
}

#[tokio::test]
async fn a_reset_ends_the_links_of_the_sessions_and_keys_that_it_ends() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let old = share(&house, &person, &id, &json!({})).await;
    person
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    house.stores.clock.advance(Duration::days(8));

    let person = house.elsewhere(&person).await;
    let live = share(&house, &person, &id, &json!({})).await;
    let body = json!({ "name": "ci", "scopes": ["files:read", "files:write"] });
    let (program, _) = key_for_links(&house, &person, &body).await;
    let by_key = share(&house, &program, &id, &json!({})).await;
    // An intruder who logs out leaves no link either.
    let thief = house.elsewhere(&person).await;
    let left = share(&house, &thief, &id, &json!({})).await;
    thief
        .post(&house, "/v1/auth/logout", &json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);

    let token = house.reset_token(&person.email).await;
    house.present(RESET, &token).await.expect(StatusCode::OK);
    for link in [&live, &by_key, &left] {
        assert_not_found(&house, &link.path).await;
    }
    // A link of a session that ended long before belongs to the owner.
    house.get(&old.content()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_undo_ends_the_links_of_the_sessions_that_it_ends() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let thief = house.elsewhere(&person).await;
    let change = house.change_token(person.id, "thief@example.net").await;
    house
        .present(CONFIRM, &change)
        .await
        .expect(StatusCode::NO_CONTENT);
    let left = share(&house, &thief, &id, &json!({})).await;
    let undo = house.undo_token(person.id, &person.email).await;
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_not_found(&house, &left.path).await;
}
