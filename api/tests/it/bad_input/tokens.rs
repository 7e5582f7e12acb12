//! Access tokens that the server did not issue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::house::{Answer, House, PASSWORD};

/// Replaces one of the three parts of a token.
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
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().expect("a header"))
        .expect("base64");
    let header = String::from_utf8(header).expect("JSON");
    let claims = encode("{\"sub\":\"01937b1e-0000-7000-8000-000000000001\",\"exp\":99999999999}");
    let forged = [
        (
            "alg none",
            with_part(
                &with_part(token, 0, &encode("{\"alg\":\"none\",\"typ\":\"at+jwt\"}")),
                2,
                "",
            ),
        ),
        (
            "alg none, signed",
            with_part(token, 0, &encode(&header.replace("EdDSA", "none"))),
        ),
        (
            "alg HS256",
            with_part(token, 0, &encode(&header.replace("EdDSA", "HS256"))),
        ),
        (
            "a wrong kid",
            with_part(
                token,
                0,
                &encode("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"../../dev/null\"}"),
            ),
        ),
        ("other claims", with_part(token, 1, &claims)),
        ("no signature", with_part(token, 2, "")),
        ("another signature", with_part(token, 2, &"A".repeat(86))),
        (
            "two parts",
            token.rsplit_once('.').expect("three").0.to_owned(),
        ),
        ("four parts", format!("{token}.x")),
        ("a refresh token", person.refresh_token.clone()),
        ("endless", "a".repeat(5_000)),
    ];
    for (name, token) in forged {
        let answer = Answer::of(house.request(Method::GET, "/v1/me").bearer_auth(&token)).await;
        eprintln!("{name}: {}", answer.status);
        answer.problem(401, "invalid_token");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer error=\"invalid_token\""),
            "{name}"
        );
    }
    let empty = house
        .request(Method::GET, "/v1/me")
        .header("authorization", "Bearer ");
    assert_eq!(Answer::of(empty).await.status, StatusCode::UNAUTHORIZED);
    let basic = house
        .request(Method::GET, "/v1/me")
        .basic_auth("ada", Some(PASSWORD));
    Answer::of(basic)
        .await
        .problem(401, "authentication_required");
}

/// Returns an address, and the number of connections to it.
async fn trap() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let fetched = Arc::new(AtomicUsize::new(0));
    let counted = fetched.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (format!("http://{address}/jwks.json"), fetched)
}

#[tokio::test]
async fn a_token_with_an_embedded_or_referenced_key_is_refused() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut parts = person.access_token.split('.');
    let (header, claims) = (
        parts.next().expect("a header"),
        parts.next().expect("claims"),
    );
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64")).expect("JSON");
    let ours = house
        .get("/.well-known/jwks.json")
        .await
        .expect(StatusCode::OK)["keys"][0]
        .clone();
    assert_eq!(ours["kid"], header["kid"]);

    let attacker = Ed25519KeyPair::generate().expect("a key");
    let public = attacker.public_key().as_ref().to_vec();
    let x = URL_SAFE_NO_PAD.encode(&public);
    let jwk = |kid: &Value| json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x });
    let (url, fetched) = trap().await;
    // The claims are those of a valid token, so that only the key is wrong.
    let with = |changes: Value| {
        let mut header = header.clone();
        for (name, value) in changes.as_object().expect("an object") {
            header[name] = value.clone();
        }
        let header = header.as_object().expect("an object").clone();
        Value::Object(
            header
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        )
    };
    let (own, known) = (json!("attacker"), header["kid"].clone());
    let headers = [
        with(json!({ "kid": own, "jwk": jwk(&own) })),
        with(json!({ "kid": known, "jwk": jwk(&known) })),
        with(json!({ "kid": null, "jwk": jwk(&own) })),
        with(json!({ "kid": own, "jku": url })),
        with(json!({ "kid": known, "jku": url })),
        with(json!({ "kid": own, "x5u": url })),
        with(json!({ "kid": own, "x5c": [URL_SAFE_NO_PAD.encode(&public)] })),
        with(json!({ "kid": url })),
        with(json!({ "kid": x })),
        with(json!({ "kid": "' OR '1'='1" })),
        with(json!({ "kid": "../../../dev/null" })),
        with(json!({ "kid": "" })),
        with(json!({ "kid": jwk(&own) })),
    ];
    let ask = async |token: &str| {
        Answer::of(house.request(Method::GET, "/v1/me").bearer_auth(token)).await
    };
    for header in headers {
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let signature = attacker.sign(signed.as_bytes());
        let checked =
            UnparsedPublicKey::new(&ED25519, &public).verify(signed.as_bytes(), signature.as_ref());
        assert!(checked.is_ok(), "it verifies with the attacker's key");
        let answer = ask(&format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature.as_ref())
        ))
        .await;
        eprintln!("{header}: {}", answer.status);
        answer.problem(401, "invalid_token");
    }

    // A symmetric algorithm, with our public key as the secret.
    let public = URL_SAFE_NO_PAD
        .decode(ours["x"].as_str().expect("a text"))
        .expect("base64");
    for secret in [
        public,
        ours["x"].to_string().into_bytes(),
        ours.to_string().into_bytes(),
    ] {
        let header = with(json!({ "alg": "HS256" }));
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &secret),
            signed.as_bytes(),
        );
        let answer = ask(&format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(tag.as_ref())
        ))
        .await;
        answer.problem(401, "invalid_token");
    }
    assert_eq!(
        fetched.load(Ordering::SeqCst),
        0,
        "no key is fetched from a URL in a token"
    );
    ask(&person.access_token).await.expect(StatusCode::OK);
}
