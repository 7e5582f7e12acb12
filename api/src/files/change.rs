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

/// What changes; what is absent stays.
#[derive(Object)]
struct ChangeFileRequest {
    /// Up to 255 bytes, and no path.
    name: Option<String>,
    /// All of its tags: up to 32 of up to 64 characters, the same in any case of their letters.
    #[oai(validator(max_items = 32))]
    tags: Option<Vec<String>>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ChangeFile {
    /// Rename a file or give it other tags
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

fn parse(asked: ChangeFileRequest) -> plinth_core::Result<Change> {
    let mut faults = Faults::default();
    let name = asked
        .name
        .and_then(|name| faults.keep("/name", FileName::parse(&name)));
    let tags = asked.tags.and_then(|tags| {
        if tags.len() > FileTag::MAX_COUNT {
            let detail = format!("A file has at most {} tags.", FileTag::MAX_COUNT);
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
