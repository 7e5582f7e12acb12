//! `X-HTTP-Method-Override` of tus 1.0, for clients whose environment has neither PATCH nor DELETE.

use poem::Request;
use poem::http::{HeaderName, Method};

use super::tus;

const HEADER: HeaderName = HeaderName::from_static("x-http-method-override");

/// Gives a request of the tus protocol the method that it means, before anything else looks at it: who may ask, and what
/// a page has to prove, is that method's. The actual one is ignored, as the protocol says.
pub fn apply(request: &mut Request) {
    let Some(meant) = request.headers().get(HEADER) else {
        return;
    };
    // Nobody else's operation is asked by another method than it says.
    if !tus::is_spoken_at(request.uri().path()) {
        return;
    }
    if let Ok(method) = Method::from_bytes(meant.as_bytes()) {
        request.set_method(method);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_method_that_is_meant_holds_for_uploads_alone() {
        for (path, meant, method) in [
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
                .header(HEADER, meant);
            let mut request = request.finish();
            apply(&mut request);
            assert_eq!(request.method(), method, "{path} {meant}");
        }
    }
}
