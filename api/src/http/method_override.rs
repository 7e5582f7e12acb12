//! `X-HTTP-Method-Override` of tus 1.0, for clients that cannot send PATCH or DELETE.

use poem::Request;
use poem::http::{HeaderName, Method};

use super::tus;

const HEADER: HeaderName = HeaderName::from_static("x-http-method-override");

/// Replaces the method of a tus request by the one in the header.
///
/// This runs before authentication and the CSRF check, which depend on the method. The actual
/// method is ignored, as tus 1.0 requires.
pub fn apply(request: &mut Request) {
    let Some(requested) = request.headers().get(HEADER) else {
        return;
    };
    // Only tus defines the header. It must not change requests to other operations.
    if !tus::is_tus_path(request.uri().path()) {
        return;
    }
    if let Ok(method) = Method::from_bytes(requested.as_bytes()) {
        request.set_method(method);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_override_applies_to_uploads_only() {
        for (path, requested, method) in [
            ("/v1/uploads", "OPTIONS", Method::OPTIONS),
            ("/v1/uploads/1", "PATCH", Method::PATCH),
            ("/v1/uploads/1", "DELETE", Method::DELETE),
            ("/v1/uploads/1", "no method", Method::POST),
            ("/v1/uploadsome", "DELETE", Method::POST),
            ("/v1/files/1", "DELETE", Method::POST),
        ] {
            let request = Request::builder()
                .method(Method::POST)
                .uri_str(path)
                .header(HEADER, requested);
            let mut request = request.finish();
            apply(&mut request);
            assert_eq!(request.method(), method, "{path} {requested}");
        }
    }
}
