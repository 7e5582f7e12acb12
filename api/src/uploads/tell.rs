//! HEAD /v1/uploads/{id}

use std::time::Duration;

use plinth_core::files::Resumables;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::BlobId;
use poem::http::StatusCode;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};
use uuid::Uuid;

use super::protocol::{METADATA, check_version, empty, insert, told};
use crate::http::bare::Bare;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct TellUpload {
    pub(super) uploads: Resumables,
    pub(super) abandoned_after: Duration,
}

impl Operation for TellUpload {
    const REFUSALS: Refusals = &[&[(412, ErrorCode::TusVersion)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl TellUpload {
    /// Ask how far a resumable upload is
    ///
    /// `Upload-Offset` says where to go on, `Upload-Metadata` what the client said of it when it began it, and
    /// `Plinth-File-Id` which file it has become. An upload that has all of its bytes and no file yet gets it within
    /// minutes, or at once by a PATCH without bytes.
    #[oai(path = "/uploads/:id", method = "head", operation_id = "tellUpload")]
    async fn tell(
        &self,
        caller: Allowed<FilesWrite>,
        id: Path<Uuid>,
        /// `1.0.0`; without it, or with another version, the request is refused with 412.
        #[oai(name = "Tus-Resumable")]
        version: Header<Option<String>>,
    ) -> Result<Bare<200>> {
        check_version(version.0.as_deref())?;
        let (owner, id) = (caller.user.id, BlobId(id.0));
        let upload = self.uploads.find(owner, id).await?;
        let mut response = told(empty(StatusCode::OK), &upload, self.abandoned_after);
        if let Some(metadata) = &upload.metadata {
            insert(&mut response, METADATA, metadata);
        }
        Ok(Bare(response))
    }
}
