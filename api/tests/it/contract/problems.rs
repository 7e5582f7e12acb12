//! One complete problem of each kind that is easy to cause.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use super::answers::names_in;
use super::snapshot;
use crate::house::{Answer, House, Person, text};

const FOLDER: &str = "../snapshots/problems";

/// A request, and the expected problem.
struct Case {
    name: &'static str,
    request: RequestBuilder,
    status: u16,
    code: &'static str,
}

fn case(name: &'static str, request: RequestBuilder, (status, code): (u16, &'static str)) -> Case {
    Case {
        name,
        request,
        status,
        code,
    }
}

/// An API, and a person with a file.
struct Scene {
    house: House,
    person: Person,
    file: String,
}

impl Scene {
    async fn open() -> Self {
        let house = House::open().await;
        let person = house.person("ada").await;
        let file = text(&person.upload(&house, "notes.txt", b"text".to_vec()).await["id"]);
        Self {
            house,
            person,
            file,
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.person.request(&self.house, Method::GET, path)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.person
            .request(&self.house, Method::POST, path)
            .json(body)
    }

    fn register(&self, body: &Value) -> RequestBuilder {
        self.house
            .request(Method::POST, "/v1/auth/register")
            .json(body)
    }

    fn body(&self, content_type: &str, body: &str) -> RequestBuilder {
        let request = self.house.request(Method::POST, "/v1/auth/register");
        request
            .header("content-type", content_type)
            .body(body.to_owned())
    }

    fn login(&self, password: &str) -> RequestBuilder {
        let body = json!({ "email": self.person.email, "password": password });
        self.house
            .request(Method::POST, "/v1/auth/login")
            .json(&body)
    }

    fn content(&self) -> RequestBuilder {
        self.get(&format!("/v1/files/{}/content", self.file))
    }

    fn append(&self) -> RequestBuilder {
        let path = format!("/v1/uploads/{}", Uuid::new_v4());
        self.person
            .request(&self.house, Method::PATCH, &path)
            .header("tus-resumable", "0.2.2")
            .header("upload-offset", "0")
            .header("content-type", "application/offset+octet-stream")
    }

    /// Returns the requests whose responses do not depend on each other.
    fn cases(&self) -> Vec<Case> {
        const INVALID: (u16, &str) = (422, "validation_failed");
        let anonymous = |path: &str| self.house.request(Method::GET, path);
        let by_cookie = self.house.request(Method::PATCH, "/v1/me");
        let by_cookie = by_cookie.header(
            "cookie",
            format!("__Host-plinth_access={}", self.person.access_token),
        );
        vec![
            case(
                "malformed_json",
                self.body("application/json", "{\"email\":"),
                (400, "malformed_json"),
            ),
            case(
                "authentication_required",
                anonymous("/v1/me"),
                (401, "authentication_required"),
            ),
            case(
                "invalid_token",
                anonymous("/v1/me").bearer_auth("text"),
                (401, "invalid_token"),
            ),
            case(
                "invalid_credentials",
                self.login("a wrong guess"),
                (401, "invalid_credentials"),
            ),
            case(
                "permission_denied",
                self.get("/v1/users"),
                (403, "permission_denied"),
            ),
            case("csrf_failed", by_cookie, (403, "csrf_failed")),
            case(
                "not_found",
                self.get(&format!("/v1/files/{}", Uuid::new_v4())),
                (404, "not_found"),
            ),
            case(
                "not_found_path",
                anonymous("/v1/nothing"),
                (404, "not_found"),
            ),
            case(
                "method_not_allowed",
                anonymous("/v1/auth/register"),
                (405, "method_not_allowed"),
            ),
            case(
                "no_other_credential",
                self.person
                    .request(&self.house, Method::DELETE, "/v1/me/password"),
                (409, "no_other_credential"),
            ),
            case(
                "precondition_failed",
                self.content().header("if-match", "\"other\""),
                (412, "precondition_failed"),
            ),
            case("tus_version", self.append(), (412, "tus_version")),
            case(
                "too_large",
                self.body("application/json", &" ".repeat(64 * 1024 + 1)),
                (413, "too_large"),
            ),
            case(
                "unsupported_media_type",
                self.body("application/xml", "<a/>"),
                (415, "unsupported_media_type"),
            ),
            case(
                "range_not_satisfiable",
                self.content().header("range", "bytes=4-"),
                (416, "range_not_satisfiable"),
            ),
            case(
                "validation_failed_missing",
                self.register(&json!({})),
                INVALID,
            ),
            case(
                "validation_failed_types",
                self.register(&json!({ "email": 7, "password": [], "role": "admin" })),
                INVALID,
            ),
            case(
                "validation_failed_rules",
                self.register(&json!({ "email": "a@b", "password": "short", "display_name": " " })),
                INVALID,
            ),
            case(
                "validation_failed_query",
                self.get("/v1/files?limit=0&limit=1&no_such_parameter=x"),
                INVALID,
            ),
            case(
                "not_found_id",
                self.get("/v1/files/text"),
                (404, "not_found"),
            ),
            case(
                "validation_failed_token",
                self.house
                    .request(Method::POST, "/v1/auth/verify-email")
                    .json(&json!({ "token": "text", "password": "x" })),
                INVALID,
            ),
        ]
    }
}

#[tokio::test]
async fn a_problem_is_as_in_its_snapshot() {
    let mut scene = Scene::open().await;
    let mut names = BTreeSet::new();
    let mut pin = async |case: Case| {
        eprintln!("{}", case.name);
        names.insert(case.name.to_owned());
        let answer = snapshot::compare(FOLDER, case.name, case.request).await;
        answer.problem(case.status, case.code);
    };
    for case in scene.cases() {
        pin(case).await;
    }
    // After several guesses, the next one has to wait.
    for _ in 0..5 {
        scene
            .login("a wrong guess")
            .send()
            .await
            .expect("the API answers");
    }
    pin(case(
        "rate_limited",
        scene.login("a wrong guess"),
        (429, "rate_limited"),
    ))
    .await;
    let clock = &scene.house.stores.clock;
    clock.advance(Duration::minutes(5) + Duration::seconds(1));
    pin(case(
        "token_expired",
        scene.get("/v1/me"),
        (401, "token_expired"),
    ))
    .await;
    // The session is valid, but its login is too old for a sensitive operation.
    let body = json!({ "refresh_token": scene.person.refresh_token });
    let refreshed = scene.post("/v1/auth/refresh", &body);
    let tokens = Answer::of(refreshed).await.expect(StatusCode::OK);
    scene.person.access_token = text(&tokens["access_token"]);
    let key = json!({ "name": "deploy", "scopes": ["files:read"] });
    let late = scene.post("/v1/me/api-keys", &key);
    pin(case("step_up_required", late, (403, "step_up_required"))).await;
    assert_eq!(
        names_in("tests/it/snapshots/problems"),
        names,
        "each snapshot has its case"
    );
}
