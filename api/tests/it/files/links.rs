//! Share links: their access, their limits, and their ends, which cannot be distinguished.

use futures_util::future::join_all;
use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::pattern;
use crate::house::{Answer, House, Person, text};

pub(crate) const LINK_PASSWORD: &str = "open sesame";

/// A link as its creator gets it.
pub(super) struct Link {
    pub(super) id: String,
    pub(super) file: String,
    /// The path of the link.
    pub(super) path: String,
}

impl Link {
    pub(super) fn content(&self) -> String {
        format!("{}/content", self.path)
    }

    pub(super) fn revocation(&self) -> String {
        format!("/v1/files/{}/links/{}", self.file, self.id)
    }
}

/// Starts an API whose clients are distinguished by X-Forwarded-For.
pub(super) async fn house() -> House {
    House::on(
        Stage::open()
            .await
            .with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8"),
    )
    .await
}

pub(super) async fn share(house: &House, person: &Person, file: &str, wanted: &Value) -> Link {
    let made = person
        .post(house, &format!("/v1/files/{file}/links"), wanted)
        .await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.expect(StatusCode::CREATED);
    let path = format!("/v1/links/{}", text(&made["token"]));
    assert!(text(&made["url"]).ends_with(&path), "{made}");
    Link {
        id: text(&made["link"]["id"]),
        file: file.to_owned(),
        path,
    }
}

pub(super) async fn file(house: &House, person: &Person, bytes: Vec<u8>) -> String {
    text(&person.upload(house, "plan.txt", bytes).await["id"])
}

pub(super) async fn fetch(house: &House, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = house.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

pub(super) async fn downloads(house: &House, person: &Person, link: &Link) -> Value {
    let path = format!("/v1/files/{}/links", link.file);
    let links = person.get(house, &path).await.expect(StatusCode::OK);
    let items = links["items"].as_array().cloned().unwrap_or_default();
    let found = items
        .into_iter()
        .find(|item| item["id"] == link.id)
        .expect("the link is listed");
    found["downloads"].clone()
}

/// Returns the problem of a link that does not exist.
pub(super) fn missing_link_problem(answer: &Answer) -> Value {
    let mut problem = answer.problem(404, "not_found");
    problem["request_id"] = Value::Null;
    problem
}

pub(super) async fn assert_not_found(house: &House, path: &str) {
    let unknown = missing_link_problem(&house.get(&format!("/v1/links/{}", "A".repeat(43))).await);
    assert_eq!(missing_link_problem(&house.get(path).await), unknown);
    assert_eq!(
        missing_link_problem(&house.get(&format!("{path}/content")).await),
        unknown
    );
    assert_eq!(
        missing_link_problem(
            &fetch(house, &format!("{path}/content"), &[("range", "bytes=99-")]).await
        ),
        unknown
    );
    let tickets = format!("{path}/tickets");
    assert_eq!(
        missing_link_problem(
            &house
                .post(&tickets, &json!({ "password": LINK_PASSWORD }))
                .await
        ),
        unknown
    );
    let head = Answer::of(house.request(Method::HEAD, &format!("{path}/content"))).await;
    assert_eq!(head.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_link_serves_the_current_version_and_reveals_nothing_of_the_owner() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, pattern(200_000)).await;
    let link = share(&house, &person, &id, &json!({})).await;

    let shared = house.get(&link.path).await.expect(StatusCode::OK);
    let mut fields: Vec<_> = shared
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "content_type",
            "expires_at",
            "name",
            "needs_password",
            "size"
        ]
    );
    assert_eq!(
        (&shared["name"], &shared["size"], &shared["needs_password"]),
        (&json!("plan.txt"), &json!(200_000), &json!(false))
    );
    let whole = house.get(&link.content()).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert!(whole.bytes == pattern(200_000));
    assert!(
        whole
            .header("content-disposition")
            .is_some_and(|text| text.contains("plan.txt"))
    );
    assert!(
        whole
            .header("content-security-policy")
            .is_some_and(|policy| policy.contains("sandbox"))
    );
    let part = fetch(&house, &link.content(), &[("range", "bytes=100000-100009")]).await;
    assert_eq!(
        (part.status, &part.bytes[..]),
        (StatusCode::PARTIAL_CONTENT, &pattern(100_010)[100_000..])
    );
    let head = Answer::of(house.request(Method::HEAD, &link.content())).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (StatusCode::OK, Some("200000"))
    );

    let form = reqwest::multipart::Form::new().text("file", "another version");
    let version = person
        .request(&house, Method::POST, &format!("/v1/files/{id}/versions"))
        .multipart(form);
    Answer::of(version).await.expect(StatusCode::CREATED);
    assert_eq!(house.get(&link.content()).await.bytes, b"another version");
    for answer in [
        house.get(&link.path).await,
        house.get(&link.content()).await,
    ] {
        let shown = format!(
            "{:?} {}",
            answer.headers,
            String::from_utf8_lossy(&answer.bytes)
        );
        assert!(
            !shown.contains(&person.id.to_string()) && !shown.contains(&person.email),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn the_owner_lists_links_in_pages_without_tokens() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let mut made = Vec::new();
    for wanted in [
        json!({}),
        json!({ "max_downloads": 3 }),
        json!({ "password": LINK_PASSWORD }),
    ] {
        made.insert(0, share(&house, &person, &id, &wanted).await);
    }
    let list = format!("/v1/files/{id}/links");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = person.get(&house, &format!("{list}?limit=2{cursor}")).await;
        let shown = String::from_utf8_lossy(&page.bytes).into_owned();
        for link in &made {
            assert!(
                !shown.contains(link.path.rsplit('/').next().expect("a token")),
                "{shown}"
            );
        }
        let page = page.expect(StatusCode::OK);
        seen.extend(page["items"].as_array().expect("items").clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let ids: Vec<_> = seen.iter().map(|link| text(&link["id"])).collect();
    assert_eq!(
        ids,
        made.iter().map(|link| link.id.clone()).collect::<Vec<_>>()
    );
    let passwords: Vec<_> = seen.iter().map(|link| &link["has_password"]).collect();
    assert_eq!(passwords, [true, false, false]);
    assert_eq!(
        (&seen[1]["max_downloads"], &seen[2]["max_downloads"]),
        (&json!(3), &Value::Null)
    );
    let kept: Vec<Option<String>> =
        sqlx::query_scalar("SELECT password_hash FROM share_links ORDER BY id")
            .fetch_all(&house.stores.db)
            .await
            .expect("reads");
    assert!(
        kept[2]
            .as_ref()
            .is_some_and(|hash| hash.starts_with("$argon2id$")),
        "{kept:?}"
    );
}

#[tokio::test]
async fn ended_links_and_unknown_links_get_the_same_response() {
    let house = House::open().await;
    let (admin, person) = (house.administrator().await, house.person("ada").await);
    let id = file(&house, &person, b"text".to_vec()).await;
    for never in [
        "x",
        "%00",
        &"A".repeat(43),
        &"A".repeat(44),
        &Uuid::new_v4().to_string(),
    ] {
        assert_not_found(&house, &format!("/v1/links/{never}")).await;
    }

    let revoked = share(&house, &person, &id, &json!({})).await;
    house.get(&revoked.content()).await.expect(StatusCode::OK);
    person
        .delete(&house, &revoked.revocation())
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_not_found(&house, &revoked.path).await;
    person
        .delete(&house, &revoked.revocation())
        .await
        .problem(404, "not_found");

    let used_up = share(&house, &person, &id, &json!({ "max_downloads": 1 })).await;
    fetch(&house, &used_up.content(), &[("user-agent", "somebody")])
        .await
        .expect(StatusCode::OK);
    assert_not_found(&house, &used_up.path).await;

    let link = share(&house, &person, &id, &json!({ "password": LINK_PASSWORD })).await;
    let trash = format!("/v1/files/{id}");
    person
        .delete(&house, &trash)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_not_found(&house, &link.path).await;
    person
        .get(&house, &format!("{trash}/links"))
        .await
        .problem(404, "not_found");
    person
        .post(&house, &format!("{trash}/links"), &json!({}))
        .await
        .problem(404, "not_found");
    person
        .post(&house, &format!("{trash}/restore"), &json!({}))
        .await
        .expect(StatusCode::OK);
    house.get(&link.path).await.expect(StatusCode::OK);

    let suspend = format!("/v1/users/{}/suspend", person.id);
    admin
        .post(&house, &suspend, &json!({ "reason": "spam" }))
        .await;
    assert_not_found(&house, &link.path).await;
    admin
        .post(
            &house,
            &format!("/v1/users/{}/reactivate", person.id),
            &json!({}),
        )
        .await;
    house.get(&link.path).await.expect(StatusCode::OK);

    let soon = (house.stores.clock.now() + Duration::hours(1))
        .format(&Rfc3339)
        .expect("a time");
    let person = house.elsewhere(&person).await;
    let expired = share(&house, &person, &id, &json!({ "expires_at": soon })).await;
    house.stores.clock.advance(Duration::minutes(59));
    house.get(&expired.content()).await.expect(StatusCode::OK);
    house.stores.clock.advance(Duration::minutes(1));
    assert_not_found(&house, &expired.path).await;

    let person = house.elsewhere(&person).await;
    person
        .delete(&house, &format!("{trash}?permanently=true"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_not_found(&house, &link.path).await;
    assert_eq!(house.count("share_links").await, 0);
}

#[tokio::test]
async fn concurrent_downloads_do_not_exceed_the_limit_of_a_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, pattern(100_000)).await;
    let link = share(&house, &person, &id, &json!({ "max_downloads": 10 })).await;
    let twin = house.twin().await;
    let path = link.content();
    // From the first byte, or beyond it without a resume ticket: each is a download.
    let asked = (0..50).map(async |number: usize| {
        let agent = format!("client {number}");
        let mut headers = vec![("user-agent", agent.as_str())];
        if number.is_multiple_of(3) {
            headers.push(("range", "bytes=1-"));
        }
        fetch(
            if number.is_multiple_of(2) {
                &house
            } else {
                &twin
            },
            &path,
            &headers,
        )
        .await
    });
    let answers = join_all(asked).await;
    let (good, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!((good.len(), refused.len()), (10, 40));
    assert!(good.iter().all(|answer| answer.bytes.len() >= 99_999));
    for answer in refused {
        answer.problem(404, "not_found");
    }
    assert_eq!(downloads(&house, &person, &link).await, 10);
    assert_eq!(
        house
            .count("audit_events WHERE action = 'share_link.downloaded'")
            .await,
        10
    );
}

#[tokio::test]
async fn a_failing_store_does_not_use_up_a_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let link = share(&house, &person, &id, &json!({ "max_downloads": 1 })).await;
    let lose = "UPDATE blobs SET object_key = 'nowhere/' || object_key";
    sqlx::query(lose)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    house.get(&link.content()).await.problem(500, "internal");
    assert_eq!(downloads(&house, &person, &link).await, 0);
}

#[tokio::test]
async fn a_password_gets_a_ticket_for_its_link_only_and_for_a_while() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let link = share(&house, &person, &id, &json!({ "password": LINK_PASSWORD })).await;
    let other = share(&house, &person, &id, &json!({ "password": LINK_PASSWORD })).await;
    let open = share(&house, &person, &id, &json!({})).await;

    assert_eq!(
        house.get(&link.path).await.expect(StatusCode::OK)["needs_password"],
        true
    );
    house
        .get(&link.content())
        .await
        .problem(403, "link_password_required");
    house
        .get(&format!("{}?ticket=nonsense", link.content()))
        .await
        .problem(403, "link_password_required");
    let head = Answer::of(house.request(Method::HEAD, &link.content())).await;
    assert_eq!(head.status, StatusCode::FORBIDDEN);
    // A password must not be in a URL.
    let in_url = format!(
        "{}?ticket=open%20sesame&password=open%20sesame",
        link.content()
    );
    let refused = house.get(&in_url).await;
    refused.problem(422, "validation_failed");
    assert_eq!(refused.faults(), ["/query/password unknown_parameter"]);

    let tickets = format!("{}/tickets", link.path);
    let wrong = house
        .post(&tickets, &json!({ "password": "open barley" }))
        .await;
    wrong.problem(403, "wrong_link_password");
    let given = house
        .post(&tickets, &json!({ "password": LINK_PASSWORD }))
        .await
        .expect(StatusCode::CREATED);
    let query = format!("?ticket={}", text(&given["ticket"]));
    assert_eq!(
        house.get(&format!("{}{query}", link.content())).await.bytes,
        b"text"
    );
    house
        .get(&format!("{}{query}", other.content()))
        .await
        .problem(403, "link_password_required");
    house
        .post(
            &format!("{}/tickets", open.path),
            &json!({ "password": LINK_PASSWORD }),
        )
        .await
        .problem(409, "no_link_password");
    assert_eq!(downloads(&house, &person, &link).await, 1);

    house.stores.clock.advance(Duration::minutes(15));
    house
        .get(&format!("{}{query}", link.content()))
        .await
        .problem(403, "link_password_required");
    let given = house
        .post(&tickets, &json!({ "password": LINK_PASSWORD }))
        .await
        .expect(StatusCode::CREATED);
    let person = house.elsewhere(&person).await;
    person
        .delete(&house, &link.revocation())
        .await
        .expect(StatusCode::NO_CONTENT);
    missing_link_problem(
        &house
            .get(&format!(
                "{}?ticket={}",
                link.content(),
                text(&given["ticket"])
            ))
            .await,
    );
}

#[tokio::test]
async fn guesses_at_a_links_password_are_slowed_down_for_the_guesser() {
    let house = house().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let link = share(&house, &person, &id, &json!({ "password": LINK_PASSWORD })).await;
    let tickets = format!("{}/tickets", link.path);
    let guess = async |address: &str, password: &str| {
        let request = house
            .request(Method::POST, &tickets)
            .header("x-forwarded-for", address);
        Answer::of(request.json(&json!({ "password": password }))).await
    };
    // Five are free, the sixth starts the delay.
    for _ in 0..6 {
        guess("203.0.113.1", "a wrong guess")
            .await
            .problem(403, "wrong_link_password");
    }
    let slowed = guess("203.0.113.1", LINK_PASSWORD).await;
    slowed.problem(429, "rate_limited");
    assert!(slowed.header("retry-after").is_some());
    guess("203.0.113.2", LINK_PASSWORD)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        house
            .count("audit_events WHERE action = 'share_link.refused'")
            .await,
        6
    );
    house.stores.clock.advance(Duration::seconds(1));
    guess("203.0.113.1", LINK_PASSWORD)
        .await
        .expect(StatusCode::CREATED);
}

#[tokio::test]
async fn visitors_of_links_have_the_limits_of_anonymous_clients() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8");
    stage.set_limits("6");
    let house = House::on(stage).await;
    for path in ["/v1/links/x", "/v1/links/x/content"] {
        let ask = async || fetch(&house, path, &[("x-forwarded-for", "203.0.113.9")]).await;
        let answers = join_all((0..20).map(async |_| ask().await.status)).await;
        assert!(
            answers.contains(&StatusCode::TOO_MANY_REQUESTS),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn links_to_files_of_another_account_are_not_found() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (adas, bobs) = (
        file(&house, &ada, b"mine".to_vec()).await,
        file(&house, &bob, b"his".to_vec()).await,
    );
    let link = share(&house, &ada, &adas, &json!({})).await;
    let links = format!("/v1/files/{adas}/links");
    bob.get(&house, &links).await.problem(404, "not_found");
    bob.post(&house, &links, &json!({}))
        .await
        .problem(404, "not_found");
    bob.delete(&house, &link.revocation())
        .await
        .problem(404, "not_found");
    // Nor under a file of their own.
    let crossed = format!("/v1/files/{bobs}/links/{}", link.id);
    bob.delete(&house, &crossed).await.problem(404, "not_found");
    house.get(&link.content()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn invalid_links_are_refused_and_a_file_has_at_most_a_hundred() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let links = format!("/v1/files/{id}/links");
    for (body, faults) in [
        (
            json!({ "expires_at": "2020-01-01T00:00:00Z" }),
            &["/expires_at not_in_the_future"][..],
        ),
        (
            json!({ "expires_at": "9999-01-01T00:00:00Z" }),
            &["/expires_at too_late"],
        ),
        (json!({ "password": "1234567" }), &["/password too_short"]),
        (
            json!({ "password": "x".repeat(129) }),
            &["/password too_long"],
        ),
        (
            json!({ "password": "", "max_downloads": 0 }),
            &["/max_downloads out_of_range", "/password too_short"],
        ),
        (
            json!({ "max_downloads": 1_000_001 }),
            &["/max_downloads out_of_range"],
        ),
        (
            json!({ "max_downloads": 1.5 }),
            &["/max_downloads wrong_type"],
        ),
        (json!({ "downloads": 1 }), &["/downloads unknown_field"]),
    ] {
        let answer = person.post(&house, &links, &body).await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.faults(), faults, "{body}");
    }
    assert_eq!(house.count("share_links").await, 0);
    sqlx::query(
        "INSERT INTO share_links (id, file_id, token_hash, expires_at, created_at)
         SELECT gen_random_uuid(), $1, sha256(n::text::bytea), now() + interval '1 day', now()
         FROM generate_series(1, 99) AS n",
    )
    .bind(id.parse::<Uuid>().expect("a uuid"))
    .execute(&house.stores.db)
    .await
    .expect("inserts");
    let two =
        join_all((0..2).map(async |_| person.post(&house, &links, &json!({})).await.status)).await;
    assert!(
        two.contains(&StatusCode::CREATED) && two.contains(&StatusCode::CONFLICT),
        "{two:?}"
    );
    person
        .post(&house, &links, &json!({}))
        .await
        .problem(409, "too_many_links");
}

#[tokio::test]
async fn the_audit_log_has_the_creation_use_and_revocation_of_a_link() {
    let house = house().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, b"text".to_vec()).await;
    let link = share(&house, &person, &id, &json!({})).await;
    fetch(
        &house,
        &link.content(),
        &[("x-forwarded-for", "203.0.113.1")],
    )
    .await
    .expect(StatusCode::OK);
    person
        .delete(&house, &link.revocation())
        .await
        .expect(StatusCode::NO_CONTENT);
    let events: Vec<(String, Option<Uuid>, Option<String>, Value)> = sqlx::query_as(
        "SELECT action, actor_id, host(ip), details FROM audit_events
         WHERE target_kind = 'share_link' AND target_id = $1 ORDER BY id",
    )
    .bind(link.id.parse::<Uuid>().expect("a uuid"))
    .fetch_all(&house.stores.db)
    .await
    .expect("reads");
    let named: Vec<_> = events
        .iter()
        .map(|(action, actor, ..)| (action.as_str(), *actor))
        .collect();
    let owner = Some(person.id.0);
    assert_eq!(
        named,
        [
            ("share_link.created", owner),
            ("share_link.downloaded", None),
            ("share_link.revoked", owner)
        ]
    );
    assert_eq!(events[1].2.as_deref(), Some("203.0.113.1"));
    assert!(
        events.iter().all(|event| event.3["file_id"] == id),
        "{events:?}"
    );
}
