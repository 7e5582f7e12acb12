//! What every response has in common.

use plinth_testkit::Stage;
use reqwest::{Method, StatusCode, Url};

use crate::house::{Answer, House, text};

#[tokio::test]
async fn every_response_has_security_headers() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_PUBLIC_URL", "https://api.example.org"),
    )
    .await;
    for path in ["/openapi.json", "/v1/me", "/nowhere"] {
        let answer = house.get(path).await;
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        let policy = answer.header("content-security-policy").expect("a policy");
        for directive in [
            "default-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(
                policy.split("; ").any(|part| part == directive),
                "{path}: {policy}"
            );
        }
        let transport = answer.header("strict-transport-security");
        assert_eq!(
            transport,
            Some("max-age=31536000; includeSubDomains"),
            "{path}"
        );
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_request_keeps_an_id_that_is_safe_to_log() {
    let house = House::open().await;
    let with = async |id: &str| {
        let answer = Answer::of(
            house
                .request(Method::GET, "/nowhere")
                .header("x-request-id", id),
        )
        .await;
        answer.header("x-request-id").expect("an id").to_owned()
    };
    assert_eq!(with("abc-123_x.y").await, "abc-123_x.y");
    let endless = "a".repeat(65);
    for bad in ["", "a b", "a\"b", "ü", &endless] {
        assert_ne!(with(bad).await, bad);
    }
}

#[tokio::test]
async fn browsers_can_call_from_configured_origins() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_API_CORS_ORIGINS", "https://app.example.org"),
    )
    .await;
    let preflight = async |origin: &str| {
        let request = house
            .request(Method::OPTIONS, "/v1/me")
            .header("origin", origin);
        let request = request.header(
            "access-control-request-headers",
            "authorization,cache-control,x-made-up",
        );
        Answer::of(request.header("access-control-request-method", "PATCH")).await
    };
    let allowed = preflight("https://app.example.org").await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://app.example.org")
    );
    let headers = allowed.header("access-control-allow-headers");
    assert_eq!(
        headers,
        Some("authorization,cache-control,x-made-up"),
        "any request header"
    );
    preflight("https://evil.example")
        .await
        .problem(403, "origin_not_allowed");
    let simple = house
        .request(Method::GET, "/v1/me")
        .header("origin", "https://app.example.org");
    let simple = Answer::of(simple).await;
    assert_eq!(
        simple.header("access-control-allow-origin"),
        Some("https://app.example.org")
    );
    simple.problem(401, "authentication_required");
    assert_eq!(
        simple.header("www-authenticate"),
        Some("Bearer"),
        "like a request without an origin"
    );
}

#[tokio::test]
async fn without_configured_origins_no_origin_is_allowed() {
    let house = House::open().await;
    let answer = Answer::of(
        house
            .request(Method::GET, "/v1/me")
            .header("origin", "https://evil.example"),
    )
    .await;
    answer.problem(401, "authentication_required");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let house = House::open().await;
    let served = house.get("/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.json()["info"]["title"], "Plinth");
    let committed = include_str!("../../../openapi.json");
    assert!(
        served.bytes == committed.as_bytes(),
        "openapi.json is stale: `plinth-api openapi > openapi.json`"
    );
}

#[tokio::test]
async fn the_type_of_a_problem_leads_to_its_explanation() {
    let house = House::open().await;
    let problem = house
        .get("/v1/me")
        .await
        .problem(401, "authentication_required");
    let kind = Url::parse(&text(&problem["type"])).expect("a URL");
    let page = house.get(kind.path()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let page = String::from_utf8(page.bytes).expect("text");
    let section = format!("<section id=\"{}\">", kind.fragment().expect("a section"));
    assert!(page.contains(&section), "{page}");
}
