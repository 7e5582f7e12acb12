//! What is known of an operation without calling it.

use plinth_core::access::Purpose;
use plinth_domain::error_code::ErrorCode;
use poem::http::Method;
use poem_openapi::registry::{MetaOperation, MetaParamIn};

use super::{Hosts, Operation, Refusal, Refusals};
use crate::http::multipart;
use crate::http::principal;
use crate::http::secret::Secret;

/// What any request can be answered with.
const ANY: &[Refusal] = &[
    (400, ErrorCode::RepeatedField),
    (422, ErrorCode::ValidationFailed),
    (429, ErrorCode::RateLimited),
    (500, ErrorCode::Internal),
    (503, ErrorCode::Busy),
    (503, ErrorCode::DeadlineExceeded),
    (503, ErrorCode::Unavailable),
];

/// What a request with a body can be answered with.
const BODY: &[Refusal] = &[
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
    /// The name of the parameter of the path that is a secret.
    pub(crate) secret: Option<String>,
    pub(crate) purpose: Purpose,
    pub(crate) hosts: Hosts,
    has_path_parameters: bool,
    /// The media types of the body.
    bodies: Vec<&'static str>,
    /// Who may call it: `None` if it is open to everyone.
    audience: Option<principal::Scheme>,
    own: Refusals,
}

impl Declaration {
    /// Reads the declaration of an operation.
    ///
    /// # Panics
    /// The type has not exactly one method, the method has no operation id, or the operation neither takes its caller nor
    /// is open.
    pub(crate) fn of<T: Operation>() -> Self {
        let mut paths = T::meta().into_iter().flat_map(|api| api.paths);
        let path = paths.next().expect("an operation has a path");
        let mut operations = path.operations.into_iter();
        let operation = operations.next().expect("an operation has a method");
        assert!(
            paths.next().is_none() && operations.next().is_none(),
            "a type is one operation"
        );
        let id = operation.operation_id.expect("an operation has an id");
        let audience = scheme(&operation);
        assert!(
            audience.is_none() == T::IS_OPEN,
            "{id} takes its caller, or is open"
        );
        Self {
            id,
            method: operation.method.clone(),
            path: path.path,
            query_parameters: names(&operation, MetaParamIn::Query),
            secret: secret(&operation),
            purpose: T::PURPOSE,
            hosts: T::HOSTS,
            has_path_parameters: !names(&operation, MetaParamIn::Path).is_empty(),
            bodies: operation
                .request
                .iter()
                .flat_map(|request| request.content.iter().map(|content| content.content_type))
                .collect(),
            audience,
            own: T::REFUSALS,
        }
    }

    /// Returns what the operation can be answered with instead of its result: what it declares, and what follows from its
    /// audience, its body and its path. Sorted by status, then by code.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let mut all = self.own.concat();
        all.extend(ANY);
        if let Some(audience) = &self.audience {
            all.extend(audience.refusals(self.method.is_safe()));
        }
        if self.has_path_parameters {
            all.push((404, ErrorCode::NotFound));
        }
        if !self.bodies.is_empty() {
            all.extend(BODY);
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

fn names(operation: &MetaOperation, place: MetaParamIn) -> Vec<String> {
    let parameters = operation.params.iter();
    let found = parameters.filter(|parameter| parameter.in_type == place);
    found.map(|parameter| parameter.name.clone()).collect()
}

fn secret(operation: &MetaOperation) -> Option<String> {
    let mut parameters = operation.params.iter();
    let found = parameters.find(|parameter| {
        parameter.in_type == MetaParamIn::Path && Secret::is_schema(&parameter.schema)
    })?;
    Some(found.name.clone())
}

fn scheme(operation: &MetaOperation) -> Option<principal::Scheme> {
    let name = operation.security.first()?.keys().next()?;
    Some(principal::Scheme::parse(name))
}
