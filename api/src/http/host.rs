//! The host that a request is for.

use poem::Request;
use poem::http::header;

/// A host in lower case, with its port if the URL has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Returns the host of a URL like `https://host:port/path`.
    pub fn from_url(url: &str) -> Self {
        Self(
            url.split('/')
                .nth(2)
                .unwrap_or_default()
                .to_ascii_lowercase(),
        )
    }
}

/// Returns whether the request is for this host. HTTP/2 names the host in the target, HTTP/1.1 in
/// `Host`.
pub fn is_requested(request: &Request, host: &Host) -> bool {
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
    fn hosts_match_without_case_and_with_their_port() {
        let host = Host::from_url("https://Content.example:8443/");
        assert!(is_requested(&request("content.EXAMPLE:8443"), &host));
        assert!(!is_requested(&request("content.example"), &host));
        assert!(!is_requested(&request("evil-content.example:8443"), &host));
        assert!(!is_requested(&Request::default(), &host));
    }
}
