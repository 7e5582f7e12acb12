//! The OpenAPI document: what poem-openapi makes of the operations, completed with what it cannot say.

use std::collections::HashMap;
use std::marker::PhantomData;

use plinth_domain::permission::Permission;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::registry::{MetaApi, MetaPath, Registry};
use poem_openapi::{OpenApi, OpenApiService, Tags};
use serde_json::{Map, Value, json};

use super::parameters::DocumentedParameters;
use super::{browser, principal};
use crate::app::Operations;

/// The capabilities, as the document groups operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Registration, login and sessions.
    Authentication,
    /// The account of who is asking.
    Account,
    /// Everybody's accounts, for administrators.
    Users,
    /// What accounts may do.
    Roles,
    /// Files and the images derived from them.
    Files,
    /// The inbox of who is asking.
    Notifications,
    /// Background jobs and their queues.
    Jobs,
    /// Who did what.
    Audit,
}

/// The operations as a service.
pub(crate) fn service<T: OpenApi>(operations: T) -> OpenApiService<DocumentedParameters<T>, ()> {
    OpenApiService::new(
        DocumentedParameters(operations),
        "Plinth",
        env!("CARGO_PKG_VERSION"),
    )
    .description("Accounts, files, an audit trail, notifications and background jobs.")
}

/// The document in pretty JSON, ending in a line feed.
pub fn document() -> String {
    let spec = service(Described::<Operations>(PhantomData)).spec();
    let mut document: Value = serde_json::from_str(&spec).expect("poem-openapi writes JSON");
    complete(&mut document);
    // It is compared as text, and a build with another crate's wishes keeps the order of insertion.
    document.sort_all_objects();
    serde_json::to_string_pretty(&document).expect("a value has a text") + "\n"
}

/// Operations that are described and not served.
struct Described<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Described<T> {
    /// One path item a path: an operation is a file here, and poem-openapi writes one path item a file.
    fn meta() -> Vec<MetaApi> {
        let mut paths: Vec<MetaPath> = Vec::new();
        for path in T::meta().into_iter().flat_map(|api| api.paths) {
            match paths.iter_mut().find(|known| known.path == path.path) {
                Some(known) => known.operations.extend(path.operations),
                None => paths.push(path),
            }
        }
        vec![MetaApi { paths }]
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// Adds to each operation the refusals that it can answer with, and closes the schemas of bodies: unknown fields
/// are refused.
fn complete(document: &mut Value) {
    let paths = document["paths"]
        .as_object_mut()
        .expect("a document has paths");
    for (path, operations) in paths.iter_mut() {
        for (method, operation) in operations.as_object_mut().expect("a path has operations") {
            let operation = operation
                .as_object_mut()
                .expect("an operation is an object");
            refusals(path, method, operation);
            admission(method, operation);
        }
    }
    document["components"]["securitySchemes"] = security_schemes();
    let bodies = bodies(document);
    let schemas = document["components"]["schemas"]
        .as_object_mut()
        .expect("a document has schemas");
    for (name, schema) in schemas {
        single_out_references(schema);
        if bodies.contains(name) {
            schema["additionalProperties"] = json!(false);
        } else {
            admit_null(schema);
        }
    }
}

/// Replaces the name that the signature of an operation left by what it stands for: who may use the operation, and
/// how he shows who he is.
fn admission(method: &str, operation: &mut Map<String, Value>) {
    let Some(name) = operation.get("security").and_then(|security| {
        let schemes = security.get(0)?.as_object()?;
        schemes.keys().next().cloned()
    }) else {
        return;
    };
    let (audience, requirement) = name
        .split_once(' ')
        .expect("a name says audience and requirement");
    let is_safe = matches!(method, "get" | "head");
    let cookie = if is_safe {
        json!({ "cookie": [] })
    } else {
        json!({ "cookie": [], "csrf": [] })
    };
    operation.insert("security".to_owned(), json!([{ "bearer": [] }, cookie]));
    let permission = principal::permission_of(requirement);
    operation.insert(
        "x-permission".to_owned(),
        json!(permission.map(Permission::as_str)),
    );
    let takes_api_keys = matches!(audience, "allowed" | "in-own-name");
    let needs_step_up = matches!(audience, "fresh" | "enrolling");
    operation.insert("x-api-keys".to_owned(), json!(takes_api_keys));
    operation.insert(
        "x-impersonation".to_owned(),
        json!(!needs_step_up && audience != "in-own-name"),
    );
    operation.insert("x-step-up".to_owned(), json!(needs_step_up));
    let needs = [
        permission.map(|permission| format!("Needs the permission `{permission}`.")),
        (!takes_api_keys).then(|| "Needs a login; an API key is refused.".to_owned()),
        (audience == "in-own-name").then(|| {
            "An administrator who acts in another person's name is refused (403 `impersonation_forbidden`)."
                .to_owned()
        }),
        needs_step_up.then(|| {
            "Needs a proof of a moment ago of who one is (403 `step_up_required` otherwise).".to_owned()
        }),
    ];
    let needs = needs.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if !needs.is_empty() {
        let said = operation
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let description = if said.is_empty() {
            needs
        } else {
            format!("{said}\n\n{needs}")
        };
        operation.insert("description".to_owned(), json!(description));
    }
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a login, for a few minutes, or an API key (`plk_...`).",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": browser::ACCESS,
            "description": "The same token, where a browser keeps it: log in with `keep: cookie`.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "With a cookie, on every unsafe request: the `csrf_token` of the session. The request also \
                            has to come from an allowed origin.",
        },
    })
}

/// A described property of a named type is that type and the description beside it; generators take the description
/// for a second type otherwise.
fn single_out_references(schema: &mut Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        if let Some(parts) = property.get_mut("allOf").and_then(Value::as_array_mut) {
            parts.retain(|part| part.get("$ref").is_some());
        }
    }
}

/// What is not required in an answer is null where there is nothing to say.
fn admit_null(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if !required.iter().any(|known| known == name) {
            property["nullable"] = json!(true);
        }
    }
}

fn refusals(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let secured = operation.contains_key("security");
    let takes_credentials = matches!(
        path,
        "/v1/auth/email/confirm"
            | "/v1/auth/email/undo"
            | "/v1/auth/email/undo/mfa"
            | "/v1/auth/restore"
            | "/v1/auth/login"
            | "/v1/auth/login/mfa"
            | "/v1/auth/passkeys/login/finish"
            | "/v1/auth/refresh"
    );
    // One may need a password.
    let by_link = path.starts_with("/v1/links/{token}/");
    // An address may have been taken meanwhile; passkeys may be off.
    let may_conflict = (method != "get" && secured)
        || path.starts_with("/v1/auth/email/")
        || matches!(path, "/v1/auth/verify-email" | "/v1/auth/password/reset")
        || path == "/v1/auth/passkeys/login/start"
        || path.ends_with("/tickets");
    let has_body = operation.contains_key("requestBody");
    let possible = [
        (400, has_body, "The body is malformed."),
        (
            401,
            secured || takes_credentials,
            "The credentials are missing, wrong or expired.",
        ),
        (
            403,
            secured || takes_credentials || by_link,
            "The caller lacks the permission, or the account may not act.",
        ),
        (
            404,
            path.contains('{') || path == "/v1/files/zip",
            "It does not exist, or not for the caller.",
        ),
        (
            409,
            may_conflict,
            "As things stand it cannot be done; `code` says why.",
        ),
        (408, has_body, "The body came too slowly."),
        (413, has_body, "The body is too long."),
        (415, has_body, "The body has the wrong media type."),
        (
            422,
            true,
            "Parts of the request are invalid; `errors` lists them.",
        ),
        (
            429,
            true,
            "Too many requests; `Retry-After` says how long to wait.",
        ),
        (500, true, "A fault of the service."),
        (
            503,
            true,
            "The service is busy or a part of it does not answer; `Retry-After` says how long to wait.",
        ),
    ];
    let responses = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
        .expect("an operation has responses");
    // The generic answer is replaced by the ones that are possible.
    let Some(generic) = responses.remove("default") else {
        return;
    };
    for (status, possible, description) in possible {
        if possible {
            let mut response = generic.clone();
            response["description"] = json!(description);
            responses.entry(status.to_string()).or_insert(response);
        }
    }
}

/// The names of the schemas that are read from bodies.
fn bodies(document: &Value) -> Vec<String> {
    let operations = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(Map::values)
        .filter_map(Value::as_object);
    operations
        .flat_map(Map::values)
        .filter_map(|operation| {
            operation
                .pointer("/requestBody/content/application~1json/schema/$ref")?
                .as_str()
        })
        .filter_map(|reference| reference.rsplit('/').next().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem;

    /// What is open to everybody: the doors by which one comes in, and what somebody has a link to.
    const OPEN: &[&str] = &[
        "/.well-known/jwks.json",
        "/v1/auth/email/confirm",
        "/v1/auth/email/undo",
        "/v1/auth/email/undo/mfa",
        "/v1/auth/login",
        "/v1/auth/login/mfa",
        "/v1/auth/logout",
        "/v1/auth/passkeys/login/finish",
        "/v1/auth/passkeys/login/start",
        "/v1/auth/password/forgot",
        "/v1/auth/password/reset",
        "/v1/auth/refresh",
        "/v1/auth/register",
        "/v1/auth/registrations/discard",
        "/v1/auth/restore",
        "/v1/auth/verify-email",
        "/v1/auth/verify-email/resend",
        "/v1/content/{ticket}",
        "/v1/links/{token}",
        "/v1/links/{token}/content",
        "/v1/links/{token}/tickets",
    ];

    /// Open by its method.
    const OPTIONS: &str = "options";

    #[test]
    fn every_operation_says_what_a_generator_needs() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        assert_eq!(document["openapi"], "3.0.0");
        let mut served: Vec<_> = Operations::meta()
            .into_iter()
            .flat_map(|api| api.paths)
            .flat_map(|path| path.operations)
            .filter_map(|operation| operation.operation_id)
            .collect();
        let mut ids = Vec::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let name = format!("{method} {path}");
                ids.push(
                    operation["operationId"]
                        .as_str()
                        .unwrap_or_else(|| panic!("{name} has no id"))
                        .to_owned(),
                );
                assert!(
                    operation["summary"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{name} has no summary"
                );
                assert_eq!(
                    operation["tags"].as_array().map(Vec::len),
                    Some(1),
                    "{name} has no tag"
                );
                let is_open = operation.get("security").is_none();
                let may_be_open = OPEN.contains(&path.as_str()) || method == OPTIONS;
                assert_eq!(is_open, may_be_open, "{name}: security");
                assert_eq!(
                    is_open,
                    operation.get("x-permission").is_none(),
                    "{name}: permission"
                );
                let responses = operation["responses"].as_object().expect("responses");
                for (status, response) in responses
                    .iter()
                    .filter(|(status, _)| status.starts_with(['4', '5']))
                {
                    let problem = &response["content"][problem::CONTENT_TYPE]["schema"]["$ref"];
                    assert_eq!(problem, "#/components/schemas/Problem", "{name}: {status}");
                }
                assert!(
                    responses.contains_key("429") && responses.contains_key("500"),
                    "{name} lacks refusals"
                );
            }
        }
        ids.sort();
        served.sort_unstable();
        assert_eq!(ids, served, "every operation that is served is described");
        served.dedup();
        assert_eq!(ids.len(), served.len(), "ids are unique");
    }
}
