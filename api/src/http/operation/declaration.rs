//! The declaration of an operation: what its signature and its [`Operation`] say.

use plinth_core::access::Purpose;
use plinth_domain::error_code::ErrorCode;
use poem::http::Method;
use poem_openapi::registry::{MetaOperation, MetaParamIn};

use super::{Hosts, Operation, Refusal, Refusals};
use crate::http::multipart;
use crate::http::principal;
use crate::http::secret::Secret;

/// The errors that every operation can return.
const COMMON_REFUSALS: &[Refusal] = &[
    (400, ErrorCode::RepeatedField),
    (422, ErrorCode::ValidationFailed),
    (429, ErrorCode::RateLimited),
    (500, ErrorCode::Internal),
    (503, ErrorCode::Busy),
    (503, ErrorCode::DeadlineExceeded),
    (503, ErrorCode::Unavailable),
];

/// The errors of a request with a body.
const BODY_REFUSALS: &[Refusal] = &[
    (400, ErrorCode::BrokenBody),
    (408, ErrorCode::Timeout),
    (413, ErrorCode::TooLarge),
    (415, ErrorCode::UnsupportedMediaType),
];

/// An operation as its signature and its [`Operation`] describe it.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    /// The operation id.
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    /// The path as the document writes it, e.g. `/v1/files/{id}`.
    pub(crate) path: String,
    /// The names of the documented query parameters.
    pub(crate) query_parameters: Vec<String>,
    /// The name of the path parameter that is a secret.
    pub(crate) secret: Option<String>,
    pub(crate) purpose: Purpose,
    pub(crate) hosts: Hosts,
    has_path_parameters: bool,
    /// The media types of the body.
    bodies: Vec<&'static str>,
    /// The callers that the operation accepts; `None` if it is open to everyone.
    audience: Option<principal::Scheme>,
    declared: Refusals,
}

impl Declaration {
    /// Reads the declaration of an operation.
    ///
    /// # Panics
    /// The type has not exactly one method, the method has no operation id, or the operation
    /// neither takes its caller nor is open.
    pub(crate) fn new<T: Operation>() -> Self {
        let mut paths = T::meta().into_iter().flat_map(|api| api.paths);
        let path = paths.next().expect("an operation has a path");
        let mut operations = path.operations.into_iter();
        let operation = operations.next().expect("an operation has a method");
        assert!(
            paths.next().is_none() && operations.next().is_none(),
            "a type has one operation"
        );
        let id = operation.operation_id.expect("an operation has an id");
        let audience = caller_scheme(&operation);
        assert!(
            audience.is_none() == T::IS_OPEN,
            "{id} must either take its caller or be open"
        );
        Self {
            id,
            method: operation.method.clone(),
            path: path.path,
            query_parameters: parameter_names(&operation, MetaParamIn::Query),
            secret: secret_parameter(&operation),
            purpose: T::PURPOSE,
            hosts: T::HOSTS,
            has_path_parameters: !parameter_names(&operation, MetaParamIn::Path).is_empty(),
            bodies: operation
                .request
                .iter()
                .flat_map(|request| request.content.iter().map(|content| content.content_type))
                .collect(),
            audience,
            declared: T::REFUSALS,
        }
    }

    /// Returns the errors of the operation, sorted by status, then by code: those that it declares,
    /// and those that follow from its audience, its body and its path.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let mut all = self.declared.concat();
        all.extend(COMMON_REFUSALS);
        if let Some(audience) = &self.audience {
            all.extend(audience.refusals(self.method.is_safe()));
        }
        if self.has_path_parameters {
            all.push((404, ErrorCode::NotFound));
        }
        if !self.bodies.is_empty() {
            all.extend(BODY_REFUSALS);
            all.push(if self.bodies.contains(&multipart::MEDIA_TYPE) {
                (400, ErrorCode::MalformedForm)
            } else {
                (400, ErrorCode::MalformedJson)
            });
        }
        all.sort_unstable_by_key(|(status, code)| (*status, code.as_str()));
        all.dedup();
        all
    }
}

fn parameter_names(operation: &MetaOperation, place: MetaParamIn) -> Vec<String> {
    let parameters = operation.params.iter();
    let matching = parameters.filter(|parameter| parameter.in_type == place);
    matching.map(|parameter| parameter.name.clone()).collect()
}

fn secret_parameter(operation: &MetaOperation) -> Option<String> {
    let mut parameters = operation.params.iter();
    let matching = parameters.find(|parameter| {
        parameter.in_type == MetaParamIn::Path && Secret::is_schema(&parameter.schema)
    })?;
    Some(matching.name.clone())
}

fn caller_scheme(operation: &MetaOperation) -> Option<principal::Scheme> {
    let name = operation.security.first()?.keys().next()?;
    Some(principal::Scheme::parse(name))
}
