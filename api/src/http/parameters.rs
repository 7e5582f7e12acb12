//! The parameters of the query: an operation takes the ones that it documents, each of them once. A misspelt filter
//! would list everything otherwise, and of two values one part of a system may read the first and another the last.

use std::collections::{HashMap, HashSet};

use futures_util::future::{Either, ready};
use plinth_core::Error;
use plinth_core::error::Fault;
use plinth_domain::rejection::Rejection;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint, EndpointExt as _, Request, Response};
use poem_openapi::registry::{MetaApi, MetaParamIn, Registry};
use poem_openapi::{OpenApi, OperationId};

use super::failure::Failure;
use super::shape::escape;

/// A refusal lists this many parameters at most.
const MAX_FAULTS: usize = 50;

/// Operations that refuse every parameter that they do not document.
pub(crate) struct DocumentedParameters<T>(pub(crate) T);

impl<T: OpenApi> OpenApi for DocumentedParameters<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        let documented = documented::<T>();
        let mut unchecked = HashMap::new();
        self.0.add_routes(&mut unchecked);
        for (path, methods) in unchecked {
            let shape = without_names(&path);
            let checked = methods.into_iter().map(|(method, inner)| {
                let operation = documented
                    .get(&(shape.clone(), method.clone()))
                    .cloned()
                    .unwrap_or_default();
                (method, Checked { inner, operation }.boxed())
            });
            let checked: Vec<_> = checked.collect();
            routes.entry(path).or_default().extend(checked);
        }
    }
}

/// What an operation documents.
#[derive(Debug, Clone, Default)]
struct Documented {
    id: Option<&'static str>,
    parameters: Vec<String>,
}

/// The operations by the shape of their path, and their method.
fn documented<T: OpenApi>() -> HashMap<(String, Method), Documented> {
    let paths = T::meta().into_iter().flat_map(|api| api.paths);
    let operations = paths.flat_map(|path| {
        let shape = without_names(&path.path);
        path.operations.into_iter().map(move |operation| {
            let of_query = operation
                .params
                .into_iter()
                .filter(|one| one.in_type == MetaParamIn::Query);
            let parameters = of_query.map(|parameter| parameter.name).collect();
            let documented = Documented {
                id: operation.operation_id,
                parameters,
            };
            ((shape.clone(), operation.method), documented)
        })
    });
    operations.collect()
}

/// The path without the names of its parameters: the document writes `{id}` where the routes have `:param0`.
fn without_names(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with(['{', ':']) {
            "{}"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

struct Checked {
    inner: BoxEndpoint<'static>,
    operation: Documented,
}

impl Endpoint for Checked {
    type Output = Response;

    /// Not an async fn: its future would carry the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let faults = self.operation.faults(&request);
        if faults.is_empty() {
            return Either::Left(self.inner.call(request));
        }
        let mut error = poem::Error::from(Failure::from(Error::Invalid(faults)));
        if let Some(id) = self.operation.id {
            error.set_data(OperationId(id));
        }
        Either::Right(ready(Err(error)))
    }
}

impl Documented {
    fn faults(&self, request: &Request) -> Vec<Fault> {
        if request.uri().query().is_none() {
            return Vec::new();
        }
        let given: Vec<(String, String)> = request.params().unwrap_or_default();
        let mut seen = HashSet::new();
        let mut faults = Vec::new();
        for (name, _) in &given {
            let is_first = seen.insert(name);
            let rejection = if !self.parameters.contains(name) {
                Rejection::new("unknown_parameter", "There is no such parameter.")
            } else if !is_first {
                Rejection::new("ambiguous", "A parameter is given once.")
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
            if faults.len() == MAX_FAULTS {
                break;
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(query: &str) -> Vec<(String, &'static str)> {
        let operation = Documented {
            id: None,
            parameters: vec!["limit".to_owned(), "cursor".to_owned()],
        };
        let request = Request::builder()
            .uri(format!("/v1/files{query}").parse().expect("a URI"))
            .finish();
        let faults = operation.faults(&request);
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
    fn documented_parameters_are_taken_once_and_no_others() {
        for query in ["", "?", "?limit=1", "?cursor=&limit=2", "?%6Cimit=1"] {
            assert_eq!(faults(query), [], "{query}");
        }
        let (unknown, twice) = ("unknown_parameter", "ambiguous");
        assert_eq!(
            faults("?limit=1&limit=1"),
            expected(&[("/query/limit", twice)])
        );
        assert_eq!(faults("?Limit=1"), expected(&[("/query/Limit", unknown)]));
        assert_eq!(
            faults("?limit[]=1"),
            expected(&[("/query/limit[]", unknown)])
        );
        assert_eq!(
            faults("?a/b~c=1&a/b~c=2"),
            expected(&[("/query/a~1b~0c", unknown)])
        );
        assert_eq!(faults("?=1"), expected(&[("/query/", unknown)]));
        assert_eq!(
            faults("?x&limit=1&cursor&limit=2"),
            expected(&[("/query/x", unknown), ("/query/limit", twice)])
        );
    }

    #[test]
    fn a_refusal_stays_small_however_long_the_query_is() {
        let many: Vec<_> = (0..500)
            .map(|number| format!("{}{number}=1", "x".repeat(100)))
            .collect();
        let many = faults(&format!("?{}", many.join("&")));
        assert!(many.len() <= MAX_FAULTS && many.iter().all(|(pointer, _)| pointer.len() < 200));
        let different: Vec<_> = (0..1000).map(|number| format!("p{number}")).collect();
        assert_eq!(
            faults(&format!("?{}", different.join("&"))).len(),
            MAX_FAULTS
        );
    }
}
