//! PUT /v1/me/password

use plinth_core::Error;
use plinth_core::auth::{Auth, PasswordChange};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::password::Password;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use crate::auth::known_device::KnownDevice;
use crate::http::body::Body;
use crate::http::browser::Pages;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct ChangePassword {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
}

impl Operation for ChangePassword {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::AccountChanged)]];
}

/// Another password.
#[derive(Object)]
struct ChangePasswordRequest {
    /// The one that the account has; left out where it has none.
    #[oai(validator(max_length = 1024))]
    current_password: Option<String>,
    /// 8 to 128 characters of any kind.
    #[oai(validator(max_length = 1024))]
    new_password: String,
    /// Whether API keys end as well; they stay unless given.
    revoke_api_keys: Option<bool>,
    /// What an earlier login on this device was given.
    #[oai(validator(max_length = 512))]
    device_token: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ChangePassword {
    /// Change the own password
    ///
    /// Every other session ends, and so do links that were mailed and device tokens that were given out; the answer
    /// has the next one for this device.
    #[oai(path = "/me/password", method = "put", operation_id = "changePassword")]
    async fn change(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<ChangePasswordRequest>,
    ) -> Result<KnownDevice> {
        let browser = self.pages.browser(headers);
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
        Ok(KnownDevice::with_session(token, &browser))
    }
}
