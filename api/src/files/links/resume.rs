//! The ticket to resume a counted download: a header for programs, a cookie for browsers.

use cookie::{Cookie, SameSite};
use plinth_core::files::RESUME_LIFETIME;
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::http::browser;

/// The header of the ticket, in requests and responses.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("plinth-resume-ticket");

/// The cookie of the ticket. It is restricted to the path of one link, so it cannot have the prefix
/// `__Host-`.
const COOKIE: &str = "__Secure-plinth_resume";

/// Adds the ticket to a response. `path` is the path of the download.
pub(super) fn set_ticket(headers: &mut HeaderMap, ticket: &str, path: &str) {
    let cookie = Cookie::build((COOKIE, ticket))
        .path(path)
        .max_age(RESUME_LIFETIME)
        .secure(true)
        .http_only(true)
        // A link is opened from other sites, such as mail or chat.
        .same_site(SameSite::Lax)
        .build();
    // Paths and tickets are visible ASCII; any other value is left out.
    if let Ok(cookie) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    if let Ok(ticket) = HeaderValue::from_str(ticket) {
        headers.insert(HEADER, ticket);
    }
}

/// Returns the ticket in the cookie of a browser.
pub(super) fn from_cookie(headers: &HeaderMap) -> Option<&str> {
    browser::cookie(headers, COOKIE)
}
