//! Password guesses are slowed down from any source, without delaying the owner.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Answer, House, PASSWORD, Person, text};
use plinth_testkit::Stage;

/// Starts an API whose clients are distinguished by X-Forwarded-For.
async fn house() -> House {
    House::on(
        Stage::open()
            .await
            .with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8"),
    )
    .await
}

async fn try_from(house: &House, address: &str, body: &Value) -> Answer {
    let login = house
        .request(Method::POST, "/v1/auth/login")
        .header("x-forwarded-for", address)
        .json(body);
    Answer::of(login).await
}

async fn guess_from(house: &House, address: &str, email: &str) -> Answer {
    try_from(
        house,
        address,
        &json!({ "email": email, "password": "a wrong guess" }),
    )
    .await
}

fn wait_of(answer: &Answer) -> u64 {
    answer
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .expect("seconds to wait")
}

/// Returns the device token of a login.
async fn device_token(house: &House, person: &Person) -> String {
    text(
        &house
            .log_in(&person.email, PASSWORD)
            .await
            .expect(StatusCode::OK)["device_token"],
    )
}

#[tokio::test]
async fn the_delay_of_guesses_grows_up_to_a_limit() {
    let house = house().await;
    let person = house.person("ada").await;
    for _ in 0..6 {
        guess_from(&house, "203.0.113.1", &person.email)
            .await
            .problem(401, "invalid_credentials");
    }
    let mut waits = Vec::new();
    for _ in 0..12 {
        let refused = guess_from(&house, "203.0.113.1", &person.email).await;
        refused.problem(429, "rate_limited");
        let wait = wait_of(&refused);
        waits.push(wait);
        house.stores.clock.advance(time::Duration::seconds(
            i64::try_from(wait).expect("a short wait"),
        ));
        guess_from(&house, "203.0.113.1", &person.email)
            .await
            .problem(401, "invalid_credentials");
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
}

#[tokio::test]
async fn guesses_at_many_accounts_from_one_address_are_slowed_down() {
    let house = house().await;
    for number in 0..101 {
        let email = format!("nobody-{number}@example.org");
        guess_from(&house, "203.0.113.1", &email)
            .await
            .problem(401, "invalid_credentials");
    }
    guess_from(&house, "203.0.113.1", "nobody-last@example.org")
        .await
        .problem(429, "rate_limited");
    guess_from(&house, "203.0.113.2", "nobody-last@example.org")
        .await
        .problem(401, "invalid_credentials");
}

#[tokio::test]
async fn guesses_at_one_account_from_many_addresses_are_slowed_down() {
    let house = house().await;
    let email = house.person("ada").await.email;
    for number in 0..21 {
        guess_from(&house, &format!("203.0.113.{number}"), &email)
            .await
            .problem(401, "invalid_credentials");
    }
    guess_from(&house, "203.0.113.99", &email)
        .await
        .problem(429, "rate_limited");
    // An unknown account is slowed down in the same way.
    for number in 0..21 {
        guess_from(&house, &format!("203.0.113.{number}"), "nobody@example.org")
            .await
            .problem(401, "invalid_credentials");
    }
    guess_from(&house, "203.0.113.99", "nobody@example.org")
        .await
        .problem(429, "rate_limited");
}

#[tokio::test]
async fn a_flood_of_guesses_does_not_block_a_known_device() {
    let house = house().await;
    let person = house.person("ada").await;
    let device_token = device_token(&house, &person).await;
    let guesses = (0..1_000).map(|number| {
        let (house, email) = (&house, &person.email);
        async move {
            guess_from(house, &format!("198.51.100.{}", number % 100), email)
                .await
                .status
        }
    });
    let statuses: Vec<StatusCode> = futures_util::StreamExt::collect(
        futures_util::StreamExt::buffer_unordered(futures_util::stream::iter(guesses), 16),
    )
    .await;
    let looked_at = statuses
        .iter()
        .filter(|status| **status == StatusCode::UNAUTHORIZED)
        .count();
    assert!(looked_at < 40, "{looked_at} of 1,000 guesses were checked");
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::TOO_MANY_REQUESTS)
            .count(),
        1_000 - looked_at
    );

    let login = json!({ "email": person.email, "password": PASSWORD });
    try_from(&house, "192.0.2.7", &login)
        .await
        .problem(429, "rate_limited");
    let known =
        json!({ "email": person.email, "password": PASSWORD, "device_token": device_token });
    try_from(&house, "192.0.2.7", &known)
        .await
        .expect(StatusCode::OK);
    let browser = house
        .request(Method::POST, "/v1/auth/login")
        .header("x-forwarded-for", "192.0.2.8");
    let browser = browser.header("cookie", format!("__Host-plinth_device={device_token}"));
    Answer::of(browser.json(&login))
        .await
        .expect(StatusCode::OK);
    // The owner is notified once.
    assert_eq!(house.notices(person.id).await, ["logins_failed"]);
}

#[tokio::test]
async fn replicas_count_guesses_together() {
    let house = house().await;
    let twin = house.twin().await;
    for number in 0..6 {
        let replica = if number % 2 == 0 { &house } else { &twin };
        guess_from(replica, "203.0.113.1", "nobody@example.org")
            .await
            .problem(401, "invalid_credentials");
    }
    for replica in [&house, &twin] {
        guess_from(replica, "203.0.113.1", "nobody@example.org")
            .await
            .problem(429, "rate_limited");
    }
}

#[tokio::test]
async fn a_device_is_known_only_to_its_account() {
    let house = house().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let of_bob = device_token(&house, &bob).await;
    for number in 0..21 {
        guess_from(&house, &format!("203.0.113.{number}"), &ada.email).await;
    }
    let login = json!({ "email": ada.email, "password": PASSWORD, "device_token": of_bob });
    try_from(&house, "192.0.2.7", &login)
        .await
        .problem(429, "rate_limited");
}

#[tokio::test]
async fn a_known_device_is_slowed_down_by_its_own_guesses() {
    let house = house().await;
    let person = house.person("ada").await;
    let device_token = device_token(&house, &person).await;
    let guess =
        json!({ "email": person.email, "password": "a wrong guess", "device_token": device_token });
    for _ in 0..11 {
        try_from(&house, "192.0.2.7", &guess)
            .await
            .problem(401, "invalid_credentials");
    }
    try_from(&house, "192.0.2.7", &guess)
        .await
        .problem(429, "rate_limited");
    let elsewhere = json!({ "email": person.email, "password": PASSWORD });
    try_from(&house, "192.0.2.8", &elsewhere)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn successful_logins_are_not_counted() {
    let house = house().await;
    let person = house.person("ada").await;
    let login = json!({ "email": person.email, "password": PASSWORD });
    for _ in 0..12 {
        try_from(&house, "203.0.113.1", &login)
            .await
            .expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn guesses_are_slowed_down_without_redis() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_redis().await;
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    wire.tear();
    for _ in 0..6 {
        house
            .log_in(&person.email, "a wrong guess")
            .await
            .problem(401, "invalid_credentials");
    }
    house
        .log_in(&person.email, "a wrong guess")
        .await
        .problem(429, "rate_limited");
}

#[tokio::test]
async fn twenty_concurrent_correct_logins_of_one_account_succeed() {
    let house = house().await;
    let twin = house.twin().await;
    let person = house.person("ada").await;
    let token = device_token(&house, &person).await;
    let login = json!({ "email": person.email, "password": PASSWORD });
    let known = json!({ "email": person.email, "password": PASSWORD, "device_token": token });
    for body in [&login, &known] {
        let logins = (0..20).map(async |number| {
            let replica = if number % 2 == 0 { &house } else { &twin };
            try_from(replica, "203.0.113.1", body).await.status
        });
        let statuses = futures_util::future::join_all(logins).await;
        assert!(
            statuses.iter().all(|status| *status == StatusCode::OK),
            "{statuses:?}"
        );
    }
    // They do not slow down the next login.
    for _ in 0..6 {
        guess_from(&house, "203.0.113.1", &person.email)
            .await
            .problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn twenty_concurrent_wrong_logins_are_limited_like_sequential_ones() {
    let house = house().await;
    let twin = house.twin().await;
    let person = house.person("ada").await;
    let guesses = (0..20).map(async |number| {
        let replica = if number % 2 == 0 { &house } else { &twin };
        guess_from(replica, "203.0.113.1", &person.email)
            .await
            .status
    });
    let begun = house.stores.clock.now();
    let statuses = futures_util::future::join_all(guesses).await;
    let took = house.stores.clock.now() - begun;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    let (looked_at, refused) = (
        count(StatusCode::UNAUTHORIZED),
        count(StatusCode::TOO_MANY_REQUESTS),
    );
    assert_eq!(looked_at + refused, 20, "{statuses:?}");
    // Six, then one after one second, two seconds and four seconds: as many as sequential guesses
    // get.
    let later = (1_u32..=32)
        .take_while(|n| took >= time::Duration::seconds((1_i64 << *n) - 1))
        .count();
    assert!(
        (6..=6 + later).contains(&looked_at),
        "{looked_at} in {took}: {statuses:?}"
    );
}
