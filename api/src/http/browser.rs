//! Session cookies, and the protection against cross-site request forgery (CSRF).
//!
//! Another site can make a browser send our cookies. It cannot read the CSRF token of the session
//! (`X-CSRF-Token`, a keyed hash of the session id), and it cannot change the `Origin` header.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, SameSite};
use plinth_core::Error;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::SessionId;
use plinth_platform::crypto::{RootKey, Signer};
use plinth_platform::settings::Settings;
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The cookie of the access token. The prefix binds the cookie to this host, to TLS and to every
/// path (RFC 6265bis, section 4.1.3).
pub const ACCESS_COOKIE: &str = "__Host-plinth_access";
const REFRESH_COOKIE: &str = "__Host-plinth_refresh";
const DEVICE_COOKIE: &str = "__Host-plinth_device";

pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const CSRF_CONTEXT: &str = "csrf v1";

/// How long a browser keeps the refresh token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionLifetime(pub(crate) Duration);

impl SessionLifetime {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self(settings.auth.session_lifetime)
    }
}

/// Verifies that an unsafe request with a session cookie comes from an allowed page.
#[derive(Clone)]
pub struct CsrfGuard(Arc<Inner>);

struct Inner {
    signer: Signer,
    origins: Vec<String>,
}

impl CsrfGuard {
    pub fn new(settings: &Settings, root: &RootKey) -> Self {
        let own = origin_of(&settings.general.public_url);
        let origins = std::iter::once(own)
            .chain(settings.api.cors_origins.0.iter().cloned())
            .collect();
        Self(Arc::new(Inner {
            signer: Signer::new(&root.derive("csrf tokens v1")),
            origins,
        }))
    }

    /// Returns the CSRF token that a page has to send with every unsafe request of the session.
    pub fn csrf_token(&self, session: SessionId) -> String {
        URL_SAFE_NO_PAD.encode(self.0.signer.tag(CSRF_CONTEXT, session.0.as_bytes()))
    }

    /// Returns whether the request has an allowed origin and the CSRF token of the session.
    pub fn has_valid_token(&self, headers: &HeaderMap, session: SessionId) -> bool {
        let token = headers
            .get(CSRF_HEADER)
            .and_then(|value| URL_SAFE_NO_PAD.decode(value.as_bytes()).ok());
        self.has_allowed_origin(headers)
            && token.is_some_and(|tag| {
                self.0
                    .signer
                    .verify_tag(CSRF_CONTEXT, session.0.as_bytes(), &tag)
            })
    }

    /// Returns the browser that sent these headers.
    pub fn browser<'a>(&'a self, headers: &'a HeaderMap) -> Browser<'a> {
        Browser {
            headers,
            csrf: self,
        }
    }

    fn has_allowed_origin(&self, headers: &HeaderMap) -> bool {
        let origin = headers
            .get(header::ORIGIN)
            .and_then(|value| value.to_str().ok());
        origin.is_some_and(|origin| self.0.origins.iter().any(|known| known == origin))
    }
}

/// Returns scheme, host and port of a URL (RFC 6454, section 6.2).
fn origin_of(url: &str) -> String {
    url.splitn(4, '/')
        .take(3)
        .collect::<Vec<_>>()
        .join("/")
        .to_ascii_lowercase()
}

/// Returns the value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

/// The browser behind a request, for operations that open, renew or end a session.
pub struct Browser<'a> {
    headers: &'a HeaderMap,
    csrf: &'a CsrfGuard,
}

impl Browser<'_> {
    /// Refuses a login from a page of another origin: it would log the user in to an account of the
    /// attacker.
    pub fn require_allowed_origin(&self) -> Result<(), Error> {
        if self.csrf.has_allowed_origin(self.headers) {
            Ok(())
        } else {
            Err(csrf_failed())
        }
    }

    /// Returns the refresh token from the cookie.
    ///
    /// # Errors
    /// The token belongs to a session, as `session_of` finds out, and the request lacks its CSRF
    /// token.
    pub fn refresh_token(
        &self,
        session_of: impl Fn(&str) -> Option<SessionId>,
    ) -> Result<Option<String>, Error> {
        let Some(token) = cookie(self.headers, REFRESH_COOKIE) else {
            return Ok(None);
        };
        match session_of(token) {
            Some(session) if !self.csrf.has_valid_token(self.headers, session) => {
                Err(csrf_failed())
            }
            _ => Ok(Some(token.to_owned())),
        }
    }

    /// Returns the refresh token of the session that a login replaces.
    pub fn replaced_refresh_token(&self) -> Option<&str> {
        cookie(self.headers, REFRESH_COOKIE)
    }

    /// Returns the token that marks the device as known.
    pub fn device_token(&self) -> Option<String> {
        cookie(self.headers, DEVICE_COOKIE).map(str::to_owned)
    }

    pub fn has_session(&self) -> bool {
        cookie(self.headers, ACCESS_COOKIE).is_some()
            || cookie(self.headers, REFRESH_COOKIE).is_some()
    }

    pub fn csrf_token(&self, session: SessionId) -> String {
        self.csrf.csrf_token(session)
    }
}

/// Returns the error for a request that a page of another site may have sent.
pub(crate) fn csrf_failed() -> Error {
    Error::Forbidden {
        code: ErrorCode::CsrfFailed,
        detail: "A request with a session cookie needs a valid X-CSRF-Token and an allowed Origin."
            .to_owned(),
    }
}

/// The cookies that a response sets; `None` leaves a cookie unchanged.
#[derive(Debug, Default)]
pub struct SessionCookies<'a> {
    pub access_token: Option<(&'a str, Duration)>,
    pub refresh_token: Option<(&'a str, Duration)>,
    pub device_token: Option<(&'a str, Duration)>,
}

impl SessionCookies<'_> {
    /// Returns the `Set-Cookie` fields.
    pub fn cookies(&self) -> impl Iterator<Item = HeaderValue> {
        let named = [
            (ACCESS_COOKIE, self.access_token),
            (REFRESH_COOKIE, self.refresh_token),
            (DEVICE_COOKIE, self.device_token),
        ];
        named.into_iter().filter_map(|(name, cookie)| {
            let (value, lifetime) = cookie?;
            Some(set_cookie(name, value, lifetime))
        })
    }
}

/// Returns the `Set-Cookie` fields that delete the session from a browser. The device cookie stays.
pub fn clear_session_cookies() -> [HeaderValue; 2] {
    [
        set_cookie(ACCESS_COOKIE, "", Duration::ZERO),
        set_cookie(REFRESH_COOKIE, "", Duration::ZERO),
    ]
}

fn set_cookie(name: &'static str, value: &str, lifetime: Duration) -> HeaderValue {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(cookie::time::Duration::seconds(seconds))
        .build();
    HeaderValue::from_str(&cookie.to_string()).expect("tokens are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (url, origin) in [
            ("https://app.example.org/base/", "https://app.example.org"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            (
                "https://App.Example.org:444/",
                "https://app.example.org:444",
            ),
        ] {
            assert_eq!(origin_of(url), origin);
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_full_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; x__Host-plinth_access=2"),
        );
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("__Host-plinth_access=3=4"),
        );
        assert_eq!(cookie(&headers, ACCESS_COOKIE), Some("3=4"));
        assert_eq!(cookie(&headers, REFRESH_COOKIE), None);
    }

    #[test]
    fn session_cookies_are_hidden_from_scripts_and_other_sites() {
        let cookies = SessionCookies {
            access_token: Some(("abc", Duration::from_mins(5))),
            ..SessionCookies::default()
        };
        let cookies: Vec<_> = cookies.cookies().collect();
        assert_eq!(cookies.len(), 1);
        assert_eq!(
            cookies[0],
            "__Host-plinth_access=abc; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=300"
        );
        assert!(
            clear_session_cookies()[0]
                .to_str()
                .expect("text")
                .contains("Max-Age=0")
        );
    }
}
