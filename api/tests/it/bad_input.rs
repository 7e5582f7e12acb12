//! Bad input, one row a case; later capabilities add rows. Each gets a clear problem, nothing is stored, and the
//! process goes on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{Answer, House, PASSWORD, Person};
use crate::raw;

/// A request without credentials and what it must be answered with.
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
    Case { name, method: Method::POST, path, content_type, body: body.into(), status, code, faults }
}

const MALFORMED: (u16, &str) = (400, "malformed_json");
const INVALID: (u16, &str) = (422, "validation_failed");
const REGISTER: &str = "/v1/auth/register";
const LOGIN: &str = "/v1/auth/login";

fn cases() -> Vec<Case> {
    let registration = |part: &str| format!("{{\"email\":\"a@b.cd\",\"password\":\"long enough\",{part}}}");
    let deep = "[".repeat(100_000 / 4);
    vec![
        json_case("no body", REGISTER, "", MALFORMED, &[]),
        json_case("cut JSON", REGISTER, "{\"email\":\"a@b", MALFORMED, &[]),
        json_case("two values", REGISTER, "{} {}", MALFORMED, &[]),
        json_case("invalid UTF-8", REGISTER, b"{\"email\":\"\xff\xfe\"}".to_vec(), MALFORMED, &[]),
        json_case("endless nesting", REGISTER, deep, MALFORMED, &[]),
        json_case("a number beyond all", LOGIN, "{\"email\":1e999}", MALFORMED, &[]),
        json_case("no object", REGISTER, "[1,2]", INVALID, &[" wrong_type"]),
        json_case("null", REGISTER, "null", INVALID, &[" wrong_type"]),
        json_case("nothing given", REGISTER, "{}", INVALID, &["/email missing", "/password missing"]),
        json_case(
            "wrong types, all of them told",
            REGISTER,
            "{\"email\":7,\"password\":[],\"display_name\":{}}",
            INVALID,
            &["/display_name wrong_type", "/email wrong_type", "/password wrong_type"],
        ),
        json_case("an extra field", REGISTER, registration("\"role\":\"admin\""), INVALID, &["/role unknown_field"]),
        json_case("an extra field to escape", REGISTER, registration("\"a/~b\":1"), INVALID, &["/a~1~0b unknown_field"]),
        json_case("no address", REGISTER, "{\"email\":\"x\",\"password\":\"long enough\"}", INVALID, &["/email invalid_email"]),
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
            json!({ "email": format!("{}@b.cd", "x".repeat(300)), "password": "long enough" }).to_string(),
            INVALID,
            &["/email too_long"],
        ),
        json_case("NUL in a name", REGISTER, registration("\"display_name\":\"a\\u0000b\""), INVALID, &["/display_name control_character"]),
        json_case("NUL in an address", REGISTER, "{\"email\":\"a\\u0000@b.cd\",\"password\":\"long enough\"}", INVALID, &["/email invalid_email"]),
        json_case("control characters in a name", REGISTER, registration("\"display_name\":\"\\u001b[31m\""), INVALID, &["/display_name control_character"]),
        json_case("a name that reads backwards", REGISTER, registration("\"display_name\":\"a\\u202eb\""), INVALID, &["/display_name control_character"]),
        json_case("a name of spaces", REGISTER, registration("\"display_name\":\"   \""), INVALID, &["/display_name too_short"]),
        json_case(
            "an over-long name",
            REGISTER,
            registration(&format!("\"display_name\":\"{}\"", "é".repeat(101))),
            INVALID,
            &["/display_name too_long"],
        ),
        json_case("a lone surrogate", REGISTER, registration("\"display_name\":\"\\ud800\""), MALFORMED, &[]),
        json_case("a token of nothing", "/v1/auth/verify-email", "{\"token\":\"\"}", INVALID, &["/token invalid_token"]),
        json_case("a token of NUL", "/v1/auth/verify-email", "{\"token\":\"\\u0000\"}", INVALID, &["/token invalid_token"]),
        json_case("a refresh token of nothing", "/v1/auth/refresh", "{\"refresh_token\":\"x\"}", (401, "invalid_refresh_token"), &[]),
        json_case("NUL at a login", LOGIN, "{\"email\":\"a\\u0000\",\"password\":\"\\u0000\"}", (401, "invalid_credentials"), &[]),
        json_case("an oversized body", REGISTER, vec![b' '; 64 * 1024 + 1], (413, "too_large"), &[]),
        json_case("an oversized value", LOGIN, json!({ "email": "x".repeat(80_000), "password": "" }).to_string(), (413, "too_large"), &[]),
        Case { content_type: Some("text/plain"), ..json_case("text", REGISTER, "{}", (415, "unsupported_media_type"), &[]) },
        Case { content_type: Some("application/xml"), ..json_case("XML", REGISTER, "<a/>", (415, "unsupported_media_type"), &[]) },
        Case { content_type: Some("nonsense"), ..json_case("no media type", REGISTER, "{}", (415, "unsupported_media_type"), &[]) },
        Case { content_type: None, ..json_case("none at all", REGISTER, "{}", (415, "unsupported_media_type"), &[]) },
        Case { method: Method::GET, ..json_case("a wrong method", REGISTER, "", (405, "method_not_allowed"), &[]) },
        Case { method: Method::DELETE, ..json_case("another", "/v1/me", "", (405, "method_not_allowed"), &[]) },
        json_case("an unknown path", "/v1/nothing", "{}", (404, "not_found"), &[]),
        json_case("a path out of the house", "/v1/../../etc/passwd", "{}", (404, "not_found"), &[]),
        json_case("a path with NUL", "/v1/files/%00", "{}", (405, "method_not_allowed"), &[]),
        json_case("a path that is not UTF-8", "/v1/%ff", "{}", (400, "bad_request"), &[]),
    ]
}

#[tokio::test]
async fn each_gets_a_clear_problem_and_nothing_is_stored() {
    let house = House::open().await;
    for case in cases() {
        let mut request = house.request(case.method.clone(), case.path).body(case.body.clone());
        if let Some(content_type) = case.content_type {
            request = request.header("content-type", content_type);
        }
        let answer = Answer::of(request).await;
        println!("{}: {} {}", case.name, answer.status, String::from_utf8_lossy(&answer.bytes));
        answer.problem(case.status, case.code);
        assert_eq!(answer.faults(), case.faults, "{}", case.name);
    }
    assert_eq!((house.count("users").await, house.count("jobs").await, house.count("files").await), (0, 0, 0));
    house.person("ada").await;
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named_in_a_sentence() {
    let house = House::open().await;
    let problem = house.post(REGISTER, &json!({ "email": 1, "x": 2 })).await.problem(422, "validation_failed");
    for error in problem["errors"].as_array().expect("errors") {
        let detail = error["detail"].as_str().expect("a sentence");
        assert!(detail.ends_with('.') && detail.len() > 10, "{detail}");
    }
}

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
        ("alg none", with_part(&with_part(token, 0, &encode("{\"alg\":\"none\",\"typ\":\"at+jwt\"}")), 2, "")),
        ("alg none, signed", with_part(token, 0, &encode(&header.replace("EdDSA", "none")))),
        ("alg HS256", with_part(token, 0, &encode(&header.replace("EdDSA", "HS256")))),
        ("a wrong kid", with_part(token, 0, &encode("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"../../dev/null\"}"))),
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
        println!("{name}: {}", answer.status);
        answer.problem(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{name}");
    }
    let empty = house.request(Method::GET, "/v1/me").header("authorization", "Bearer ");
    assert_eq!(Answer::of(empty).await.status, StatusCode::UNAUTHORIZED);
    let basic = house.request(Method::GET, "/v1/me").basic_auth("ada", Some(PASSWORD));
    Answer::of(basic).await.problem(401, "authentication_required");
}

/// A form as a client's library would never write it.
async fn raw_form(house: &House, person: &Person, content_type: &str, body: Vec<u8>) -> Answer {
    let request = person.request(house, Method::POST, "/v1/files").header("content-type", content_type).body(body);
    Answer::of(request).await
}

#[tokio::test]
async fn broken_forms_are_refused_and_leave_nothing() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let form = "multipart/form-data; boundary=b";
    let part = |disposition: &str, end: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nbytes{end}").into_bytes()
    };
    let whole = "\r\n--b--\r\n";
    let cases: Vec<(&str, &str, Vec<u8>, (u16, &str), &[&str])> = vec![
        ("JSON", "application/json", b"{}".to_vec(), (415, "unsupported_media_type"), &[]),
        ("no boundary", "multipart/form-data", b"x".to_vec(), (415, "unsupported_media_type"), &[]),
        ("nothing", form, Vec::new(), (400, "malformed_form"), &[]),
        ("an empty form", form, b"--b--\r\n".to_vec(), INVALID, &["/file missing"]),
        ("another boundary", "multipart/form-data; boundary=c", part("name=\"file\"; filename=\"a\"", whole), (400, "malformed_form"), &[]),
        ("cut within the file", form, part("name=\"file\"; filename=\"a\"", ""), (400, "malformed_form"), &[]),
        ("cut within the end", form, part("name=\"file\"; filename=\"a\"", "\r\n--b"), (400, "malformed_form"), &[]),
        ("another field", form, part("name=\"avatar\"; filename=\"a\"", whole), INVALID, &["/avatar unknown_field"]),
        (
            "two files",
            form,
            [part("name=\"file\"; filename=\"a\"", "\r\n"), part("name=\"file\"; filename=\"b\"", whole)].concat(),
            INVALID,
            &["/file unknown_field"],
        ),
        ("a path for a name", form, part("name=\"file\"; filename=\"../../x\"", whole), INVALID, &["/file invalid_file_name"]),
        ("an absolute path", form, part("name=\"file\"; filename=\"/etc/passwd\"", whole), INVALID, &["/file invalid_file_name"]),
        ("a path of another system", form, part("name=\"file\"; filename=\"..\\x\"", whole), INVALID, &["/file invalid_file_name"]),
        ("two dots", form, part("name=\"file\"; filename=\"..\"", whole), INVALID, &["/file invalid_file_name"]),
        ("no name", form, part("name=\"file\"; filename=\"\"", whole), INVALID, &["/file too_short"]),
        ("a control character", form, part("name=\"file\"; filename=\"a\u{7}b\"", whole), (400, "malformed_form"), &[]),
        ("a name that reads backwards", form, part("name=\"file\"; filename=\"a\u{202e}b\"", whole), INVALID, &["/file control_character"]),
        (
            "an endless name",
            form,
            part(&format!("name=\"file\"; filename=\"{}\"", "x".repeat(300)), whole),
            INVALID,
            &["/file too_long"],
        ),
    ];
    for (name, content_type, body, (status, code), faults) in cases {
        let answer = raw_form(&house, &person, content_type, body).await;
        println!("{name}: {} {}", answer.status, String::from_utf8_lossy(&answer.bytes));
        answer.problem(status, code);
        assert_eq!(answer.faults(), faults, "{name}");
    }
    assert_eq!(house.count("files").await, 0);
    person.upload(&house, "good.txt", b"good".to_vec()).await;
}

#[tokio::test]
async fn what_is_no_http_ends_its_connection_and_nothing_else() {
    let house = House::open().await;
    let huge = format!("GET /v1/me HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(10 * 1024 * 1024));
    let many = format!("GET /v1/me HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    for (name, bytes, expected) in [
        ("10 MB of headers", huge.into_bytes(), "HTTP/1.1 431"),
        ("5,000 headers", many.into_bytes(), "HTTP/1.1 431"),
        ("no request line", b"\0\0\0\0\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        ("two lengths", b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}".to_vec(), "HTTP/1.1 400"),
    ] {
        let answer = raw::talk(&house.url, &bytes).await;
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }
    house.person("ada").await;
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let stage = plinth_testkit::Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "500ms");
    let house = House::on(stage).await;
    let stopped = b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"em";
    let answer = raw::talk(&house.url, stopped).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"code\":\"timeout\""), "{answer}");

    let person = house.person("ada").await;
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 9999\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nsome",
        person.access_token
    );
    let answer = raw::talk(&house.url, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(house.count("files").await, 0);
}
