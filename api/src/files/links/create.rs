//! POST /v1/files/{id}/links

use plinth_core::error::Faults;
use plinth_core::files::{NewShareLink, ShareLinks};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::FileId;
use plinth_domain::password::Password;
use plinth_domain::share_link::{DownloadLimit, LinkExpiry};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use super::view::ShareLink;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{FilesWrite, NotImpersonated};
use crate::http::utc_time::UtcTime;

pub(crate) struct CreateShareLink {
    pub(super) links: ShareLinks,
    pub(super) public_url: String,
}

impl Operation for CreateShareLink {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::TooManyLinks)]];
}

/// The properties of a new share link.
#[derive(Object)]
struct CreateShareLinkRequest {
    /// When the link expires, at most a year from now. In 30 days by default.
    expires_at: Option<UtcTime>,
    /// A password for the link, 8 to 128 characters. None by default.
    #[oai(validator(max_length = 1024))]
    password: Option<String>,
    /// The number of downloads after which the link ends, from 1 to 1,000,000. Unlimited by
    /// default.
    max_downloads: Option<i64>,
    /// Whether the link always serves the current version as of now. By default, it serves the
    /// version that is current when it is used.
    pinned: Option<bool>,
}

impl CreateShareLinkRequest {
    fn parse(self) -> plinth_core::Result<NewShareLink> {
        let mut faults = Faults::default();
        let password = self.password.as_deref().map(Password::parse).transpose();
        let password = faults.keep("/password", password);
        let max_downloads = self.max_downloads.map(DownloadLimit::parse).transpose();
        let max_downloads = faults.keep("/max_downloads", max_downloads);
        let expiry = self
            .expires_at
            .map_or(LinkExpiry::Usual, |at| LinkExpiry::At(at.moment()));
        let whole = password.zip(max_downloads);
        faults.into_result(whole.map(|(password, max_downloads)| NewShareLink {
            expiry,
            password,
            max_downloads,
            pinned: self.pinned.unwrap_or_default(),
        }))
    }
}

/// A new share link with its token.
#[derive(Object)]
struct CreatedShareLink {
    /// The URL that describes the shared file; append `/content` to download it. It is shown only
    /// once, and everyone who has it can read the file.
    url: String,
    /// The secret part of the URL.
    token: String,
    link: ShareLink,
}

#[derive(ApiResponse)]
enum Created {
    /// The link was created.
    #[oai(status = 201)]
    Created(
        Json<CreatedShareLink>,
        /// Prevents caches from storing the token.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl CreateShareLink {
    /// Share a file by a link
    ///
    /// Everyone who has the link can download the file without an account, until the link expires,
    /// is revoked or is used up. The link serves the current version, or the version that it is
    /// pinned to. A link that an API key created is revoked with the key. A file can have 100 links
    /// that have not expired (409 `too_many_links`).
    #[oai(
        path = "/files/:id/links",
        method = "post",
        operation_id = "createShareLink"
    )]
    async fn create(
        &self,
        caller: NotImpersonated<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<CreateShareLinkRequest>,
    ) -> Result<Created> {
        let wanted = body.0.parse()?;
        let (link, token) = self
            .links
            .create(&origin.0, &caller, FileId(id.0), wanted)
            .await?;
        let token = token.reveal();
        let url = format!("{}/v1/links/{token}", self.public_url.trim_end_matches('/'));
        let created = CreatedShareLink {
            url,
            token,
            link: link.into(),
        };
        Ok(Created::Created(Json(created), "no-store".to_owned()))
    }
}
