//! How the ticket of a counted download reaches its client and comes back: a header for programs, a cookie for browsers.

use cookie::{Cookie, SameSite};
use plinth_core::files::RESUME_LIFETIME;
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::http::browser;

/// In answers and requests alike.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("plinth-resume-ticket");

/// Sent over TLS alone. Its path is that of one link, so it cannot have the prefix `__Host-`.
const COOKIE: &str = "__Secure-plinth_resume";

/// Gives the client its ticket; `path` is that of the download.
pub(super) fn give(headers: &mut HeaderMap, ticket: &str, path: &str) {
    let cookie = Cookie::build((COOKIE, ticket))
        .path(path)
        .max_age(RESUME_LIFETIME)
        .secure(true)
        .http_only(true)
        // A link is opened from other sites: a mail, a chat.
        .same_site(SameSite::Lax)
        .build();
    // A path is visible ASCII, and so is a ticket; what is not is left out.
    if let Ok(cookie) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    if let Ok(ticket) = HeaderValue::from_str(ticket) {
        headers.insert(HEADER, ticket);
    }
}

/// The ticket that a browser kept.
pub(super) fn from_cookie(headers: &HeaderMap) -> Option<&str> {
    browser::cookie(headers, COOKIE)
}
