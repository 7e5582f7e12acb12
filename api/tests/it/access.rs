//! Access control: credentials, permissions, rate limits, and the cost of a warm request.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{Answer, House};
use plinth_testkit::Stage;

#[tokio::test]
async fn without_a_token_only_open_operations_are_reachable() {
    let house = House::open().await;
    let closed = [
        (Method::GET, "/v1/me"),
        (Method::PATCH, "/v1/me"),
        (Method::GET, "/v1/me/notifications"),
        (Method::GET, "/v1/files"),
        (Method::POST, "/v1/files"),
        (
            Method::GET,
            "/v1/files/01937b1e-0000-7000-8000-000000000001",
        ),
        (
            Method::DELETE,
            "/v1/files/01937b1e-0000-7000-8000-000000000001",
        ),
        (
            Method::GET,
            "/v1/files/01937b1e-0000-7000-8000-000000000001/content",
        ),
        (
            Method::GET,
            "/v1/files/01937b1e-0000-7000-8000-000000000001/variants/small",
        ),
        (Method::GET, "/v1/audit-events"),
    ];
    for (method, path) in closed {
        let answer = Answer::of(house.request(method.clone(), path)).await;
        answer.problem(401, "authentication_required");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_in_the_problem() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let problem = person
        .get(&house, "/v1/audit-events")
        .await
        .problem(403, "permission_denied");
    assert_eq!(problem["detail"], "The permission audit:read is required.");
    let admin = house.administrator().await;
    admin
        .get(&house, "/v1/audit-events")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_warm_request_costs_one_round_trip_and_no_query() {
    let mut stage = Stage::open().await;
    stage.set_limits("600000");
    let (redis, database) = (stage.wire_redis().await, stage.wire_database().await);
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    // The invalidation of the account's cached copy by the verification has expired.
    house.forget_copies().await;
    for _ in 0..2 {
        person.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    // Periodic tasks of the process may run in between.
    let measure = async || {
        let before = (redis.requests(), database.requests());
        for _ in 0..10 {
            person.get(&house, "/v1/me").await.expect(StatusCode::OK);
        }
        (redis.requests() - before.0, database.requests() - before.1)
    };
    let costs = [measure().await, measure().await, measure().await];
    assert_eq!(costs.iter().min(), Some(&(10, 0)), "{costs:?}");
}

#[tokio::test]
async fn a_client_over_its_limit_may_continue_after_retry_after() {
    let stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_IP_PER_MINUTE", "12");
    let house = House::on(stage).await;
    let first = house.get("/v1/me").await;
    first.problem(401, "authentication_required");
    assert_eq!(
        (
            first.header("ratelimit-limit"),
            first.header("ratelimit-remaining")
        ),
        (Some("2"), Some("1"))
    );
    house.get("/v1/me").await;
    let refused = house.get("/v1/me").await;
    refused.problem(429, "rate_limited");
    let wait: u64 = refused
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .expect("seconds");
    assert!((1..=5).contains(&wait), "{wait}");
}

#[tokio::test]
async fn credential_guesses_have_their_own_limit() {
    let stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_AUTH_PER_MINUTE", "6");
    let house = House::on(stage).await;
    for _ in 0..3 {
        house
            .log_in("nobody@example.org", "guess 1234")
            .await
            .problem(401, "invalid_credentials");
    }
    house
        .log_in("nobody@example.org", "guess 1235")
        .await
        .problem(429, "rate_limited");
    house
        .get("/v1/me")
        .await
        .problem(401, "authentication_required");
    let refresh = json!({ "refresh_token": "nonsense" });
    house
        .post("/v1/auth/refresh", &refresh)
        .await
        .problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn refreshes_have_their_own_limit_and_use_up_no_other() {
    let stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_REFRESH_PER_MINUTE", "8");
    let stage = stage
        .with("PLINTH_LIMITS_IP_PER_MINUTE", "12")
        .with("PLINTH_LIMITS_AUTH_PER_MINUTE", "6");
    let house = House::on(stage).await;
    let refresh = json!({ "refresh_token": "nonsense" });
    for _ in 0..4 {
        house
            .post("/v1/auth/refresh", &refresh)
            .await
            .problem(401, "invalid_refresh_token");
    }
    house
        .post("/v1/auth/refresh", &refresh)
        .await
        .problem(429, "rate_limited");
    house
        .log_in("nobody@example.org", "guess 1234")
        .await
        .problem(401, "invalid_credentials");
    house
        .get("/v1/me")
        .await
        .problem(401, "authentication_required");
}

#[tokio::test]
async fn many_users_behind_one_address_can_log_in_and_refresh_under_the_default_limits() {
    let mut stage = Stage::open().await;
    for name in ["IP", "USER", "AUTH", "REFRESH"] {
        stage = stage.without(&format!("PLINTH_LIMITS_{name}_PER_MINUTE"));
    }
    let house = House::on(stage).await;
    let person = house.person("ada").await;
    let logins = (0..20).map(|_| house.log_in(&person.email, crate::house::PASSWORD));
    let logins = futures_util::future::join_all(logins).await;
    let tokens: Vec<_> = logins
        .into_iter()
        .map(|login| login.expect(StatusCode::OK))
        .collect();
    for _ in 0..10 {
        let refreshes = tokens.iter().map(async |tokens| {
            let refresh = json!({ "refresh_token": tokens["refresh_token"] });
            house
                .post("/v1/auth/refresh", &refresh)
                .await
                .expect(StatusCode::OK)
        });
        futures_util::future::join_all(refreshes).await;
    }
}

#[tokio::test]
async fn users_have_their_own_limit() {
    let stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_USER_PER_MINUTE", "12");
    let house = House::on(stage).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    for _ in 0..2 {
        ada.get(&house, "/v1/me").await.expect(StatusCode::OK);
    }
    ada.get(&house, "/v1/me").await.problem(429, "rate_limited");
    bob.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn only_a_trusted_proxy_determines_the_client_address() {
    let limited = Stage::open().await.with("PLINTH_LIMITS_IP_PER_MINUTE", "6");
    let house = House::on(limited.with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8")).await;
    let from = async |client: &str| {
        Answer::of(
            house
                .request(Method::GET, "/v1/me")
                .header("x-forwarded-for", client),
        )
        .await
    };
    from("203.0.113.1")
        .await
        .problem(401, "authentication_required");
    from("203.0.113.1").await.problem(429, "rate_limited");
    from("203.0.113.2")
        .await
        .problem(401, "authentication_required");
    // Everything left of the nearest untrusted address was written by the client.
    from("198.51.100.7, 203.0.113.1")
        .await
        .problem(429, "rate_limited");

    let house = House::on(Stage::open().await.with("PLINTH_LIMITS_IP_PER_MINUTE", "6")).await;
    let spoofed = async |client: &str| {
        Answer::of(
            house
                .request(Method::GET, "/v1/me")
                .header("x-forwarded-for", client),
        )
        .await
    };
    spoofed("203.0.113.1")
        .await
        .problem(401, "authentication_required");
    spoofed("203.0.113.2").await.problem(429, "rate_limited");
}

#[tokio::test]
async fn clients_behind_a_proxy_that_appends_ports_are_counted_separately() {
    let limited = Stage::open().await.with("PLINTH_LIMITS_IP_PER_MINUTE", "6");
    let house = House::on(limited.with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8")).await;
    let from = async |client: &str| {
        Answer::of(
            house
                .request(Method::GET, "/v1/me")
                .header("x-forwarded-for", client),
        )
        .await
    };
    from("203.0.113.1:4711")
        .await
        .problem(401, "authentication_required");
    from("203.0.113.1:4712").await.problem(429, "rate_limited");
    from("203.0.113.2:4711")
        .await
        .problem(401, "authentication_required");
    from("[2001:db8:1::1]:4711")
        .await
        .problem(401, "authentication_required");
    from("[2001:db8:1::2]").await.problem(429, "rate_limited");
}

#[tokio::test]
async fn concurrent_requests_never_exceed_the_limit() {
    let stage = Stage::open()
        .await
        .with("PLINTH_LIMITS_IP_PER_MINUTE", "60000");
    let house = House::on(stage).await;
    let number = |answer: &Answer, name: &str| -> u64 {
        answer
            .header(name)
            .and_then(|text| text.parse().ok())
            .expect("a number")
    };
    for _ in 0..8 {
        let many = futures_util::future::join_all((0..64).map(|_| house.get("/v1/me"))).await;
        for answer in many {
            let (limit, remaining) = (
                number(&answer, "ratelimit-limit"),
                number(&answer, "ratelimit-remaining"),
            );
            assert!(remaining < limit, "{remaining} of {limit}");
        }
    }
}

#[tokio::test]
async fn a_repeated_header_field_that_matters_is_refused() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let twice = async |name: &str, values: [&str; 2]| {
        let request = person.request(&house, Method::GET, "/v1/me");
        Answer::of(request.header(name, values[0]).header(name, values[1])).await
    };
    // The request already has the person's own token.
    let bearer = format!("Bearer {}", person.access_token);
    for other in [&bearer, "Bearer nonsense", "Basic YTpi", ""] {
        let request = person
            .request(&house, Method::GET, "/v1/me")
            .header("authorization", other);
        let refused = Answer::of(request).await;
        assert_eq!(
            refused.problem(400, "repeated_field")["detail"],
            "Header field authorization given more than once."
        );
    }
    for name in [
        "content-type",
        "origin",
        "x-csrf-token",
        "upload-offset",
        "range",
    ] {
        twice(name, ["a", "a"]).await.problem(400, "repeated_field");
    }
    // Lists, and fields that no decision depends on.
    for name in [
        "accept",
        "if-none-match",
        "x-forwarded-for",
        "x-request-id",
        "traceparent",
    ] {
        twice(name, ["a", "b"]).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_bad_token_does_not_block_open_operations() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let body = json!({ "email": person.email, "password": crate::house::PASSWORD });
    let login = house
        .request(Method::POST, "/v1/auth/login")
        .bearer_auth("nonsense")
        .json(&body);
    Answer::of(login).await.expect(StatusCode::OK);
}
