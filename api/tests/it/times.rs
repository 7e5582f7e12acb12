//! Times: accepted with any offset, returned in UTC. `Answer` of the testkit checks every time in
//! every response.

use plinth_api::app;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::offset;
use time::{Duration, OffsetDateTime};

use crate::house::{House, text};

/// Every time in a request; each is tried in this test.
const GIVEN: &[&str] = &[
    "get /v1/jobs from",
    "get /v1/jobs until",
    "post /v1/files/{id}/links expires_at",
    "post /v1/jobs/redrive from",
    "post /v1/jobs/redrive until",
    "post /v1/me/api-keys expires_at",
];

/// Collects the names of the times in the schema, at any depth.
fn times(document: &Value, schema: &Value, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        return times(
            document,
            document
                .pointer(&reference[1..])
                .expect("a reference leads somewhere"),
            found,
        );
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if property["format"] == "date-time" {
            found.push(name.clone());
        }
        times(document, property, found);
    }
    if schema["items"].is_object() {
        times(document, &schema["items"], found);
    }
}

/// Returns the times in the requests of each operation.
fn given(document: &Value) -> Vec<String> {
    let mut given = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let mut names = Vec::new();
            times(
                document,
                &operation["requestBody"]["content"]["application/json"]["schema"],
                &mut names,
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["schema"]["format"] == "date-time" {
                    names.push(text(&parameter["name"]));
                }
            }
            given.extend(
                names
                    .into_iter()
                    .map(|name| format!("{method} {path} {name}")),
            );
        }
    }
    given.sort();
    given
}

#[tokio::test]
async fn a_time_is_accepted_with_any_offset_and_returned_in_utc() {
    let document: Value = serde_json::from_str(&app::document()).expect("JSON");
    assert_eq!(
        given(&document),
        GIVEN,
        "every time in a request is tried here"
    );

    let house = House::open().await;
    let person = house.person("ada").await;
    let file = person.upload(&house, "a.txt", b"text".to_vec()).await;
    let soon = (house.stores.clock.now() + Duration::days(2))
        .replace_nanosecond(0)
        .expect("in range");
    let in_utc = soon.format(&Rfc3339).expect("a time");
    let elsewhere = soon
        .to_offset(offset!(+14))
        .format(&Rfc3339)
        .expect("a time");
    assert!(elsewhere.ends_with("+14:00"));

    let key = json!({ "name": "key", "scopes": ["files:read"], "expires_at": elsewhere });
    let key = person
        .post(&house, "/v1/me/api-keys", &key)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(key["api_key"]["expires_at"], in_utc);
    let keys = person
        .get(&house, "/v1/me/api-keys")
        .await
        .expect(StatusCode::OK);
    assert_eq!(keys["items"][0]["expires_at"], in_utc);

    let links = format!("/v1/files/{}/links", text(&file["id"]));
    let link = person
        .post(&house, &links, &json!({ "expires_at": elsewhere }))
        .await;
    assert_eq!(
        link.expect(StatusCode::CREATED)["link"]["expires_at"],
        in_utc
    );
    let links = person.get(&house, &links).await.expect(StatusCode::OK);
    assert_eq!(links["items"][0]["expires_at"], in_utc);

    let admin = house.administrator().await;
    let found = async |from: OffsetDateTime| {
        let text = from
            .to_offset(offset!(-9))
            .format(&Rfc3339)
            .expect("a time");
        let jobs = admin
            .get(&house, &format!("/v1/jobs?from={text}"))
            .await
            .expect(StatusCode::OK);
        let before = admin
            .get(&house, &format!("/v1/jobs?until={text}"))
            .await
            .expect(StatusCode::OK);
        let body = json!({ "from": text, "until": text });
        admin
            .post(&house, "/v1/jobs/redrive", &body)
            .await
            .expect(StatusCode::OK);
        [jobs, before].map(|page| page["items"].as_array().map_or(0, Vec::len))
    };
    let now = house.stores.clock.now();
    let [all, none] = found(now - Duration::hours(1)).await;
    assert_eq!([none, all], found(now + Duration::hours(1)).await);
    assert!(all > 0 && none == 0, "{all} {none}");
}
