//! Every operation of the document, called by callers who must not be able to. A new operation
//! without an entry fails here.

use futures_util::future::join_all;
use plinth_domain::permission::Permission;
use plinth_platform::crypto::ApiKeyToken;
use plinth_testkit::{PATIENCE, Stage};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use time::Duration;
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use crate::house::{Answer, House, Person, text};
use crate::operations::{Operation, operations, present_document};
use crate::raw;

/// The operations that are open to everyone: logins, and operations with a token in the path.
const OPEN: &[&str] = &[
    "GET /.well-known/jwks.json",
    "GET /v1/content/{ticket}",
    "GET /v1/links/{token}",
    "GET /v1/links/{token}/content",
    "HEAD /v1/content/{ticket}",
    "HEAD /v1/links/{token}/content",
    "OPTIONS /v1/uploads",
    "POST /v1/auth/email/confirm",
    "POST /v1/auth/email/undo",
    "POST /v1/auth/email/undo/mfa",
    "POST /v1/auth/login",
    "POST /v1/auth/login/mfa",
    "POST /v1/auth/logout",
    "POST /v1/auth/passkeys/login/finish",
    "POST /v1/auth/passkeys/login/start",
    "POST /v1/auth/password/forgot",
    "POST /v1/auth/password/reset",
    "POST /v1/auth/refresh",
    "POST /v1/auth/register",
    "POST /v1/auth/registrations/discard",
    "POST /v1/auth/restore",
    "POST /v1/auth/verify-email",
    "POST /v1/auth/verify-email/resend",
    "POST /v1/links/{token}/tickets",
];

/// The operations that could make an intrusion permanent: each requires a step-up and refuses
/// impersonation.
const SENSITIVE: &[&str] = &[
    "DELETE /v1/me",
    "DELETE /v1/me/email/undo",
    "DELETE /v1/me/password",
    "DELETE /v1/roles/{name}",
    "PATCH /v1/roles/{name}",
    "POST /v1/me/api-keys",
    "POST /v1/me/email",
    "POST /v1/roles",
    "POST /v1/users/{id}/impersonate",
    "POST /v1/users/{id}/password/reset",
    "PUT /v1/me/password",
    "PUT /v1/users/{id}/roles",
];

/// The operations with effects that outlive an impersonation: they refuse it.
const LASTING: &[&str] = &[
    "POST /v1/files/{id}/links",
    "POST /v1/me/api-keys",
    "POST /v1/me/passkeys/start",
];

/// The paths of resources without an owner.
const COMMON: &[&str] = &["/v1/jobs/", "/v1/queues/", "/v1/roles/", "/v1/users/"];

/// The body of a request.
enum Body {
    Json(Value),
    /// A form with a file.
    Form,
    /// The bytes of a tus upload.
    Bytes,
}

/// Returns the smallest body that matches the schema, if the operation has one.
fn body_of(operation: &Operation, document: &Value) -> Option<Body> {
    if operation.method == Method::PATCH && operation.path.starts_with("/v1/uploads") {
        return Some(Body::Bytes);
    }
    let content = operation
        .description
        .pointer("/requestBody/content")?
        .as_object()?;
    let (kind, described) = content.iter().next()?;
    Some(match kind.as_str() {
        "application/json" => {
            Body::Json(smallest(document, &described["schema"], &operation.name()))
        }
        "multipart/form-data" => Body::Form,
        other => panic!(
            "{}: add a body of type {other} to this test",
            operation.name()
        ),
    })
}

/// Returns a minimal value that matches the schema.
fn smallest(document: &Value, schema: &Value, name: &str) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document
            .pointer(&reference[1..])
            .expect("a reference has a target");
        return smallest(document, schema, name);
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("object"), _) => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let field = |field: Value| {
                let field = text(&field);
                let value = smallest(document, &schema["properties"][&field], name);
                (field, value)
            };
            Value::Object(required.into_iter().map(field).collect::<Map<_, _>>())
        }
        (Some("array"), _) => json!([]),
        (Some("boolean"), _) => json!(false),
        (Some("integer" | "number"), _) => json!(1),
        (Some("string"), Some("uuid")) => json!(Uuid::new_v4()),
        (Some("string"), _) => json!("text"),
        other => panic!("{name}: add a value for {other:?} to this test"),
    }
}

/// Creates a person without any permission.
async fn person_without_permissions(house: &House) -> Person {
    let person = house.person("nobody").await;
    let database = &house.stores.db;
    sqlx::query("INSERT INTO roles (name, permissions) VALUES ('nothing', '{}')")
        .execute(database)
        .await
        .expect("inserts");
    let replace = "UPDATE user_roles SET role = 'nothing' WHERE user_id = $1";
    sqlx::query(replace)
        .bind(person.id.0)
        .execute(database)
        .await
        .expect("updates");
    house.forget_copies().await;
    person
}

/// Creates a key with every permission, including those that the API grants to no key.
async fn key_with_all_permissions(house: &House, owner: &Person) -> String {
    let token = ApiKeyToken::generate();
    let scopes: Vec<_> = Permission::ALL
        .iter()
        .map(|permission| permission.as_str())
        .collect();
    sqlx::query(
        "INSERT INTO api_keys (id, user_id, name, token_hash, hint, scopes, created_at)
         VALUES (gen_random_uuid(), $1, 'almighty', $2, '', $3, now())",
    )
    .bind(owner.id.0)
    .bind(token.hash())
    .bind(scopes)
    .execute(&house.stores.db)
    .await
    .expect("inserts");
    token.reveal().to_owned()
}

/// Resources of another account: values of path parameters, by the prefix of the path.
pub(crate) type Things = Vec<(&'static str, Vec<(&'static str, String)>)>;

pub(crate) async fn things_of(house: &House, other: &Person) -> Things {
    // Enough of a picture to enqueue a job.
    let file = other
        .upload(house, "a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec())
        .await;
    let links = format!("/v1/files/{}/links", text(&file["id"]));
    other
        .post(house, &links, &json!({}))
        .await
        .expect(StatusCode::CREATED);
    let link = text(&other.get(house, &links).await.expect(StatusCode::OK)["items"][0]["id"]);
    let key = json!({ "name": "theirs", "scopes": ["files:read"] });
    let key = other
        .post(house, "/v1/me/api-keys", &key)
        .await
        .expect(StatusCode::CREATED);
    let upload = other
        .request(house, Method::POST, "/v1/uploads")
        .header("tus-resumable", "1.0.0");
    let upload = Answer::of(upload.header("upload-length", "4")).await;
    let upload = upload
        .header("location")
        .and_then(|place| place.rsplit('/').next())
        .expect("a place");
    let direct = json!({ "filename": "b.txt", "size": 4, "sha256": "0".repeat(64) });
    let direct = other
        .post(house, "/v1/direct-uploads", &direct)
        .await
        .expect(StatusCode::CREATED);
    let app = other
        .post(house, "/v1/me/mfa/totp", &json!({ "name": "Phone" }))
        .await;
    let app = text(&app.expect(StatusCode::CREATED)["id"]);
    house.passkey_row(other.id).await;
    let passkey: Uuid = sqlx::query_scalar("SELECT id FROM passkeys")
        .fetch_one(&house.stores.db)
        .await
        .expect("one");
    let of_file = ["id", "link_id", "number", "preset"];
    let of_file =
        of_file
            .into_iter()
            .zip([text(&file["id"]), link, "1".to_owned(), "small".to_owned()]);
    let one = |id: String| vec![("id", id)];
    vec![
        ("/v1/files/", of_file.collect()),
        ("/v1/uploads/", one(upload.to_owned())),
        ("/v1/direct-uploads/", one(text(&direct["upload"]["id"]))),
        ("/v1/me/jobs/", one(text(&file["job_id"]))),
        ("/v1/me/sessions/", one(other.session_id.to_string())),
        ("/v1/me/api-keys/", one(text(&key["api_key"]["id"]))),
        ("/v1/me/mfa/totp/", one(app)),
        ("/v1/me/passkeys/", one(passkey.to_string())),
    ]
}

#[tokio::test]
async fn no_operation_accepts_an_undocumented_parameter() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_FILES_DIRECT_UPLOADS", "true"),
    )
    .await;
    let document = present_document();
    let admin = house.administrator().await;
    for operation in operations(&document) {
        let (path, body) = (operation.nowhere(), body_of(&operation, &document));
        let token = Some(admin.access_token.as_str());
        let misspelt = format!("{path}?no_such_parameter=1");
        let answer = ask(&house, &operation, &misspelt, token, body.as_ref()).await;
        if operation.method == Method::HEAD {
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        } else {
            answer.problem(422, "validation_failed");
            assert_eq!(
                answer.faults(),
                ["/query/no_such_parameter unknown_parameter"]
            );
        }
        let parameters = operation.description["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for parameter in parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
        {
            let name = text(&parameter["name"]);
            let documented = format!("{path}?{name}=x");
            let answer = ask(&house, &operation, &documented, token, body.as_ref()).await;
            assert!(
                !answer
                    .faults()
                    .iter()
                    .any(|fault| fault.ends_with(" unknown_parameter")),
                "{name}"
            );
            let twice = format!("{path}?{name}=x&{name}=x");
            let answer = ask(&house, &operation, &twice, token, body.as_ref()).await;
            if operation.method != Method::HEAD {
                assert_eq!(answer.faults(), [format!("/query/{name} ambiguous")]);
            }
        }
    }
}

/// Sends a request like a browser with the token in a cookie, from a page without an origin.
async fn ask_by_cookie(house: &House, operation: &Operation, token: &str) -> Answer {
    let request = house.request(operation.method.clone(), &operation.nowhere());
    let answer =
        Answer::of(request.header("cookie", format!("__Host-plinth_access={token}"))).await;
    eprintln!("{} by cookie: {}", operation.name(), answer.status);
    answer
}

async fn ask(
    house: &House,
    operation: &Operation,
    path: &str,
    token: Option<&str>,
    body: Option<&Body>,
) -> Answer {
    let mut request = house
        .request(operation.method.clone(), path)
        .header("tus-resumable", "1.0.0");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request = match body {
        None => request,
        Some(Body::Json(body)) => request.json(body),
        Some(Body::Form) => request.multipart(reqwest::multipart::Form::new().text("file", "text")),
        Some(Body::Bytes) => {
            let typed = request.header("content-type", "application/offset+octet-stream");
            typed.header("upload-offset", "0").body("text")
        }
    };
    let answer = Answer::of(request).await;
    // Shown if an assertion fails, which does not know the operation.
    eprintln!(
        "{} {path}: {} {}",
        operation.name(),
        answer.status,
        String::from_utf8_lossy(&answer.bytes)
    );
    answer
}

/// A response to HEAD has no body with a code.
fn refused(operation: &Operation, answer: &Answer, status: u16, code: &str) -> Option<Value> {
    if operation.method == Method::HEAD {
        assert_eq!(answer.status.as_u16(), status);
        return None;
    }
    Some(answer.problem(status, code))
}

#[tokio::test]
async fn every_operation_refuses_callers_without_access() {
    // Longer than a token counts as recently authenticated.
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_ACCESS_TOKEN_LIFETIME", "30m");
    let house = House::on(stage.with("PLINTH_FILES_DIRECT_UPLOADS", "true")).await;
    let document = present_document();
    let (open, closed): (Vec<_>, Vec<_>) = operations(&document)
        .into_iter()
        .partition(Operation::is_open);
    let mut names: Vec<_> = open.iter().map(Operation::name).collect();
    names.sort_unstable();
    assert_eq!(names, OPEN, "every open operation is listed here");
    assert!(closed.len() > 20, "found only {} operations", closed.len());

    let admin = house.administrator().await;
    let nobody = person_without_permissions(&house).await;
    let key = key_with_all_permissions(&house, &admin).await;
    for operation in &closed {
        // Without a body: authentication comes first.
        let path = operation.nowhere();
        let answer = ask(&house, operation, &path, None, None).await;
        refused(operation, &answer, 401, "authentication_required");
        match operation.permission() {
            Some(permission) => {
                let answer = ask(&house, operation, &path, Some(&nobody.access_token), None).await;
                if let Some(problem) = refused(operation, &answer, 403, "permission_denied") {
                    assert_eq!(
                        problem["detail"],
                        format!("The permission {permission} is required.")
                    );
                }
            }
            None => assert!(
                !operation.says("x-api-keys"),
                "{} requires authentication",
                operation.name()
            ),
        }
        if !operation.says("x-api-keys") {
            ask(&house, operation, &path, Some(&key), None)
                .await
                .problem(403, "session_required");
        }
        if !operation.method.is_safe() {
            ask_by_cookie(&house, operation, &admin.access_token)
                .await
                .problem(403, "csrf_failed");
        }
    }

    let other = house.person("other").await;
    let things = things_of(&house, &other).await;
    for operation in closed.iter().filter(|operation| operation.has_parameters()) {
        let body = body_of(operation, &document);
        let mut paths = vec![operation.nowhere()];
        match things
            .iter()
            .find(|(prefix, _)| operation.path.starts_with(prefix))
        {
            Some((_, values)) => paths.push(operation.path_with(|wanted| {
                let value = values.iter().find(|(name, _)| *name == wanted);
                value
                    .unwrap_or_else(|| panic!("{}: add a value for {wanted}", operation.name()))
                    .1
                    .clone()
            })),
            None => assert!(
                COMMON
                    .iter()
                    .any(|prefix| operation.path.starts_with(prefix)),
                "{}: add a resource of another account, or list it as common",
                operation.name()
            ),
        }
        for path in paths {
            let answer = ask(
                &house,
                operation,
                &path,
                Some(&admin.access_token),
                body.as_ref(),
            )
            .await;
            refused(operation, &answer, 404, "not_found");
        }
    }
    other.get(&house, "/v1/me").await.expect(StatusCode::OK);
    other
        .get(&house, &format!("/v1/files/{}", things[0].1[0].1))
        .await
        .expect(StatusCode::OK);

    let sensitive: Vec<_> = closed
        .iter()
        .filter(|operation| operation.says("x-step-up"))
        .collect();
    for name in SENSITIVE {
        assert!(
            sensitive.iter().any(|operation| operation.name() == *name),
            "{name} requires no step-up"
        );
    }
    let chief = house.administrator().await;
    let path = format!("/v1/users/{}/impersonate", admin.id);
    let acting = chief
        .post(&house, &path, &json!({ "reason": "a look" }))
        .await
        .expect(StatusCode::OK);
    let acting = text(&acting["access_token"]);
    let in_own_name: Vec<_> = closed
        .iter()
        .filter(|operation| !operation.says("x-impersonation"))
        .collect();
    for name in SENSITIVE.iter().chain(LASTING) {
        assert!(
            in_own_name
                .iter()
                .any(|operation| operation.name() == *name),
            "{name}: impersonation"
        );
    }
    for operation in &in_own_name {
        let answer = ask(&house, operation, &operation.nowhere(), Some(&acting), None).await;
        answer.problem(403, "impersonation_forbidden");
    }
    for operation in &sensitive {
        assert!(
            !operation.says("x-impersonation"),
            "{} allows impersonation",
            operation.name()
        );
    }

    house
        .stores
        .clock
        .advance(Duration::minutes(5) + Duration::seconds(1));
    for operation in sensitive {
        let path = operation.nowhere();
        let late = ask(&house, operation, &path, Some(&admin.access_token), None).await;
        late.problem(403, "step_up_required");
    }
}

/// The operations that stream their body.
const STREAMED: &[&str] = &[
    "PATCH /v1/uploads/{id}",
    "POST /v1/files",
    "POST /v1/files/batch",
    "POST /v1/files/{id}/versions",
    "POST /v1/uploads",
];

/// Sends a request whose declared or chunked body never arrives. Returns the status of the
/// response.
async fn answer_without_body(
    house: &House,
    operation: &Operation,
    kind: &str,
    head: &str,
) -> String {
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n{head}\r\n\r\n",
        operation.method,
        operation.nowhere()
    );
    let mut stream = raw::begin(&house.url, head.as_bytes()).await;
    let mut answer = [0; 12];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await;
    read.unwrap_or_else(|_| panic!("{} with {kind}: no response", operation.name()))
        .unwrap_or_else(|error| panic!("{} with {kind}: {error}", operation.name()));
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

#[tokio::test]
async fn no_media_type_exempts_an_operation_without_files_from_the_deadline() {
    let house = House::on(Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "1s")).await;
    let document = present_document();
    let all = operations(&document);
    for name in STREAMED {
        assert!(
            all.iter().any(|operation| operation.name() == *name),
            "{name} does not exist"
        );
    }
    let admin = house.administrator().await;
    let authorization = format!("authorization: Bearer {}\r\n", admin.access_token);
    for kind in [
        "multipart/form-data",
        "multipart/form-data; boundary=b",
        "application/offset+octet-stream",
    ] {
        for length in ["content-length: 60000", "transfer-encoding: chunked"] {
            for head in [length.to_owned(), format!("{authorization}{length}")] {
                let plain = all
                    .iter()
                    .filter(|operation| !STREAMED.contains(&operation.name().as_str()));
                let answers =
                    plain.map(|operation| answer_without_body(&house, operation, kind, &head));
                join_all(answers).await;
            }
        }
    }
    let logout = all
        .iter()
        .find(|operation| operation.name() == "POST /v1/auth/logout")
        .expect("exists");
    let kind = "multipart/form-data";
    assert_eq!(
        answer_without_body(&house, logout, kind, "content-length: 60000").await,
        "415"
    );
    assert_eq!(
        answer_without_body(&house, logout, kind, "transfer-encoding: chunked").await,
        "408"
    );
}

/// Collects every array in a schema, with its place.
fn lists(document: &Value, schema: &Value, place: &str, found: &mut Vec<(String, Value)>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document
            .pointer(&reference[1..])
            .expect("a reference leads somewhere");
        return lists(document, schema, place, found);
    }
    if schema["type"] == "array" {
        found.push((place.to_owned(), schema.clone()));
        lists(document, &schema["items"], &format!("{place}/0"), found);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        lists(document, schema, &format!("{place}/{name}"), found);
    }
    for schema in ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .filter_map(|of| schema[of].as_array())
        .flatten()
    {
        lists(document, schema, place, found);
    }
}

/// Returns the arrays in the body of an operation.
fn lists_of(document: &Value, operation: &Operation) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let content = operation
        .description
        .pointer("/requestBody/content")
        .and_then(Value::as_object);
    for described in content.into_iter().flat_map(Map::values) {
        lists(document, &described["schema"], "", &mut found);
    }
    for parameter in operation.description["parameters"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let name = text(&parameter["name"]);
        lists(
            document,
            &parameter["schema"],
            &format!("/query/{name}"),
            &mut found,
        );
    }
    found
}

#[test]
fn every_array_in_a_request_has_a_documented_limit() {
    let document = present_document();
    let mut count = 0;
    for operation in operations(&document) {
        for (place, list) in lists_of(&document, &operation) {
            assert!(
                list["maxItems"].is_u64(),
                "{} {place}: max_items is missing",
                operation.name()
            );
            count += 1;
        }
    }
    assert!(count >= 8, "found only {count} arrays");
}

/// Returns bodies with as many faults as fit into the size limit.
fn wrong_bodies(document: &Value, operation: &Operation) -> Vec<Value> {
    let many = (0..5_000)
        .map(|number| (number.to_string(), Value::Null))
        .collect();
    let long = (0..100)
        .map(|number| (format!("{number}{}", "\u{1}".repeat(64)), Value::Null))
        .collect();
    let mut bodies = vec![Value::Object(many), Value::Object(long), json!([])];
    for (place, _) in lists_of(document, operation) {
        let mut body = json!({});
        if let Some(name) = place.strip_prefix('/').filter(|name| !name.contains('/')) {
            body[name] = Value::Array(vec![json!({}); 15_000]);
            bodies.push(body.clone());
            body[name] = Value::Array(vec![json!("\u{1}".repeat(90)); 100]);
            bodies.push(body);
        }
    }
    bodies
}

#[tokio::test]
async fn an_error_response_is_small_for_any_request() {
    let house = House::open().await;
    let document = present_document();
    let mut admin = house.administrator().await;
    let long = "x".repeat(6_000);
    let parameters: Vec<_> = (0..500).map(|number| format!("p{number}=x")).collect();
    let mut largest = (0, String::new());
    for operation in operations(&document) {
        let path = operation.nowhere();
        let ask = |path: String| {
            house
                .request(operation.method.clone(), &path)
                .bearer_auth(&admin.access_token)
        };
        let mut answers = vec![
            Answer::of(ask(format!("{path}?{long}=x"))).await,
            Answer::of(ask(format!("{path}?limit={long}"))).await,
            Answer::of(ask(format!("{path}?{}", parameters.join("&")))).await,
            Answer::of(
                ask(path.clone())
                    .header("idempotency-key", &long)
                    .header("upload-length", &long),
            )
            .await,
        ];
        if let Some(Body::Json(_)) = body_of(&operation, &document) {
            for body in wrong_bodies(&document, &operation) {
                answers.push(Answer::of(ask(path.clone()).json(&body)).await);
            }
        }
        for answer in answers
            .into_iter()
            .filter(|answer| !answer.status.is_success())
        {
            let size = answer.bytes.len();
            assert!(
                size < 8 * 1024,
                "{}: {size} bytes of {}",
                operation.name(),
                answer.status
            );
            if size > largest.0 {
                largest = (size, operation.name());
            }
        }
        // One of the operations logs the caller out.
        if admin.get(&house, "/v1/me").await.status != StatusCode::OK {
            admin = house.administrator().await;
        }
    }
    assert!(largest.0 > 2 * 1024, "the faults were listed: {largest:?}");
}
