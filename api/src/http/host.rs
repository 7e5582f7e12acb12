//! The host that a request asks for.

use poem::Request;
use poem::http::header;

/// A host, with its port where the URL has one, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// That of a URL like `https://host:port/path`.
    pub fn of(url: &str) -> Self {
        Self(
            url.split('/')
                .nth(2)
                .unwrap_or_default()
                .to_ascii_lowercase(),
        )
    }
}

/// Whether the request asks for this host. HTTP/2 names it in the target, HTTP/1.1 in `Host`.
pub fn asked_for(request: &Request, host: &Host) -> bool {
    let named = request
        .uri()
        .authority()
        .map(poem::http::uri::Authority::as_str);
    let named = named.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
    named.is_some_and(|named| named.eq_ignore_ascii_case(&host.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str) -> Request {
        Request::builder().header(header::HOST, host).finish()
    }

    #[test]
    fn a_host_is_the_same_in_any_case_and_with_its_port_only() {
        let host = Host::of("https://Content.example:8443/");
        assert!(asked_for(&request("content.EXAMPLE:8443"), &host));
        assert!(!asked_for(&request("content.example"), &host));
        assert!(!asked_for(&request("evil-content.example:8443"), &host));
        assert!(!asked_for(&Request::default(), &host));
    }
}
