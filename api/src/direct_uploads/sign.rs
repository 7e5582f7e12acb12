//! POST /v1/direct-uploads/{id}/parts

use plinth_core::files::DirectUploads;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::BlobId;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::representation::PartRequest;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct SignDirectUploadParts {
    pub(super) uploads: DirectUploads,
}

impl Operation for SignDirectUploadParts {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::UploadOver)]];
}

/// The parts to sign.
#[derive(Object)]
struct SignPartsRequest {
    /// 1 to 100 part numbers, each from 1 to `part_count`.
    #[oai(validator(max_items = 100))]
    numbers: Vec<u64>,
}

/// The signed requests.
#[derive(Object)]
struct SignedParts {
    items: Vec<PartRequest>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl SignDirectUploadParts {
    /// Sign requests for parts of a direct upload
    ///
    /// Parts can be signed in any order and repeatedly; a part that is sent again replaces the
    /// previous one. If `part_count` is 1, part 1 is the whole file. 409 `upload_over` if the
    /// upload was completed.
    #[oai(
        path = "/direct-uploads/:id/parts",
        method = "post",
        operation_id = "signDirectUploadParts"
    )]
    async fn sign(
        &self,
        caller: Allowed<FilesWrite>,
        id: Path<Uuid>,
        body: Body<SignPartsRequest>,
    ) -> Result<Json<SignedParts>> {
        let parts = self
            .uploads
            .sign(caller.user.id, BlobId(id.0), &body.0.numbers)
            .await?;
        Ok(Json(SignedParts {
            items: parts.into_iter().map(PartRequest::from).collect(),
        }))
    }
}
