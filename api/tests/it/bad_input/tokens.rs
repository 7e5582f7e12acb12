//! Access tokens that nobody gave out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};

use crate::house::{Answer, House, PASSWORD};

/// A token's three parts, one of them replaced.
fn with_part(token: &str, part: usize, text: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[part] = text;
    parts.join(".")
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let token = &person.access_token;
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64");
    let header = String::from_utf8(header).expect("JSON");
    let claims = encode("{\"sub\":\"01937b1e-0000-7000-8000-000000000001\",\"exp\":99999999999}");
    let forged = [
        (
            "alg none",
            with_part(&with_part(token, 0, &encode("{\"alg\":\"none\",\"typ\":\"at+jwt\"}")), 2, ""),
        ),
        ("alg none, signed", with_part(token, 0, &encode(&header.replace("EdDSA", "none")))),
        ("alg HS256", with_part(token, 0, &encode(&header.replace("EdDSA", "HS256")))),
        (
            "a wrong kid",
            with_part(token, 0, &encode("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"../../dev/null\"}")),
        ),
        ("other claims", with_part(token, 1, &claims)),
        ("no signature", with_part(token, 2, "")),
        ("another signature", with_part(token, 2, &"A".repeat(86))),
        ("two parts", token.rsplit_once('.').expect("three").0.to_owned()),
        ("four parts", format!("{token}.x")),
        ("a refresh token", person.refresh_token.clone()),
        ("endless", "a".repeat(5_000)),
    ];
    for (name, token) in forged {
        let answer = Answer::of(house.request(Method::GET, "/v1/me").bearer_auth(&token)).await;
        eprintln!("{name}: {}", answer.status);
        answer.problem(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{name}");
    }
    let empty = house.request(Method::GET, "/v1/me").header("authorization", "Bearer ");
    assert_eq!(Answer::of(empty).await.status, StatusCode::UNAUTHORIZED);
    let basic = house.request(Method::GET, "/v1/me").basic_auth("ada", Some(PASSWORD));
    Answer::of(basic).await.problem(401, "authentication_required");
}
