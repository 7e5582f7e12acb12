//! The error codes in the OpenAPI document: an enum with the meaning of each code.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use plinth_domain::error_code::ErrorCode;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

/// An error code with an OpenAPI schema. The domain crate does not depend on OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DocumentedCode(pub(super) ErrorCode);

impl Type for DocumentedCode {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| MetaSchema {
            description: Some(&DESCRIPTION),
            enum_items: ErrorCode::ALL
                .iter()
                .map(|code| code.as_str().into())
                .collect(),
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

impl ToJSON for DocumentedCode {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.as_str().into())
    }
}

impl ParseFromJSON for DocumentedCode {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        let code = value.as_str().and_then(|text| text.parse().ok());
        code.map(Self)
            .ok_or_else(|| ParseError::expected_type(value))
    }
}

static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let mut text = "The stable, machine-readable code of the problem. Later releases add codes: \
                    handle an unknown code by its status.\n"
        .to_owned();
    for code in ErrorCode::ALL {
        write!(text, "\n- `{code}`: {}", code.meaning()).expect("writing to a String never fails");
    }
    text
});

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Appends the text of every Rust file below a folder.
    fn read_sources(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read_sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                *text += &fs::read_to_string(path).expect("a source");
            }
        }
    }

    fn sources() -> String {
        let api = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut text = String::new();
        read_sources(&api.join("src"), &mut text);
        read_sources(&api.join("../shared/core/src"), &mut text);
        text
    }

    /// Returns the problems that the shipped nginx configuration responds with.
    fn problems_of_nginx() -> Vec<Value> {
        let configuration = include_str!("../../../deploy/nginx.conf");
        let bodies = configuration
            .split('\'')
            .filter(|text| text.starts_with("{\"type\":"));
        bodies
            .map(|body| {
                serde_json::from_str(&body.replace("$status", "400")).expect("a problem is JSON")
            })
            .collect()
    }

    #[test]
    fn every_code_is_used() {
        let sources = sources();
        let names: Vec<_> = sources
            .split("ErrorCode::")
            .skip(1)
            .filter_map(|rest| rest.split(|next: char| !next.is_alphanumeric()).next())
            .collect();
        let of_nginx = problems_of_nginx();
        for code in ErrorCode::ALL {
            let is_used = names.contains(&format!("{code:?}").as_str())
                || of_nginx
                    .iter()
                    .any(|problem| problem["code"] == code.as_str());
            assert!(is_used, "nothing responds with {code:?}");
        }
    }

    #[test]
    fn the_codes_of_nginx_are_documented() {
        let problems = problems_of_nginx();
        assert_eq!(problems.len(), 3);
        for problem in problems {
            let code = DocumentedCode::parse_from_json(Some(problem["code"].clone()))
                .expect("a code")
                .0;
            assert_eq!(problem["title"], code.title());
            assert_eq!(problem["type"], format!("/errors#{code}"));
            assert!(
                code.statuses()
                    .iter()
                    .any(|status| problem["status"] == *status),
                "{problem}"
            );
        }
    }

    #[test]
    fn no_code_is_written_as_text() {
        let sources = sources();
        let literal = sources.lines().find(|line| line.contains("code: \u{22}"));
        assert_eq!(literal, None);
    }

    #[test]
    fn a_code_is_read_as_it_is_written() {
        for code in ErrorCode::ALL.iter().copied().map(DocumentedCode) {
            assert_eq!(
                DocumentedCode::parse_from_json(code.to_json()).ok(),
                Some(code)
            );
        }
        assert!(DocumentedCode::parse_from_json(Some("no_such_code".into())).is_err());
    }
}
