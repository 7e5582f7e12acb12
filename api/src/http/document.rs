//! The OpenAPI document: the output of poem-openapi, completed with security, error codes and
//! closed schemas.

use std::collections::HashMap;
use std::marker::PhantomData;

use plinth_domain::permission::Permission;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::registry::{MetaApi, MetaPath, Registry};
use poem_openapi::{OpenApi, OpenApiService, Tags};
use serde_json::{Map, Value, json};

use super::browser;
use super::operation::{Declaration, Declared};
use super::principal::Scheme;

/// The capabilities by which the document groups operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Registration, login and sessions.
    Authentication,
    /// The account of the caller.
    Account,
    /// All accounts, for administrators.
    Users,
    /// Roles and their permissions.
    Roles,
    /// Files and the images derived from them.
    Files,
    /// The inbox of the caller.
    Notifications,
    /// Background jobs and their queues.
    Jobs,
    /// The audit log.
    Audit,
}

/// Returns the service that routes and documents the operations.
pub(crate) fn service<T: OpenApi>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Plinth", env!("CARGO_PKG_VERSION"))
        .description("Accounts, files, an audit trail, notifications and background jobs.")
}

/// Returns the OpenAPI document of these operations as indented JSON that ends in a line feed.
pub(crate) fn document<T: Declared>() -> String {
    let spec = service(DocumentedOperations::<T>(PhantomData)).spec();
    let mut document: Value = serde_json::from_str(&spec).expect("poem-openapi writes JSON");
    complete(&mut document, &T::declarations());
    // The file is compared as text, and another crate may enable `preserve_order` of serde_json.
    document.sort_all_objects();
    serde_json::to_string_pretty(&document).expect("a value has a text") + "\n"
}

/// Operations for the document only; they have no routes.
struct DocumentedOperations<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for DocumentedOperations<T> {
    /// Merges the operations of a path into one path item: each operation is an `OpenApi` of its
    /// own, and poem-openapi writes one path item for each.
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

/// Adds its error responses and its security to each operation, and closes the schemas of request
/// bodies: unknown fields are refused.
fn complete(document: &mut Value, declarations: &[Declaration]) {
    let paths = document["paths"]
        .as_object_mut()
        .expect("a document has paths");
    for operations in paths.values_mut() {
        for (method, operation) in operations.as_object_mut().expect("a path has operations") {
            let operation = operation
                .as_object_mut()
                .expect("an operation is an object");
            let declaration = declarations
                .iter()
                .find(|declaration| operation["operationId"] == declaration.id)
                .expect("every operation is declared");
            add_error_responses(declaration, operation);
            add_security(method, operation);
        }
    }
    document["components"]["securitySchemes"] = security_schemes();
    let bodies = request_body_schemas(document);
    let schemas = document["components"]["schemas"]
        .as_object_mut()
        .expect("a document has schemas");
    for (name, schema) in schemas {
        keep_only_reference(schema);
        if bodies.contains(name) {
            schema["additionalProperties"] = json!(false);
        } else {
            allow_null(schema);
        }
    }
}

/// Replaces the placeholder security scheme of an operation by its credentials and its access
/// rules.
fn add_security(method: &str, operation: &mut Map<String, Value>) {
    let Some(scheme) = operation.get("security").and_then(|security| {
        let schemes = security.get(0)?.as_object()?;
        schemes.keys().next().map(|name| Scheme::parse(name))
    }) else {
        return;
    };
    let is_safe = matches!(method, "get" | "head");
    let cookie = if is_safe {
        json!({ "cookie": [] })
    } else {
        json!({ "cookie": [], "csrf": [] })
    };
    operation.insert("security".to_owned(), json!([{ "bearer": [] }, cookie]));
    let permission = scheme.permission.map(Permission::as_str);
    let extensions = [
        ("x-permission", json!(permission)),
        ("x-api-keys", json!(scheme.takes_api_keys())),
        ("x-impersonation", json!(scheme.allows_impersonation())),
        ("x-step-up", json!(scheme.needs_step_up())),
    ];
    for (name, value) in extensions {
        operation.insert(name.to_owned(), value);
    }
    let needs = [
        permission.map(|permission| format!("Requires the permission `{permission}`.")),
        (!scheme.takes_api_keys()).then(|| {
            "Requires a session; an API key is refused (403 `session_required`).".to_owned()
        }),
        scheme.refuses_only_impersonation().then(|| {
            "An administrator who impersonates a user is refused (403 `impersonation_forbidden`)."
                .to_owned()
        }),
        scheme.needs_step_up().then(|| {
            "Requires a recent login or step-up (403 `step_up_required` otherwise).".to_owned()
        }),
    ];
    let needs = needs.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if !needs.is_empty() {
        let existing = operation
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let description = if existing.is_empty() {
            needs
        } else {
            format!("{existing}\n\n{needs}")
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
            "description": "The access token of a session, valid for a few minutes, or an API key (`plk_...`).",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": browser::ACCESS_COOKIE,
            "description": "The access token in a cookie: log in with `keep: cookie`.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "The `csrf_token` of the session. Required with the cookie on every unsafe request, \
                            which also has to come from an allowed origin.",
        },
    })
}

/// Removes everything but the reference from the `allOf` of a property with a description.
/// Generators take the other parts for a second type.
fn keep_only_reference(schema: &mut Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        if let Some(parts) = property.get_mut("allOf").and_then(Value::as_array_mut) {
            parts.retain(|part| part.get("$ref").is_some());
        }
    }
}

/// Makes every optional property nullable: a response writes null if it has no value.
fn allow_null(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if !required.iter().any(|known| known == name) {
            property["nullable"] = json!(true);
        }
    }
}

/// Replaces the generic error response of an operation by one for each status, with the error codes
/// and their meanings.
fn add_error_responses(declaration: &Declaration, operation: &mut Map<String, Value>) {
    let responses = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
        .expect("an operation has responses");
    let generic = responses
        .remove("default")
        .expect("every operation can be refused");
    for refusals in declaration.refusals().chunk_by(|one, next| one.0 == next.0) {
        let (status, _) = refusals[0];
        let codes: Vec<_> = refusals.iter().map(|(_, code)| code.as_str()).collect();
        let meanings = refusals
            .iter()
            .map(|(_, code)| format!("- `{code}`: {}", code.meaning()));
        let mut response = generic.clone();
        response["description"] = json!(meanings.collect::<Vec<_>>().join("\n"));
        response["x-error-codes"] = json!(codes);
        responses.entry(status.to_string()).or_insert(response);
    }
}

/// Returns the names of the schemas of request bodies.
fn request_body_schemas(document: &Value) -> Vec<String> {
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
