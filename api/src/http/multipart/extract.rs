//! The two forms that operations take, as the OpenAPI document shows them.

use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::{Form, MEDIA_TYPE};

/// A form with one file, in the field `file`.
pub struct FileForm(pub Form);

/// A form with several files, each in a field `files`.
pub struct FilesForm(pub Form);

const FILE: &str = "file";
const FILES: &str = "files";

/// Files in one form.
pub const MAX_FILES: usize = 100;

/// A form whose one field has this schema.
fn meta(field: &'static str, schema: MetaSchema) -> MetaRequest {
    let mut form = MetaSchema::new("object");
    form.required = vec![field];
    form.properties = vec![(field, MetaSchemaRef::Inline(Box::new(schema)))];
    let schema = MetaSchemaRef::Inline(Box::new(form));
    let content = vec![MetaMediaType {
        content_type: MEDIA_TYPE,
        schema,
    }];
    MetaRequest {
        description: None,
        content,
        required: true,
    }
}

fn file() -> MetaSchema {
    let mut file = MetaSchema::new_with_format("string", "binary");
    file.description = Some(
        "The file, with its name in the part's Content-Disposition: the last part of a path, without invisible characters, cut to 255 bytes of UTF-8.",
    );
    file
}

impl<'a> ApiExtractor<'a> for FileForm {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(meta(FILE, file()))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(Form::open(FILE, request, body)?))
    }
}

impl<'a> ApiExtractor<'a> for FilesForm {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let mut files = MetaSchema::new("array");
        files.max_items = Some(MAX_FILES);
        files.items = Some(Box::new(MetaSchemaRef::Inline(Box::new(file()))));
        Some(meta(FILES, files))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(Form::open(FILES, request, body)?))
    }
}
