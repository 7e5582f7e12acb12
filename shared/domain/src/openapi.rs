//! How values stand in the API document and in JSON.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::LazyLock;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use serde_json::Value;
use strum::{EnumMessage, VariantArray};
use uuid::Uuid;

use crate::audit::Action;
use crate::authentication::Method;
use crate::closed_set::Recorded;
use crate::error_code::ErrorCode;
use crate::id::{
    ApiKeyId, AuditEventId, BlobId, FileId, JobId, NotificationId, PasskeyId, SessionId,
    ShareLinkId, UserId,
};
use crate::notification::NotificationKind;
use crate::permission::Permission;
use crate::user::UserStatus;

/// The meaning of a name in the document.
trait Meaning {
    fn meaning(&self) -> &'static str;
}

/// The meaning of a name is its doc comment.
impl<T: EnumMessage> Meaning for T {
    fn meaning(&self) -> &'static str {
        self.get_documentation().unwrap_or_default()
    }
}

/// Error codes have a table of meanings, which other pages use as well.
impl Meaning for ErrorCode {
    fn meaning(&self) -> &'static str {
        Self::meaning(*self)
    }
}

/// Returns the summary, and the meaning of each name.
fn describe<T>(summary: &str, values: impl Iterator<Item = T>) -> String
where
    T: Meaning + Copy + Into<&'static str>,
{
    let mut text = format!("{summary}\n");
    for value in values {
        let name: &str = value.into();
        write!(text, "\n- `{name}`: {}", Meaning::meaning(&value))
            .expect("writing to a String never fails");
    }
    text
}

/// Implements an enumeration in the document, under a name of its own. It is for enums whose names differ from their
/// variants, which [`poem_openapi::Enum`] would have to list a second time, and for those with a value that is not shown,
/// which stands after `without`.
macro_rules! documented_names {
    ($($name:ident $(without $hidden:ident)? as $schema:literal: $summary:literal,)*) => {$(
        impl $name {
            fn documented() -> impl Iterator<Item = Self> {
                let values = Self::VARIANTS.iter().copied();
                $(let values = values.filter(|value| *value != Self::$hidden);)?
                values
            }
        }

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $schema.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Reference(<Self as Type>::name().into_owned())
            }

            fn register(registry: &mut Registry) {
                static DESCRIPTION: LazyLock<String> = LazyLock::new(|| describe($summary, $name::documented()));
                registry.create_schema::<Self, _>(<Self as Type>::name().into_owned(), |_| MetaSchema {
                    description: Some(&DESCRIPTION),
                    enum_items: Self::documented().map(|value| value.as_str().into()).collect(),
                    ..MetaSchema::new("string")
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                Self::documented()
                    .find(|known| known.as_str() == value)
                    .ok_or_else(|| ParseError::custom("Expected one of the documented names."))
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value.unwrap_or_default() {
                    Value::String(name) => {
                        Self::parse_from_parameter(&name).map_err(ParseError::propagate)
                    }
                    other => Err(ParseError::expected_type(other)),
                }
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                Some(self.as_str().into())
            }
        }
    )*};
}

documented_names! {
    ErrorCode as "ErrorCode": "The stable, machine-readable code of the problem. Later releases add codes: handle an unknown code by its status.",
    Action as "AuditAction": "What was done. Later releases add actions.",
    Method as "AuthenticationMethod": "A way of proving who one is, by its name in RFC 8176.",
    NotificationKind as "NotificationKind": "What happened. Later releases add kinds.",
    Permission as "Permission": "What a request may be allowed to do, as `resource:action`. Later releases add permissions.",
    UserStatus without Deleted as "UserStatus": "Whether an account may act.",
}

/// Implements an id, which is a UUID in the document. [`poem_openapi::NewType`] would make the doc comment of the type the
/// title of every field.
macro_rules! ids_as_uuids {
    ($($name:ident),* $(,)?) => {$(
        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                Uuid::name()
            }

            fn schema_ref() -> MetaSchemaRef {
                Uuid::schema_ref()
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                Uuid::parse_from_parameter(value).map(Self).map_err(ParseError::propagate)
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                Uuid::parse_from_json(value).map(Self).map_err(ParseError::propagate)
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                self.0.to_json()
            }
        }
    )*};
}

ids_as_uuids!(
    ApiKeyId,
    AuditEventId,
    BlobId,
    FileId,
    JobId,
    NotificationId,
    PasskeyId,
    SessionId,
    ShareLinkId,
    UserId,
);

/// Documented as the names of `T`, but any text is read and written: an answer shows what a newer release wrote, and a
/// request with an unknown name is refused by the rule that knows its place.
impl<T> Type for Recorded<T>
where
    T: Type + Copy + Into<&'static str> + FromStr,
{
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T> ParseFromParameter for Recorded<T>
where
    T: Type + Copy + Into<&'static str> + FromStr,
{
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(value.to_owned().into())
    }
}

impl<T> ParseFromJSON for Recorded<T>
where
    T: Type + Copy + Into<&'static str> + FromStr,
{
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(name) => Ok(name.into()),
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl<T> ToJSON for Recorded<T>
where
    T: Type + Copy + Into<&'static str> + FromStr,
{
    fn to_json(&self) -> Option<Value> {
        Some(self.as_str().into())
    }
}
