//! A JSON body: its type, its length and every part of it checked before an operation sees it.

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
use super::shape::Shape;
use super::unique_names::UniqueNames;

const MEDIA_TYPE: &str = "application/json";

/// A body that is what its schema says.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// The same for an operation that can do without: `None` if the request has no body.
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
        let faults = shape::<T>().faults(&value);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults).into());
        }
        T::parse_from_json(Some(value)).map(Self).map_err(|error| {
            // The schema is looser than the type: a number beyond its range, for one.
            Error::invalid("", Rejection::new("invalid", error.into_message())).into()
        })
    }
}

impl<T: ParseFromJSON + 'static> OptionalBody<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let is_json = is_json(request.content_type());
        // A body whose length is given need not be read to be refused.
        if !is_json && is_announced(request) {
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
    match progress.reading(reading).await {
        Ok(bytes) => Ok(bytes),
        Err(ReadBodyError::PayloadTooLarge) => Err(Error::TooLarge { limit }.into()),
        Err(ReadBodyError::Io(error)) => Err(Failure::BrokenBody(error)),
        Err(error) => Err(Error::internal(Box::new(error)).into()),
    }
}

/// Whether the client gives a length that is not zero.
fn is_announced(request: &Request) -> bool {
    request
        .header(header::CONTENT_LENGTH)
        .is_some_and(|length| length.trim() != "0")
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

/// The schema of `T`, made once.
fn shape<T: Type + 'static>() -> Arc<Shape> {
    static KNOWN: LazyLock<RwLock<HashMap<TypeId, Arc<Shape>>>> = LazyLock::new(RwLock::default);
    let id = TypeId::of::<T>();
    if let Some(shape) = KNOWN
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&id)
    {
        return shape.clone();
    }
    let shape = Arc::new(Shape::of::<T>());
    KNOWN
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, shape.clone());
    shape
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
