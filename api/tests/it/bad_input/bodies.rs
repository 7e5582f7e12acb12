//! Bodies and paths without credentials.

use reqwest::Method;
use serde_json::json;

use crate::house::{Answer, House};

/// A request without credentials, and the expected error.
struct Case {
    name: &'static str,
    method: Method,
    path: &'static str,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    faults: &'static [&'static str],
}

fn json_case(
    name: &'static str,
    path: &'static str,
    body: impl Into<Vec<u8>>,
    (status, code): (u16, &'static str),
    faults: &'static [&'static str],
) -> Case {
    let content_type = Some("application/json");
    Case {
        name,
        method: Method::POST,
        path,
        content_type,
        body: body.into(),
        status,
        code,
        faults,
    }
}

const MALFORMED: (u16, &str) = (400, "malformed_json");
const INVALID: (u16, &str) = (422, "validation_failed");
const REGISTER: &str = "/v1/auth/register";
const LOGIN: &str = "/v1/auth/login";

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cases() -> Vec<Case> {
    let registration =
        |part: &str| format!("{{\"email\":\"a@b.cd\",\"password\":\"long enough\",{part}}}");
    let deep = "[".repeat(100_000 / 4);
    vec![
        json_case("no body", REGISTER, "", MALFORMED, &[]),
        json_case("cut JSON", REGISTER, "{\"email\":\"a@b", MALFORMED, &[]),
        json_case(
            "a repeated member",
            LOGIN,
            "{\"email\":\"a@b.cd\",\"email\":\"c@b.cd\",\"password\":\"long enough\"}",
            MALFORMED,
            &[],
        ),
        json_case("two values", REGISTER, "{} {}", MALFORMED, &[]),
        json_case(
            "invalid UTF-8",
            REGISTER,
            b"{\"email\":\"\xff\xfe\"}".to_vec(),
            MALFORMED,
            &[],
        ),
        json_case("endless nesting", REGISTER, deep, MALFORMED, &[]),
        json_case(
            "a number out of range",
            LOGIN,
            "{\"email\":1e999}",
            MALFORMED,
            &[],
        ),
        json_case("no object", REGISTER, "[1,2]", INVALID, &[" wrong_type"]),
        json_case("null", REGISTER, "null", INVALID, &[" wrong_type"]),
        json_case(
            "nothing given",
            REGISTER,
            "{}",
            INVALID,
            &["/email missing", "/password missing"],
        ),
        json_case(
            "several wrong types",
            REGISTER,
            "{\"email\":7,\"password\":[],\"display_name\":{}}",
            INVALID,
            &[
                "/display_name wrong_type",
                "/email wrong_type",
                "/password wrong_type",
            ],
        ),
        json_case(
            "an extra field",
            REGISTER,
            registration("\"role\":\"admin\""),
            INVALID,
            &["/role unknown_field"],
        ),
        json_case(
            "an extra field to escape",
            REGISTER,
            registration("\"a/~b\":1"),
            INVALID,
            &["/a~1~0b unknown_field"],
        ),
        json_case(
            "no address",
            REGISTER,
            "{\"email\":\"x\",\"password\":\"long enough\"}",
            INVALID,
            &["/email invalid_email"],
        ),
        json_case(
            "an address and a password that break their rules",
            REGISTER,
            "{\"email\":\"a@b\",\"password\":\"short\"}",
            INVALID,
            &["/email invalid_email", "/password too_short"],
        ),
        json_case(
            "an over-long password",
            REGISTER,
            json!({ "email": "a@b.cd", "password": "x".repeat(129) }).to_string(),
            INVALID,
            &["/password too_long"],
        ),
        json_case(
            "an over-long address",
            REGISTER,
            json!({ "email": format!("{}@b.cd", "x".repeat(300)), "password": "long enough" })
                .to_string(),
            INVALID,
            &["/email too_long"],
        ),
        json_case(
            "NUL in a name",
            REGISTER,
            registration("\"display_name\":\"a\\u0000b\""),
            INVALID,
            &["/display_name control_character"],
        ),
        json_case(
            "NUL in an address",
            REGISTER,
            "{\"email\":\"a\\u0000@b.cd\",\"password\":\"long enough\"}",
            INVALID,
            &["/email invalid_email"],
        ),
        json_case(
            "control characters in a name",
            REGISTER,
            registration("\"display_name\":\"\\u001b[31m\""),
            INVALID,
            &["/display_name control_character"],
        ),
        json_case(
            "a name that reads backwards",
            REGISTER,
            registration("\"display_name\":\"a\\u202eb\""),
            INVALID,
            &["/display_name control_character"],
        ),
        json_case(
            "a name of spaces",
            REGISTER,
            registration("\"display_name\":\"   \""),
            INVALID,
            &["/display_name too_short"],
        ),
        json_case(
            "an over-long name",
            REGISTER,
            registration(&format!("\"display_name\":\"{}\"", "é".repeat(101))),
            INVALID,
            &["/display_name too_long"],
        ),
        json_case(
            "a lone surrogate",
            REGISTER,
            registration("\"display_name\":\"\\ud800\""),
            MALFORMED,
            &[],
        ),
        json_case(
            "an empty token",
            "/v1/auth/verify-email",
            "{\"token\":\"\",\"password\":\"x\"}",
            INVALID,
            &["/token invalid_token"],
        ),
        json_case(
            "a token of NUL",
            "/v1/auth/verify-email",
            "{\"token\":\"\\u0000\",\"password\":\"\\u0000\"}",
            INVALID,
            &["/token invalid_token"],
        ),
        json_case(
            "an empty refresh token",
            "/v1/auth/refresh",
            "{\"refresh_token\":\"x\"}",
            (401, "invalid_refresh_token"),
            &[],
        ),
        json_case(
            "NUL at a login",
            LOGIN,
            "{\"email\":\"a\\u0000\",\"password\":\"\\u0000\"}",
            (401, "invalid_credentials"),
            &[],
        ),
        json_case(
            "an oversized body",
            REGISTER,
            vec![b' '; 64 * 1024 + 1],
            (413, "too_large"),
            &[],
        ),
        json_case(
            "an oversized value",
            LOGIN,
            json!({ "email": "x".repeat(80_000), "password": "" }).to_string(),
            (413, "too_large"),
            &[],
        ),
        Case {
            content_type: Some("text/plain"),
            ..json_case("text", REGISTER, "{}", (415, "unsupported_media_type"), &[])
        },
        Case {
            content_type: Some("application/xml"),
            ..json_case(
                "XML",
                REGISTER,
                "<a/>",
                (415, "unsupported_media_type"),
                &[],
            )
        },
        Case {
            content_type: Some("nonsense"),
            ..json_case(
                "no media type",
                REGISTER,
                "{}",
                (415, "unsupported_media_type"),
                &[],
            )
        },
        Case {
            content_type: None,
            ..json_case(
                "an empty media type",
                REGISTER,
                "{}",
                (415, "unsupported_media_type"),
                &[],
            )
        },
        Case {
            method: Method::GET,
            ..json_case(
                "a wrong method",
                REGISTER,
                "",
                (405, "method_not_allowed"),
                &[],
            )
        },
        Case {
            method: Method::DELETE,
            ..json_case(
                "another",
                "/v1/me/notifications",
                "",
                (405, "method_not_allowed"),
                &[],
            )
        },
        Case {
            method: Method::TRACE,
            ..json_case("an echo", "/v1/me", "", (405, "method_not_allowed"), &[])
        },
        json_case(
            "an unknown path",
            "/v1/nothing",
            "{}",
            (404, "not_found"),
            &[],
        ),
        json_case(
            "a path traversal",
            "/v1/../../etc/passwd",
            "{}",
            (404, "not_found"),
            &[],
        ),
        json_case(
            "a path with NUL",
            "/v1/files/%00",
            "{}",
            (405, "method_not_allowed"),
            &[],
        ),
        json_case(
            "a path that is not UTF-8",
            "/v1/%ff",
            "{}",
            (404, "not_found"),
            &[],
        ),
    ]
}

#[tokio::test]
async fn each_case_gets_a_clear_problem_and_stores_nothing() {
    let house = House::open().await;
    for case in cases() {
        let mut request = house
            .request(case.method.clone(), case.path)
            .body(case.body.clone());
        if let Some(content_type) = case.content_type {
            request = request.header("content-type", content_type);
        }
        let answer = Answer::of(request).await;
        eprintln!(
            "{}: {} {}",
            case.name,
            answer.status,
            String::from_utf8_lossy(&answer.bytes)
        );
        answer.problem(case.status, case.code);
        assert_eq!(answer.faults(), case.faults, "{}", case.name);
    }
    assert_eq!(
        (
            house.count("users").await,
            house.count("jobs").await,
            house.count("files").await
        ),
        (0, 0, 0)
    );
    house.person("ada").await;
}

#[tokio::test]
async fn every_wrong_field_is_reported_with_a_sentence() {
    let house = House::open().await;
    let problem = house
        .post(REGISTER, &json!({ "email": 1, "x": 2 }))
        .await
        .problem(422, "validation_failed");
    for error in problem["errors"].as_array().expect("errors") {
        let detail = error["detail"].as_str().expect("a sentence");
        assert!(detail.ends_with('.') && detail.len() > 10, "{detail}");
    }
}
