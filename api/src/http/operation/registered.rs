//! A registered operation: its routes, with the checks around each call.

use std::collections::{HashMap, HashSet};

use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use plinth_core::Error;
use plinth_core::error::Fault;
use plinth_domain::rejection::Rejection;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint, EndpointExt as _, Request, Response};
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::{OpenApi, OperationId};

use super::{Declaration, Operation};
use crate::http::failure::Failure;
use crate::http::problem;
use crate::http::schema::escape;

/// The maximum number of faulty query parameters in an error.
const MAX_QUERY_FAULTS: usize = 50;

/// An operation that refuses undocumented and repeated query parameters. Otherwise a misspelt
/// filter would list everything, and of two values a proxy may read the first and the API the last.
pub(crate) struct Registered<T> {
    /// Boxed, because the operations of all capabilities are moved as one value.
    operation: Box<T>,
}

impl<T> Registered<T> {
    pub(crate) fn new(operation: T) -> Self {
        Self {
            operation: Box::new(operation),
        }
    }
}

/// Operations whose declarations can be listed.
pub(crate) trait Declared: OpenApi {
    fn declarations() -> Vec<Declaration>;
}

impl<T: Operation> Declared for Registered<T> {
    fn declarations() -> Vec<Declaration> {
        vec![Declaration::new::<T>()]
    }
}

impl Declared for () {
    fn declarations() -> Vec<Declaration> {
        Vec::new()
    }
}

impl<A: Declared, B: Declared> Declared for (A, B) {
    fn declarations() -> Vec<Declaration> {
        let mut all = A::declarations();
        all.extend(B::declarations());
        all
    }
}

impl<T: Operation> OpenApi for Registered<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        let mut unchecked = HashMap::new();
        self.operation.add_routes(&mut unchecked);
        for (path, methods) in unchecked {
            let checked = methods.into_iter().map(|(method, inner)| {
                let declaration = Declaration::new::<T>();
                (method, CheckedEndpoint { inner, declaration }.boxed())
            });
            let checked: Vec<_> = checked.collect();
            routes.entry(path).or_default().extend(checked);
        }
    }
}

struct CheckedEndpoint {
    inner: BoxEndpoint<'static>,
    declaration: Declaration,
}

impl Endpoint for CheckedEndpoint {
    type Output = Response;

    // Not an async fn: its future would hold the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let faults = query_faults(&self.declaration, &request);
        if faults.is_empty() {
            let answer = self.inner.call(request);
            return Either::Left(answer.inspect_err(|error| self.assert_declared(error)));
        }
        let mut error = poem::Error::from(Failure::from(Error::Invalid(faults)));
        error.set_data(OperationId(self.declaration.id));
        Either::Right(ready(Err(error)))
    }
}

impl CheckedEndpoint {
    /// Panics in a debug build if the operation does not declare this error, so that a test which
    /// causes it fails.
    fn assert_declared(&self, error: &poem::Error) {
        if cfg!(debug_assertions) {
            let refusal = problem::refusal(error);
            assert!(
                self.declaration.refusals().contains(&refusal),
                "{} responds with {} {}, which it does not declare",
                self.declaration.id,
                refusal.0,
                refusal.1
            );
        }
    }
}

fn query_faults(declaration: &Declaration, request: &Request) -> Vec<Fault> {
    if request.uri().query().is_none() {
        return Vec::new();
    }
    let given: Vec<(String, String)> = request.params().unwrap_or_default();
    let mut seen = HashSet::new();
    let mut faults = Vec::new();
    for (name, _) in &given {
        let is_first = seen.insert(name);
        let rejection = if !declaration.query_parameters.contains(name) {
            Rejection::new("unknown_parameter", "Unknown parameter.")
        } else if !is_first {
            Rejection::new("ambiguous", "Parameter given more than once.")
        } else {
            continue;
        };
        let fault = Fault {
            pointer: format!("/query/{}", escape(name)),
            rejection,
        };
        if !faults.contains(&fault) {
            faults.push(fault);
        }
        if faults.len() == MAX_QUERY_FAULTS {
            break;
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use plinth_core::access::Purpose;
    use plinth_domain::error_code::ErrorCode;
    use poem::http::StatusCode;
    use poem_openapi::payload::PlainText;

    use super::*;
    use crate::http::failure::Result;
    use crate::http::operation::{Hosts, Refusals};

    /// Returns a declared or an undeclared error.
    struct Refuse;

    impl Operation for Refuse {
        const REFUSALS: Refusals = &[&[(409, ErrorCode::EmailTaken)]];
        const IS_OPEN: bool = true;
    }

    #[OpenApi]
    impl Refuse {
        #[oai(path = "/refuse", method = "get", operation_id = "refuse")]
        #[expect(clippy::unused_async, reason = "operations are asynchronous")]
        async fn refuse(&self, request: &Request) -> Result<PlainText<&'static str>> {
            let code = if request.header("declared").is_some() {
                ErrorCode::EmailTaken
            } else {
                ErrorCode::RoleExists
            };
            Err(Error::Conflict {
                code,
                detail: String::new(),
            }
            .into())
        }
    }

    fn route() -> BoxEndpoint<'static> {
        let mut routes = HashMap::new();
        Registered::new(Refuse).add_routes(&mut routes);
        let methods = routes.remove("/refuse").expect("the path is routed");
        methods.into_values().next().expect("the method is routed")
    }

    fn request(query: &str) -> Request {
        let uri = format!("/refuse{query}");
        Request::builder().uri(uri.parse().expect("a URI")).finish()
    }

    #[tokio::test]
    async fn an_operation_may_respond_with_a_declared_code() {
        let request = Request::builder()
            .uri_str("/refuse")
            .header("declared", "yes");
        let refused = route().call(request.finish()).await;
        let error = refused.expect_err("it refuses");
        assert_eq!(error.status(), StatusCode::CONFLICT);
    }

    #[tokio::test]
    #[should_panic(expected = "refuse responds with 409 role_exists, which it does not declare")]
    async fn an_undeclared_code_panics_in_tests() {
        let _ = route().call(request("")).await;
    }

    #[test]
    fn an_operation_defaults_to_the_host_of_the_api_and_the_general_limit() {
        let declaration = Declaration::new::<Refuse>();
        assert_eq!(declaration.hosts, Hosts::Api);
        assert_eq!(declaration.purpose, Purpose::Other);
    }

    fn faults_of(query: &str) -> Vec<(String, &'static str)> {
        let mut declaration = Declaration::new::<Refuse>();
        declaration.query_parameters = vec!["limit".to_owned(), "cursor".to_owned()];
        let faults = query_faults(&declaration, &request(query));
        faults
            .into_iter()
            .map(|fault| (fault.pointer, fault.rejection.code))
            .collect()
    }

    fn expected(faults: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        faults
            .iter()
            .map(|(pointer, code)| ((*pointer).to_owned(), *code))
            .collect()
    }

    #[test]
    fn only_documented_parameters_are_accepted_and_only_once() {
        for query in ["", "?", "?limit=1", "?cursor=&limit=2", "?%6Cimit=1"] {
            assert_eq!(faults_of(query), [], "{query}");
        }
        let (unknown, twice) = ("unknown_parameter", "ambiguous");
        for (query, faults) in [
            ("?limit=1&limit=1", &[("/query/limit", twice)][..]),
            ("?Limit=1", &[("/query/Limit", unknown)]),
            ("?limit[]=1", &[("/query/limit[]", unknown)]),
            ("?a/b~c=1&a/b~c=2", &[("/query/a~1b~0c", unknown)]),
            ("?=1", &[("/query/", unknown)]),
            (
                "?x&limit=1&cursor&limit=2",
                &[("/query/x", unknown), ("/query/limit", twice)],
            ),
        ] {
            assert_eq!(faults_of(query), expected(faults), "{query}");
        }
    }

    #[test]
    fn the_error_stays_small_for_a_long_query() {
        let many: Vec<_> = (0..500)
            .map(|number| format!("{}{number}=1", "x".repeat(100)))
            .collect();
        let many = faults_of(&format!("?{}", many.join("&")));
        assert!(
            many.len() <= MAX_QUERY_FAULTS && many.iter().all(|(pointer, _)| pointer.len() < 200)
        );
        let different: Vec<_> = (0..1000).map(|number| format!("p{number}")).collect();
        let different = faults_of(&format!("?{}", different.join("&")));
        assert_eq!(different.len(), MAX_QUERY_FAULTS);
    }
}
