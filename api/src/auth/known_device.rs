//! What a device gets where a change of the password has made strangers of all.

use plinth_core::auth::DEVICE_LIFETIME;
use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::types::{ToJSON as _, Type as _};
use poem_openapi::{ApiResponse, Object};

use crate::http::browser::{Browser, Kept};

/// By which the device is known from now on.
#[derive(Object)]
struct DeviceToken {
    /// Present it with the next login, so that guesses of strangers do not slow it down; earlier ones have ended. Null
    /// where a cookie has it.
    device_token: Option<String>,
}

/// The answer.
pub(crate) struct KnownDevice {
    body: DeviceToken,
    cookies: Vec<header::HeaderValue>,
}

impl KnownDevice {
    /// For a program, and for a page that has no session yet.
    pub(crate) fn in_body(token: String) -> Self {
        Self {
            body: DeviceToken {
                device_token: Some(token),
            },
            cookies: Vec::new(),
        }
    }

    /// Kept where the session of the request is kept.
    pub(crate) fn with_session(token: String, browser: &Browser<'_>) -> Self {
        if !browser.has_session() {
            return Self::in_body(token);
        }
        let kept = Kept {
            device_token: Some((&token, DEVICE_LIFETIME.unsigned_abs())),
            ..Kept::default()
        };
        Self {
            body: DeviceToken { device_token: None },
            cookies: kept.cookies().collect(),
        }
    }
}

impl IntoResponse for KnownDevice {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .content_type("application/json; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .body(self.body.to_json_string());
        for cookie in self.cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl ApiResponse for KnownDevice {
    fn meta() -> MetaResponses {
        Json::<DeviceToken>::meta()
    }

    fn register(registry: &mut Registry) {
        DeviceToken::register(registry);
    }
}
