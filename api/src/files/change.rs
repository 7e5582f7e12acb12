//! PATCH /v1/files/{id}

use plinth_core::error::Faults;
use plinth_core::files::{Change, Files};
use plinth_domain::file::{FileName, Tag as FileTag};
use plinth_domain::id::FileId;
use plinth_domain::rejection::Rejection;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::representation::File;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct ChangeFile {
    pub(super) files: Files,
}

impl Operation for ChangeFile {}

/// The changes; omitted fields stay as they are.
#[derive(Object)]
struct ChangeFileRequest {
    /// The file name: up to 255 bytes, without a path.
    name: Option<String>,
    /// All tags of the file: up to 32, of up to 64 characters each, unique without regard to case.
    #[oai(validator(max_items = 32))]
    tags: Option<Vec<String>>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ChangeFile {
    /// Rename a file or replace its tags
    #[oai(path = "/files/:id", method = "patch", operation_id = "changeFile")]
    async fn change(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<ChangeFileRequest>,
    ) -> Result<Json<File>> {
        let change = parse(body.0)?;
        Ok(Json(
            self.files
                .change(&origin.0, caller.user.id, FileId(id.0), &change)
                .await?
                .into(),
        ))
    }
}

fn parse(request: ChangeFileRequest) -> plinth_core::Result<Change> {
    let mut faults = Faults::default();
    let name = request
        .name
        .and_then(|name| faults.keep("/name", FileName::parse(&name)));
    let tags = request.tags.and_then(|tags| {
        if tags.len() > FileTag::MAX_COUNT {
            let detail = format!("Expected at most {} tags.", FileTag::MAX_COUNT);
            return faults.keep("/tags", Err(Rejection::new("too_many", detail)));
        }
        let tags = tags.iter().enumerate();
        let tags: Vec<_> = tags
            .map(|(index, tag)| faults.keep(&format!("/tags/{index}"), FileTag::parse(tag)))
            .collect();
        tags.into_iter().collect()
    });
    faults.into_result(Some(Change { name, tags }))
}
