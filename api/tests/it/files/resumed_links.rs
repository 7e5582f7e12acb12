//! Interrupted downloads by share links: resumed by the same client, and counted once.

use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::json;
use time::Duration;

use super::links::{LINK_PASSWORD, downloads, fetch, file, house, missing_link_problem, share};
use super::pattern;
use crate::house::{Answer, House, Person, text};

const TICKET: &str = "plinth-resume-ticket";

/// Returns the ticket of a counted download.
fn ticket_of(answer: &Answer) -> String {
    answer.header(TICKET).expect("a ticket").to_owned()
}

async fn add_version(house: &House, person: &Person, file: &str) {
    let form = reqwest::multipart::Form::new().text("file", "another version");
    let path = format!("/v1/files/{file}/versions");
    let version = person.request(house, Method::POST, &path).multipart(form);
    Answer::of(version).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_download_is_resumed_with_its_ticket_and_counted_once() {
    let house = house().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, pattern(1000)).await;
    let link = share(&house, &person, &id, &json!({ "max_downloads": 1 })).await;
    let ask = async |headers: &[(&str, &str)]| fetch(&house, &link.content(), headers).await;
    let ada = ("x-forwarded-for", "203.0.113.1");

    let first = ask(&[ada]).await;
    assert_eq!(first.status, StatusCode::OK);
    let ticket = ticket_of(&first);
    for range in ["bytes=500-", "bytes=1-", "bytes=10-19,30-39"] {
        // From another network, with another program: only the ticket matters.
        let elsewhere = [("x-forwarded-for", "198.51.100.9"), ("user-agent", "curl")];
        let resumed = ask(&[
            elsewhere[0],
            elsewhere[1],
            (TICKET, &ticket),
            ("range", range),
        ])
        .await;
        assert_eq!(resumed.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(resumed.header(TICKET), None, "the download is not counted");
    }
    let rest = ask(&[ada, (TICKET, &ticket), ("range", "bytes=600-")]).await;
    assert_eq!(&rest.bytes[..], &pattern(1000)[600..]);
    let etag = first.header("etag").expect("a tag").to_owned();
    let known = ask(&[ada, (TICKET, &ticket), ("if-none-match", &etag)]).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    let beyond = ask(&[ada, (TICKET, &ticket), ("range", "bytes=1000-")]).await;
    beyond.problem(416, "range_not_satisfiable");
    let head = house
        .request(Method::HEAD, &link.content())
        .header(TICKET, &ticket);
    assert_eq!(Answer::of(head).await.status, StatusCode::OK);
    assert_eq!(downloads(&house, &person, &link).await, 1);

    // The same network and program without the ticket, and requests for the first byte, are new
    // downloads.
    missing_link_problem(&ask(&[ada, ("range", "bytes=999-")]).await);
    missing_link_problem(&ask(&[ada]).await);
    missing_link_problem(&ask(&[ada, (TICKET, &ticket)]).await);
    missing_link_problem(&ask(&[ada, (TICKET, &ticket), ("range", "bytes=0-0")]).await);
    missing_link_problem(&ask(&[ada, (TICKET, &ticket), ("range", "bytes=5-9,0-1")]).await);
    assert_eq!(downloads(&house, &person, &link).await, 1);
}

#[tokio::test]
async fn a_browser_resumes_with_the_cookie_of_its_download() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, pattern(1000)).await;
    let link = share(&house, &person, &id, &json!({ "max_downloads": 1 })).await;
    let first = fetch(&house, &link.content(), &[("range", "bytes=0-99")]).await;
    assert_eq!(first.status, StatusCode::PARTIAL_CONTENT);
    let cookie = first.header("set-cookie").expect("a cookie").to_owned();
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(
        pair,
        format!("__Secure-plinth_resume={}", ticket_of(&first))
    );
    let path = format!("Path={}", link.content());
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Max-Age=86400", &path] {
        assert!(
            attributes.split("; ").any(|known| known == attribute),
            "{attribute}: {attributes}"
        );
    }
    let rest = fetch(
        &house,
        &link.content(),
        &[("cookie", pair), ("range", "bytes=100-")],
    )
    .await;
    assert_eq!(
        (rest.status, &rest.bytes[..]),
        (StatusCode::PARTIAL_CONTENT, &pattern(1000)[100..])
    );
    assert_eq!(downloads(&house, &person, &link).await, 1);
}

#[tokio::test]
async fn a_resume_ticket_is_valid_for_its_link_its_bytes_and_a_day() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, pattern(1000)).await;
    let once = json!({ "max_downloads": 1 });
    let link = share(&house, &person, &id, &once).await;
    let other = share(&house, &person, &id, &once).await;
    let ticket = ticket_of(&house.get(&link.content()).await);
    house.get(&other.content()).await.expect(StatusCode::OK);
    let resume = async |path: &str, ticket: &str| {
        fetch(&house, path, &[(TICKET, ticket), ("range", "bytes=1-")]).await
    };
    missing_link_problem(&resume(&other.content(), &ticket).await);
    for bad in ["nonsense", &ticket[..ticket.len() - 1], ""] {
        missing_link_problem(&resume(&link.content(), bad).await);
    }
    assert_eq!(
        resume(&link.content(), &ticket).await.status,
        StatusCode::PARTIAL_CONTENT
    );

    // A pinned link serves the same bytes for longer than a day.
    let mut pinned = once.clone();
    pinned["pinned"] = json!(true);
    let pinned = share(&house, &person, &id, &pinned).await;
    let of_pinned = ticket_of(&house.get(&pinned.content()).await);
    add_version(&house, &person, &id).await;
    missing_link_problem(&resume(&link.content(), &ticket).await);
    assert_eq!(
        resume(&pinned.content(), &of_pinned).await.status,
        StatusCode::PARTIAL_CONTENT
    );
    house.stores.clock.advance(Duration::hours(24));
    missing_link_problem(&resume(&pinned.content(), &of_pinned).await);
}

#[tokio::test]
async fn a_resumed_download_needs_no_second_password_and_ends_with_the_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = file(&house, &person, pattern(1000)).await;
    let link = share(
        &house,
        &person,
        &id,
        &json!({ "password": LINK_PASSWORD, "max_downloads": 1 }),
    )
    .await;
    let tickets = format!("{}/tickets", link.path);
    let given = house
        .post(&tickets, &json!({ "password": LINK_PASSWORD }))
        .await
        .expect(StatusCode::CREATED);
    let first = house
        .get(&format!(
            "{}?ticket={}",
            link.content(),
            text(&given["ticket"])
        ))
        .await;
    let ticket = ticket_of(&first);
    // The password ticket expires before a long download ends.
    house.stores.clock.advance(Duration::minutes(20));
    let resume = async || {
        fetch(
            &house,
            &link.content(),
            &[(TICKET, &ticket), ("range", "bytes=500-")],
        )
        .await
    };
    assert_eq!(resume().await.status, StatusCode::PARTIAL_CONTENT);
    let person = house.elsewhere(&person).await;
    person
        .delete(&house, &link.revocation())
        .await
        .expect(StatusCode::NO_CONTENT);
    missing_link_problem(&resume().await);
}

#[tokio::test]
async fn without_redis_a_link_works_is_counted_and_can_be_resumed() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_redis().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let id = file(&house, &person, pattern(1000)).await;
    let link = share(&house, &person, &id, &json!({ "max_downloads": 1 })).await;
    wire.cut();
    let first = house.get(&link.content()).await;
    assert_eq!(first.status, StatusCode::OK);
    let ticket = ticket_of(&first);
    let on = fetch(
        &house,
        &link.content(),
        &[(TICKET, &ticket), ("range", "bytes=500-")],
    )
    .await;
    assert_eq!(on.status, StatusCode::PARTIAL_CONTENT);
    missing_link_problem(&fetch(&house, &link.content(), &[("range", "bytes=500-")]).await);
}
