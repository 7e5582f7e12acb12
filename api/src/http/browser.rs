//! Browsers that keep their tokens in cookies: the cookies themselves, and the proof that a page of ours sent them.
//!
//! A page of somebody else can make a browser send cookies. It cannot read the token that goes with the session
//! (X-CSRF-Token, a keyed hash of the session's id), and the browser says truthfully where it comes from (Origin).

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

/// RFC 6265bis, section 4.1.3: the prefix binds a cookie to this very host, to TLS and to every path.
pub const ACCESS: &str = "__Host-plinth_access";
const REFRESH: &str = "__Host-plinth_refresh";
const DEVICE: &str = "__Host-plinth_device";

pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const CSRF_CONTEXT: &str = "csrf v1";

/// How long browsers keep the refresh token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionLifetime(pub(crate) Duration);

impl SessionLifetime {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self(settings.auth.session_lifetime)
    }
}

/// Tells pages of ours from others.
#[derive(Clone)]
pub struct Pages(Arc<Inner>);

struct Inner {
    signer: Signer,
    origins: Vec<String>,
}

impl Pages {
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

    /// What a page of ours has to send with every unsafe request of this session.
    pub fn csrf_token(&self, session: SessionId) -> String {
        URL_SAFE_NO_PAD.encode(self.0.signer.tag(CSRF_CONTEXT, session.0.as_bytes()))
    }

    /// Whether a page of ours has sent this request of the session.
    pub fn have_sent(&self, headers: &HeaderMap, session: SessionId) -> bool {
        let token = headers
            .get(CSRF_HEADER)
            .and_then(|value| URL_SAFE_NO_PAD.decode(value.as_bytes()).ok());
        self.is_from_ours(headers)
            && token.is_some_and(|tag| {
                self.0
                    .signer
                    .verify_tag(CSRF_CONTEXT, session.0.as_bytes(), &tag)
            })
    }

    /// The browser that sent these headers.
    pub fn browser<'a>(&'a self, headers: &'a HeaderMap) -> Browser<'a> {
        Browser {
            headers,
            pages: self,
        }
    }

    fn is_from_ours(&self, headers: &HeaderMap) -> bool {
        let origin = headers
            .get(header::ORIGIN)
            .and_then(|value| value.to_str().ok());
        origin.is_some_and(|origin| self.0.origins.iter().any(|known| known == origin))
    }
}

/// Scheme, host and port of a URL (RFC 6454, section 6.2).
fn origin_of(url: &str) -> String {
    url.splitn(4, '/')
        .take(3)
        .collect::<Vec<_>>()
        .join("/")
        .to_ascii_lowercase()
}

/// The cookie of this name.
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
    pages: &'a Pages,
}

impl Browser<'_> {
    /// Refuses to put a session into a browser for a page of somebody else: its user would act as another.
    pub fn require_page_of_ours(&self) -> Result<(), Error> {
        if self.pages.is_from_ours(self.headers) {
            Ok(())
        } else {
            Err(foreign_page())
        }
    }

    /// The refresh token that the browser keeps; `session_of` tells whose it is.
    pub fn refresh_token(
        &self,
        session_of: impl Fn(&str) -> Option<SessionId>,
    ) -> Result<Option<String>, Error> {
        let Some(token) = cookie(self.headers, REFRESH) else {
            return Ok(None);
        };
        match session_of(token) {
            Some(session) if !self.pages.have_sent(self.headers, session) => Err(foreign_page()),
            _ => Ok(Some(token.to_owned())),
        }
    }

    /// The refresh token of the session that a login replaces.
    pub fn replaced_refresh_token(&self) -> Option<&str> {
        cookie(self.headers, REFRESH)
    }

    /// By which the device is known.
    pub fn device_token(&self) -> Option<String> {
        cookie(self.headers, DEVICE).map(str::to_owned)
    }

    pub fn has_session(&self) -> bool {
        cookie(self.headers, ACCESS).is_some() || cookie(self.headers, REFRESH).is_some()
    }

    pub fn csrf_token(&self, session: SessionId) -> String {
        self.pages.csrf_token(session)
    }
}

/// The refusal of a request that a page of another site may have sent.
pub(crate) fn foreign_page() -> Error {
    Error::Forbidden {
        code: ErrorCode::CsrfFailed,
        detail: "A request with a cookie needs X-CSRF-Token and comes from an allowed origin."
            .to_owned(),
    }
}

/// What a browser is given to keep; `None` leaves what it has.
#[derive(Debug, Default)]
pub struct Kept<'a> {
    pub access_token: Option<(&'a str, Duration)>,
    pub refresh_token: Option<(&'a str, Duration)>,
    pub device_token: Option<(&'a str, Duration)>,
}

impl Kept<'_> {
    /// The Set-Cookie fields.
    pub fn cookies(&self) -> impl Iterator<Item = HeaderValue> {
        let named = [
            (ACCESS, self.access_token),
            (REFRESH, self.refresh_token),
            (DEVICE, self.device_token),
        ];
        named.into_iter().filter_map(|(name, kept)| {
            let (value, lifetime) = kept?;
            Some(set(name, value, lifetime))
        })
    }
}

/// The Set-Cookie fields that make a browser forget its session; the device stays known.
pub fn forget() -> [HeaderValue; 2] {
    [
        set(ACCESS, "", Duration::ZERO),
        set(REFRESH, "", Duration::ZERO),
    ]
}

fn set(name: &'static str, value: &str, lifetime: Duration) -> HeaderValue {
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
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; x__Host-plinth_access=2"),
        );
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("__Host-plinth_access=3=4"),
        );
        assert_eq!(cookie(&headers, ACCESS), Some("3=4"));
        assert_eq!(cookie(&headers, REFRESH), None);
    }

    #[test]
    fn cookies_are_closed_to_scripts_and_to_other_sites() {
        let kept = Kept {
            access_token: Some(("abc", Duration::from_mins(5))),
            ..Kept::default()
        };
        let cookies: Vec<_> = kept.cookies().collect();
        assert_eq!(cookies.len(), 1);
        assert_eq!(
            cookies[0],
            "__Host-plinth_access=abc; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=300"
        );
        assert!(forget()[0].to_str().expect("text").contains("Max-Age=0"));
    }
}
