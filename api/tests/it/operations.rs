//! The operations of the document.

use plinth_api::app;
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

/// An operation of the document.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The operation object (OpenAPI 3.0, section 4.7.10).
    pub(crate) description: Value,
}

impl Operation {
    /// Returns the method and the path, for example `GET /v1/me`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Returns the operation id, for example `readMe`.
    pub(crate) fn id(&self) -> &str {
        self.description["operationId"]
            .as_str()
            .expect("every operation has an id")
    }

    pub(crate) fn permission(&self) -> Option<&str> {
        self.description["x-permission"].as_str()
    }

    /// Returns whether the operation needs no access token.
    pub(crate) fn is_open(&self) -> bool {
        self.description.get("x-permission").is_none()
    }

    /// Returns whether the operation requires a recent login or step-up.
    pub(crate) fn needs_step_up(&self) -> bool {
        self.description["x-step-up"] == true
    }

    /// Returns the value of an extension that every operation with credentials has.
    pub(crate) fn says(&self, extension: &str) -> bool {
        let value = &self.description[extension];
        value
            .as_bool()
            .unwrap_or_else(|| panic!("{} lacks {extension}", self.name()))
    }

    /// Returns whether the operation is on resources without an owner, or of other accounts.
    pub(crate) fn is_of_administrators(&self) -> bool {
        [
            "/v1/users",
            "/v1/roles",
            "/v1/jobs",
            "/v1/queues",
            "/v1/audit",
            "/v1/permissions",
        ]
        .iter()
        .any(|prefix| self.path.starts_with(prefix))
    }

    pub(crate) fn has_parameters(&self) -> bool {
        self.path.contains('{')
    }

    /// Returns the path with each parameter replaced.
    pub(crate) fn path_with(&self, value: impl Fn(&str) -> String) -> String {
        let parts = self.path.split('/').map(|part| {
            let name = part
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            name.map_or_else(|| part.to_owned(), &value)
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Returns the path of a resource that does not exist.
    pub(crate) fn nowhere(&self) -> String {
        self.path_with(|name| match name {
            "preset" => "small".to_owned(),
            "name" => "no-such-thing".to_owned(),
            "number" => "1".to_owned(),
            _ => Uuid::new_v4().to_string(),
        })
    }
}

/// Returns the document of this build.
pub(crate) fn present_document() -> Value {
    serde_json::from_str(&app::document()).expect("the document is JSON")
}

/// Returns the operations of the document, in its order.
pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, description) in operations.as_object().expect("operations") {
            let method = method.to_uppercase().parse().expect("a method");
            all.push(Operation {
                method,
                path: path.clone(),
                description: description.clone(),
            });
        }
    }
    all
}
