//! The response of an operation that replaces all device tokens of an account.

use plinth_core::auth::DEVICE_LIFETIME;
use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::types::{ToJSON as _, Type as _};
use poem_openapi::{ApiResponse, Object};

use crate::http::browser::{Browser, SessionCookies};
use crate::http::json::private_json;

/// The new token of the device.
#[derive(Object)]
struct DeviceToken {
    /// Send it with the next login from this device, so that failed logins elsewhere do not delay
    /// it. Earlier device tokens are invalid. Null if a cookie carries it.
    device_token: Option<String>,
}

/// A device token, in the body or in a cookie.
pub(crate) struct DeviceTokenResponse {
    body: DeviceToken,
    cookies: Vec<header::HeaderValue>,
}

impl DeviceTokenResponse {
    /// Returns the token in the body.
    pub(crate) fn in_body(token: String) -> Self {
        Self {
            body: DeviceToken {
                device_token: Some(token),
            },
            cookies: Vec::new(),
        }
    }

    /// Returns the token in a cookie if the browser has a session, otherwise in the body.
    pub(crate) fn with_session(token: String, browser: &Browser<'_>) -> Self {
        if !browser.has_session() {
            return Self::in_body(token);
        }
        let cookies = SessionCookies {
            device_token: Some((&token, DEVICE_LIFETIME.unsigned_abs())),
            ..SessionCookies::default()
        };
        Self {
            body: DeviceToken { device_token: None },
            cookies: cookies.cookies().collect(),
        }
    }
}

impl IntoResponse for DeviceTokenResponse {
    fn into_response(self) -> Response {
        private_json(self.body.to_json_string(), self.cookies)
    }
}

impl ApiResponse for DeviceTokenResponse {
    fn meta() -> MetaResponses {
        Json::<DeviceToken>::meta()
    }

    fn register(registry: &mut Registry) {
        DeviceToken::register(registry);
    }
}
