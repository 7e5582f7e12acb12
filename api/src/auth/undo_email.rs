//! POST /v1/auth/email/undo

use plinth_core::auth::Auth;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

pub(crate) struct UndoEmail {
    pub(super) auth: Auth,
}

/// The proof that whoever asks reads the mail of the address.
#[derive(Object)]
struct UndoEmailRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 256))]
    token: String,
}

#[derive(ApiResponse)]
enum Undone {
    /// The account has its old address again.
    #[oai(status = 204)]
    Undone,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl UndoEmail {
    /// Undo a change of address
    ///
    /// Takes the token that was mailed to the old address; it works once. Every session and API key of the account ends,
    /// and a mail to choose another password is on its way.
    #[oai(path = "/email/undo", method = "post", operation_id = "undoEmail")]
    async fn undo(&self, origin: RequestOrigin, body: Body<UndoEmailRequest>) -> Result<Undone> {
        self.auth.undo_email_change(&origin.0, &body.0.token).await?;
        Ok(Undone::Undone)
    }
}
