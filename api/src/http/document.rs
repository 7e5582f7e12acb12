//! The OpenAPI document: what poem-openapi makes of the operations, completed with what it cannot say.

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
pub(crate) fn service<T: OpenApi>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Plinth", env!("CARGO_PKG_VERSION"))
        .description("Accounts, files, an audit trail, notifications and background jobs.")
}

/// Returns the document of these operations in pretty JSON, ending in a line feed.
pub(crate) fn document<T: Declared>() -> String {
    let spec = service(Described::<T>(PhantomData)).spec();
    let mut document: Value = serde_json::from_str(&spec).expect("poem-openapi writes JSON");
    complete(&mut document, &T::declarations());
    // The document is compared as text, and another crate may enable preserve_order of serde_json.
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
            refusals(declaration, operation);
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

/// Replaces the name that the signature of an operation left by what it stands for: who may call the operation, and with
/// which credentials.
fn admission(method: &str, operation: &mut Map<String, Value>) {
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
        permission.map(|permission| format!("Needs the permission `{permission}`.")),
        (!scheme.takes_api_keys()).then(|| "Needs a login; an API key is refused.".to_owned()),
        scheme.is_in_own_name().then(|| {
            "An administrator who acts in another person's name is refused (403 `impersonation_forbidden`)."
                .to_owned()
        }),
        scheme.needs_step_up().then(|| {
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

/// Replaces the generic answer of an operation by one for each status that it can refuse with, with the codes and their
/// meanings.
fn refusals(declaration: &Declaration, operation: &mut Map<String, Value>) {
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
