//! Safe operations change nothing: each runs on a read-only database.

use plinth_testkit::Stage;
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::json;

use crate::every_operation::{Things, things_of};
use crate::house::{Answer, House, Person, text};
use crate::operations::{Operation, operations, present_document};

/// Safe operations that change something, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[(
    "GET /v1/links/{token}/content",
    "a download by a link is counted, with its audit event",
)];

/// An operation to call with an API key.
const BY_API_KEY: &str =
    "a key's last use is noted in the statement that reads whether it is in force";

/// Returns the path of an operation, with resources of the person or shared ones.
fn path_of(operation: &Operation, things: &Things, shared: &[(&str, &str, String)]) -> String {
    operation.path_with(|wanted| {
        let own = things
            .iter()
            .find(|(prefix, _)| operation.path.starts_with(prefix));
        let own = own.and_then(|(_, values)| values.iter().find(|(name, _)| *name == wanted));
        let shared = shared
            .iter()
            .find(|(prefix, name, _)| operation.path.starts_with(prefix) && *name == wanted);
        let value = own
            .map(|(_, value)| value)
            .or(shared.map(|(_, _, value)| value));
        value
            .unwrap_or_else(|| panic!("{}: add a value for {wanted}", operation.name()))
            .clone()
    })
}

/// Returns the token of a link, and resources that all accounts share.
async fn shared_things(
    house: &House,
    person: &Person,
    things: &Things,
) -> Vec<(&'static str, &'static str, String)> {
    let file = &things[0].1[0].1;
    let link = person
        .post(house, &format!("/v1/files/{file}/links"), &json!({}))
        .await;
    let token = text(&link.expect(StatusCode::CREATED)["token"]);
    let job: uuid::Uuid = sqlx::query_scalar("SELECT id FROM jobs LIMIT 1")
        .fetch_one(&house.stores.db)
        .await
        .expect("the shared resource exists");
    vec![
        ("/v1/links/", "token", token),
        ("/v1/jobs/", "id", job.to_string()),
        ("/v1/roles/", "name", "member".to_owned()),
        ("/v1/users/", "id", person.id.to_string()),
    ]
}

/// Returns the ticket of a download that is redirected to the host of users' files.
async fn ticket(house: &House, person: &Person, file: &str) -> String {
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .expect("a client");
    let path = format!("{}/v1/files/{file}/content", house.url);
    let answer = Answer::of(client.get(path).bearer_auth(&person.access_token)).await;
    let place = answer
        .header("location")
        .expect("the download is redirected");
    place
        .strip_prefix("https://content.example.org/v1/content/")
        .expect("the redirect goes to that host")
        .to_owned()
}

#[tokio::test]
async fn a_safe_operation_works_on_a_read_only_database() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_DIRECT_UPLOADS", "true");
    let house = House::on(stage).await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let things = things_of(&house, &person).await;
    let mut shared = shared_things(&house, &person, &things).await;
    let key = json!({ "name": "reader", "scopes": ["files:read"] });
    let key = person
        .post(&house, "/v1/me/api-keys", &key)
        .await
        .expect(StatusCode::CREATED);
    for token in [&admin.access_token, &person.access_token] {
        // Fill the cache, for example with the account, before the database becomes read-only.
        house
            .request(Method::GET, "/v1/me")
            .bearer_auth(token)
            .send()
            .await
            .expect("answers");
    }
    let database: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&house.stores.db)
        .await
        .expect("answers");
    let read_only = format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = on");
    sqlx::query(sqlx::AssertSqlSafe(read_only))
        .execute(&house.stores.db)
        .await
        .expect("alters");
    let reading = house.twin().await;
    // A deployment with a separate host for users' files: only that host accepts a ticket.
    let sending_on = house
        .twin_with(&[("PLINTH_CONTENT_URL", "https://content.example.org/")])
        .await;
    shared.push((
        "/v1/content/",
        "ticket",
        ticket(&sending_on, &person, &things[0].1[0].1).await,
    ));

    let safe: Vec<_> = operations(&present_document())
        .into_iter()
        .filter(|operation| operation.method.is_safe())
        .collect();
    assert!(safe.len() > 30, "only {} operations were found", safe.len());
    for operation in &safe {
        let path = path_of(operation, &things, &shared);
        let asking = if operation.is_of_administrators() {
            &admin
        } else {
            &person
        };
        let request = if operation.path.starts_with("/v1/content/") {
            sending_on
                .request(operation.method.clone(), &path)
                .header("host", "content.example.org")
        } else {
            asking.request(&reading, operation.method.clone(), &path)
        };
        // Only uploads need this header.
        let request = request.header("tus-resumable", "1.0.0");
        // A stream of events does not end: its start is enough.
        let status = request.send().await.expect("the API answers").status();
        let is_exception = EXCEPTIONS.iter().any(|(name, _)| *name == operation.name());
        // A variant that no worker has derived is not found.
        let is_fine = status.is_success()
            || status.is_redirection()
            || status == StatusCode::NOT_FOUND && path.contains("/variants/");
        assert_eq!(
            is_fine,
            !is_exception,
            "{} {path}: {status}",
            operation.name()
        );
    }
    let by_key = reading
        .request(Method::GET, "/v1/files")
        .bearer_auth(text(&key["token"]));
    let status = by_key.send().await.expect("the API answers").status();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{BY_API_KEY}");
}
