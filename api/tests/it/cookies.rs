//! Session cookies in browsers, and what pages of other sites cannot do.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::house::{Answer, House, PASSWORD, text};

/// A browser with the cookies of its last response.
struct Browser<'a> {
    house: &'a House,
    origin: String,
    cookies: Vec<(String, String)>,
    csrf_token: String,
}

impl<'a> Browser<'a> {
    async fn log_in(house: &'a House, email: &str) -> Self {
        let origin = "http://127.0.0.1:8080".to_owned();
        let mut browser = Self {
            house,
            origin,
            cookies: Vec::new(),
            csrf_token: String::new(),
        };
        let answer = Answer::of(browser.login(email)).await;
        browser.store_cookies(&answer);
        let body = answer.expect(StatusCode::OK);
        browser.csrf_token = text(&body["csrf_token"]);
        browser
    }

    fn login(&self, email: &str) -> RequestBuilder {
        let body = json!({ "email": email, "password": PASSWORD, "keep": "cookie" });
        self.send(&Method::POST, "/v1/auth/login").json(&body)
    }

    /// Sends what a browser sends on its own.
    fn send(&self, method: &Method, path: &str) -> RequestBuilder {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self.house.request(method.clone(), path);
        let request = if cookies.is_empty() {
            request
        } else {
            request.header("cookie", cookies.join("; "))
        };
        if *method == Method::GET {
            request
        } else {
            request.header("origin", &self.origin)
        }
    }

    /// Adds what the page sends: the CSRF token and the origin.
    fn prove(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("x-csrf-token", &self.csrf_token)
    }

    fn store_cookies(&mut self, answer: &Answer) {
        for cookie in set_cookies(answer) {
            let (pair, attributes) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    async fn me(&self) -> Answer {
        Answer::of(self.send(&Method::GET, "/v1/me")).await
    }
}

fn set_cookies(answer: &Answer) -> Vec<String> {
    let values = answer.headers.get_all("set-cookie").into_iter();
    values
        .map(|value| value.to_str().expect("text").to_owned())
        .collect()
}

const RENAME: &str = "/v1/me";

fn rename(browser: &Browser<'_>) -> RequestBuilder {
    browser
        .send(&Method::PATCH, RENAME)
        .json(&json!({ "display_name": "Countess" }))
}

#[tokio::test]
async fn cookies_are_bound_to_the_host_and_hidden_from_scripts() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let browser = Browser {
        house: &house,
        origin: "http://127.0.0.1:8080".to_owned(),
        cookies: vec![],
        csrf_token: String::new(),
    };
    let answer = Answer::of(browser.login(&person.email)).await;
    let cookies = set_cookies(&answer);
    let names: Vec<_> = cookies
        .iter()
        .map(|cookie| cookie.split('=').next().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "__Host-plinth_access",
            "__Host-plinth_refresh",
            "__Host-plinth_device"
        ]
    );
    for cookie in &cookies {
        for attribute in [
            "; HttpOnly",
            "; Secure",
            "; SameSite=Strict",
            "; Path=/",
            "; Max-Age=",
        ] {
            assert!(cookie.contains(attribute), "{attribute} is not in {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn in_cookie_mode_no_body_contains_a_token() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut browser = Browser::log_in(&house, &person.email).await;
    let answer = Answer::of(
        browser
            .prove(browser.send(&Method::POST, "/v1/auth/refresh"))
            .json(&json!({})),
    )
    .await;
    browser.store_cookies(&answer);
    let body: Value = answer.expect(StatusCode::OK);
    for token in ["access_token", "refresh_token", "device_token"] {
        assert!(body[token].is_null(), "{token} is in {body}");
    }
    assert_eq!(body["token_type"], "Cookie");
    assert_eq!(
        text(&body["csrf_token"]),
        browser.csrf_token,
        "the token belongs to the session"
    );
    browser.me().await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_cookie_request_without_the_csrf_token_is_refused() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (browser, other) = (
        Browser::log_in(&house, &ada.email).await,
        Browser::log_in(&house, &bob.email).await,
    );
    Answer::of(rename(&browser))
        .await
        .problem(403, "csrf_failed");
    for wrong in ["", "x", other.csrf_token.as_str()] {
        Answer::of(rename(&browser).header("x-csrf-token", wrong))
            .await
            .problem(403, "csrf_failed");
    }
    let refresh = browser
        .send(&Method::POST, "/v1/auth/refresh")
        .json(&json!({}));
    Answer::of(refresh).await.problem(403, "csrf_failed");
    let logout = browser.send(&Method::POST, "/v1/auth/logout");
    Answer::of(logout).await.problem(403, "csrf_failed");
    assert_eq!(
        browser.me().await.expect(StatusCode::OK)["display_name"],
        "ada"
    );
    Answer::of(browser.prove(rename(&browser)))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn cookies_from_a_foreign_origin_are_refused() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut browser = Browser::log_in(&house, &person.email).await;
    for origin in [
        "https://evil.example",
        "http://127.0.0.1:8080.evil.example",
        "null",
    ] {
        origin.clone_into(&mut browser.origin);
        Answer::of(browser.prove(rename(&browser)))
            .await
            .problem(403, "csrf_failed");
        // A foreign page cannot log its visitor in to another account either.
        Answer::of(browser.login(&person.email))
            .await
            .problem(403, "csrf_failed");
    }
    // A page without an origin is refused too.
    let silent = house.request(Method::PATCH, RENAME).header(
        "cookie",
        format!("__Host-plinth_access={}", person.access_token),
    );
    let silent = browser.prove(silent).json(&json!({ "display_name": "x" }));
    Answer::of(silent).await.problem(403, "csrf_failed");
}

#[tokio::test]
async fn a_bearer_token_needs_no_csrf_token_even_beside_a_cookie() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let browser = Browser::log_in(&house, &person.email).await;
    Answer::of(rename(&browser).bearer_auth(&person.access_token))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_logout_clears_the_cookies() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut browser = Browser::log_in(&house, &person.email).await;
    let answer = Answer::of(browser.prove(browser.send(&Method::POST, "/v1/auth/logout"))).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let stolen = browser.cookies.clone();
    browser.store_cookies(&answer);
    let names: Vec<_> = browser
        .cookies
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["__Host-plinth_device"], "the device cookie stays");
    browser.cookies = stolen;
    browser.me().await.problem(401, "session_ended");
}

#[tokio::test]
async fn a_login_ends_the_previous_session_of_its_cookies() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut browser = Browser::log_in(&house, &person.email).await;
    let before = browser.cookies.clone();
    let answer = Answer::of(browser.login(&person.email)).await;
    browser.store_cookies(&answer);
    answer.expect(StatusCode::OK);
    browser.me().await.expect(StatusCode::OK);
    browser.cookies = before;
    browser.me().await.problem(401, "session_ended");
    person.get(&house, "/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_browser_logs_out_after_its_access_token_has_expired() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let mut browser = Browser::log_in(&house, &person.email).await;
    house.stores.clock.advance(time::Duration::minutes(6));
    // A browser deletes the access token when it expires.
    browser
        .cookies
        .retain(|(name, _)| name != "__Host-plinth_access");
    let logout = || browser.send(&Method::POST, "/v1/auth/logout");
    Answer::of(logout()).await.problem(403, "csrf_failed");
    for _ in 0..2 {
        let answer = Answer::of(browser.prove(logout())).await;
        assert_eq!(
            answer.status,
            StatusCode::NO_CONTENT,
            "also if the session has ended already"
        );
        assert!(
            answer
                .header("set-cookie")
                .is_some_and(|cookie| cookie.contains("Max-Age=0")),
            "{answer:?}"
        );
    }
    let refresh = browser
        .prove(browser.send(&Method::POST, "/v1/auth/refresh"))
        .json(&json!({}));
    Answer::of(refresh)
        .await
        .problem(401, "invalid_refresh_token");
}
