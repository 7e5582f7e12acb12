//! PUT /v1/me/password

use plinth_core::Error;
use plinth_core::auth::{Auth, PasswordChange};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use crate::auth::device_token::DeviceTokenResponse;
use crate::http::body::Body;
use crate::http::browser::CsrfGuard;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct ChangePassword {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
}

impl Operation for ChangePassword {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::AccountChanged)]];
}

/// The new password.
#[derive(Object)]
struct ChangePasswordRequest {
    /// The current password; omitted if the account has none.
    #[oai(validator(max_length = 1024))]
    current_password: Option<String>,
    /// The new password: 8 to 128 characters of any kind.
    #[oai(validator(max_length = 1024))]
    new_password: String,
    /// Whether to revoke all API keys. False by default.
    revoke_api_keys: Option<bool>,
    /// The device token of an earlier login on this device.
    #[oai(validator(max_length = 512))]
    device_token: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ChangePassword {
    /// Change your password
    ///
    /// Ends all other sessions. Mailed links and device tokens become invalid; the response has a
    /// new device token for this device.
    #[oai(path = "/me/password", method = "put", operation_id = "changePassword")]
    async fn change(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<ChangePasswordRequest>,
    ) -> Result<DeviceTokenResponse> {
        let browser = self.csrf.browser(headers);
        let new = Password::parse(&body.0.new_password)
            .map_err(|rejection| Error::invalid("/new_password", rejection))?;
        let change = PasswordChange {
            current: body.0.current_password.as_deref().map(Password::normalise),
            new,
            revoke_api_keys: body.0.revoke_api_keys.unwrap_or_default(),
            device_token: body.0.device_token.or_else(|| browser.device_token()),
        };
        let token = self
            .auth
            .change_password(&origin.0, caller.in_session(), change)
            .await?;
        Ok(DeviceTokenResponse::with_session(token, &browser))
    }
}
