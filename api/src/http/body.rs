//! A JSON body, validated against its documented schema before the operation sees it.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use bytes::Bytes;
use plinth_core::Error;
use plinth_domain::rejection::Rejection;
use poem::error::ReadBodyError;
use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::failure::{Failure, Result};
use super::limits::{BodyLimits, BodyProgress};
use super::schema::BodySchema;
use super::unique_names::UniqueNames;

const MEDIA_TYPE: &str = "application/json";

/// A JSON body that matches its schema.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// An optional JSON body; `None` if the request has no body.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

impl<T: ParseFromJSON + 'static> Body<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self> {
        if !is_json(request.content_type()) {
            return Err(Failure::UnsupportedMediaType {
                expected: MEDIA_TYPE,
            });
        }
        Self::parse(&read_bytes(request, body).await?)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let UniqueNames(value) = serde_json::from_slice(bytes).map_err(Failure::MalformedJson)?;
        let faults = schema::<T>().faults(&value);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults).into());
        }
        T::parse_from_json(Some(value)).map(Self).map_err(|error| {
            // The schema is looser than the type: it has no range of numbers, for example.
            Error::invalid("", Rejection::new("invalid", error.into_message())).into()
        })
    }
}

impl<T: ParseFromJSON + 'static> OptionalBody<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let is_json = is_json(request.content_type());
        // A body with a declared length can be refused without reading it.
        if !is_json && has_nonzero_length(request) {
            return Err(Failure::UnsupportedMediaType {
                expected: MEDIA_TYPE,
            });
        }
        let bytes = read_bytes(request, body).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json {
            return Err(Failure::UnsupportedMediaType {
                expected: MEDIA_TYPE,
            });
        }
        Body::parse(&bytes).map(|Body(parsed)| Self(Some(parsed)))
    }
}

async fn read_bytes(request: &Request, body: &mut RequestBody) -> Result<Bytes> {
    let limit = request
        .data::<BodyLimits>()
        .expect("every request carries its limits")
        .json
        .0;
    let body = body
        .take()
        .map_err(|error| Error::internal(Box::new(error)))?;
    let progress = request.data::<BodyProgress>().cloned().unwrap_or_default();
    let reading = body.into_bytes_limit(usize::try_from(limit).unwrap_or(usize::MAX));
    match progress.track_reading(reading).await {
        Ok(bytes) => Ok(bytes),
        Err(ReadBodyError::PayloadTooLarge) => Err(Error::TooLarge { limit }.into()),
        Err(ReadBodyError::Io(error)) => Err(Failure::BrokenBody(error)),
        Err(error) => Err(Error::internal(Box::new(error)).into()),
    }
}

/// Returns whether the client declares a length other than zero.
fn has_nonzero_length(request: &Request) -> bool {
    request
        .header(header::CONTENT_LENGTH)
        .is_some_and(|length| length.trim() != "0")
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

/// Returns the schema of `T`, which is built once.
fn schema<T: Type + 'static>() -> Arc<BodySchema> {
    static SCHEMAS: LazyLock<RwLock<HashMap<TypeId, Arc<BodySchema>>>> =
        LazyLock::new(RwLock::default);
    let id = TypeId::of::<T>();
    if let Some(schema) = SCHEMAS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&id)
    {
        return schema.clone();
    }
    let schema = Arc::new(BodySchema::new::<T>());
    SCHEMAS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, schema.clone());
    schema
}

impl<'a, T: ParseFromJSON + Type + 'static> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType {
            content_type: MEDIA_TYPE,
            schema: T::schema_ref(),
        }];
        Some(MetaRequest {
            description: None,
            content,
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::read(request, body).await?)
    }
}

impl<'a, T: ParseFromJSON + Type + 'static> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Body::<T>::request_meta().map(|request| MetaRequest {
            required: false,
            ..request
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self::read(request, body).await?)
    }
}
