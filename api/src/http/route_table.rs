//! What the layers around the routes know of an operation before it is chosen, by the path of the request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use plinth_core::access::Purpose;

use super::operation::{Declaration, Hosts};

/// Properties of operations by path. Operations of one path share them.
#[derive(Debug, Clone)]
pub struct RouteTable(Arc<Routes>);

#[derive(Debug, Default)]
struct Routes {
    /// The operations with a rate limit of their own, by their path, or by its pattern if it has parameters.
    purposes: HashMap<String, Purpose>,
    purposes_by_pattern: Vec<(Pattern, Purpose)>,
    /// The operations that the host of users' files serves.
    content: Vec<(Pattern, Hosts)>,
    /// The paths up to a secret, e.g. `/v1/links/`.
    before_secrets: Vec<String>,
}

/// A path whose segments are texts or, where `None`, parameters.
#[derive(Debug, PartialEq, Eq)]
struct Pattern(Vec<Option<String>>);

impl Pattern {
    fn of(path: &str) -> Self {
        let segments = path.split('/');
        Self(
            segments
                .map(|segment| (!segment.starts_with('{')).then(|| segment.to_owned()))
                .collect(),
        )
    }

    fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        self.0.iter().all(|expected| {
            segments.next().is_some_and(|segment| match expected {
                Some(text) => text == segment,
                None => !segment.is_empty(),
            })
        }) && segments.next().is_none()
    }
}

impl RouteTable {
    pub(crate) fn of(declarations: &[Declaration]) -> Self {
        let mut routes = Routes::default();
        for declaration in declarations {
            let (path, purpose) = (&declaration.path, declaration.purpose);
            if purpose != Purpose::Other {
                if path.contains('{') {
                    routes
                        .purposes_by_pattern
                        .push((Pattern::of(path), purpose));
                } else {
                    routes.purposes.insert(path.clone(), purpose);
                }
            }
            if declaration.hosts != Hosts::Api {
                routes.content.push((Pattern::of(path), declaration.hosts));
            }
            if let Some(secret) = &declaration.secret {
                let parameter = format!("{{{secret}}}");
                let (before, _) = declaration
                    .path
                    .split_once(&parameter)
                    .expect("the parameter is one of the path");
                if !routes.before_secrets.iter().any(|known| known == before) {
                    routes.before_secrets.push(before.to_owned());
                }
            }
        }
        Self(Arc::new(routes))
    }

    /// Returns the rate limit that a request for this path counts against.
    pub(crate) fn purpose(&self, path: &str) -> Purpose {
        let exact = self.0.purposes.get(path);
        let mut patterns = self.0.purposes_by_pattern.iter();
        let found = exact.or_else(|| {
            let (_, purpose) = patterns.find(|(pattern, _)| pattern.matches(path))?;
            Some(purpose)
        });
        found.copied().unwrap_or(Purpose::Other)
    }

    /// Returns the hosts that serve this path.
    pub(crate) fn hosts(&self, path: &str) -> Hosts {
        let mut routes = self.0.content.iter();
        let found = routes.find(|(pattern, _)| pattern.matches(path));
        found.map_or(Hosts::Api, |(_, hosts)| *hosts)
    }

    /// Returns the path as it may be logged: without its secret, also below it where no operation is.
    pub(crate) fn loggable<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let found = self
            .0
            .before_secrets
            .iter()
            .find_map(|before| Some((before, path.strip_prefix(before.as_str())?)));
        let Some((before, secret)) = found else {
            return Cow::Borrowed(path);
        };
        let rest = secret.find('/').map_or("", |end| &secret[end..]);
        Cow::Owned(format!("{before}…{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_paths_of_its_shape() {
        let pattern = Pattern::of("/v1/links/{token}/tickets");
        assert!(pattern.matches("/v1/links/a/tickets"));
        for other in [
            "/v1/links/a",
            "/v1/links/a/tickets/",
            "/v1/links//tickets",
            "/v1/links/a/b/tickets",
            "v1/links/a/tickets",
            "",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
    }
}
