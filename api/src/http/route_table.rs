//! Properties of operations that the outer layers need before routing, by the path of the request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use plinth_core::access::Purpose;

use super::operation::{Declaration, Hosts};

/// Properties of operations by path. Operations with the same path share them.
#[derive(Debug, Clone)]
pub struct RouteTable(Arc<Routes>);

#[derive(Debug, Default)]
struct Routes {
    /// Rate limits of operations with a limit of their own, by their path.
    ///
    /// Paths with parameters are in `purposes_by_pattern`.
    purposes: HashMap<String, Purpose>,
    purposes_by_pattern: Vec<(Pattern, Purpose)>,
    /// The operations that the host of users' files serves.
    content: Vec<(Pattern, Hosts)>,
    /// The paths up to a secret, for example `/v1/links/`.
    secret_prefixes: Vec<String>,
}

/// A path whose segments are literals or parameters (`None`).
#[derive(Debug, PartialEq, Eq)]
struct Pattern(Vec<Option<String>>);

impl Pattern {
    fn parse(path: &str) -> Self {
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
    pub(crate) fn new(declarations: &[Declaration]) -> Self {
        let mut routes = Routes::default();
        for declaration in declarations {
            let (path, purpose) = (&declaration.path, declaration.purpose);
            if purpose != Purpose::Other {
                if path.contains('{') {
                    routes
                        .purposes_by_pattern
                        .push((Pattern::parse(path), purpose));
                } else {
                    routes.purposes.insert(path.clone(), purpose);
                }
            }
            if declaration.hosts != Hosts::Api {
                routes
                    .content
                    .push((Pattern::parse(path), declaration.hosts));
            }
            if let Some(secret) = &declaration.secret {
                let parameter = format!("{{{secret}}}");
                let (before, _) = declaration
                    .path
                    .split_once(&parameter)
                    .expect("the parameter is in the path");
                if !routes.secret_prefixes.iter().any(|known| known == before) {
                    routes.secret_prefixes.push(before.to_owned());
                }
            }
        }
        Self(Arc::new(routes))
    }

    /// Returns the rate limit that a request for this path counts against.
    pub(crate) fn purpose(&self, path: &str) -> Purpose {
        let exact = self.0.purposes.get(path);
        let mut patterns = self.0.purposes_by_pattern.iter();
        let matching = exact.or_else(|| {
            let (_, purpose) = patterns.find(|(pattern, _)| pattern.matches(path))?;
            Some(purpose)
        });
        matching.copied().unwrap_or(Purpose::Other)
    }

    /// Returns the hosts that serve this path.
    pub(crate) fn hosts(&self, path: &str) -> Hosts {
        let mut routes = self.0.content.iter();
        let matching = routes.find(|(pattern, _)| pattern.matches(path));
        matching.map_or(Hosts::Api, |(_, hosts)| *hosts)
    }

    /// Returns the path without its secret, for logs. This includes paths below it that no
    /// operation has.
    pub(crate) fn redact<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let matching = self
            .0
            .secret_prefixes
            .iter()
            .find_map(|before| Some((before, path.strip_prefix(before.as_str())?)));
        let Some((before, secret)) = matching else {
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
    fn a_pattern_matches_paths_with_the_same_segments() {
        let pattern = Pattern::parse("/v1/links/{token}/tickets");
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
