//! Validates a JSON value against its documented schema and finds every fault, not only the first.

use plinth_core::error::{Fault, FaultList};
use plinth_domain::rejection::Rejection;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::Value;

/// The schema of a type, with all types that it refers to.
pub struct BodySchema {
    root: MetaSchemaRef,
    registry: Registry,
}

impl BodySchema {
    pub fn new<T: Type>() -> Self {
        let mut registry = Registry::new();
        T::register(&mut registry);
        Self {
            root: T::schema_ref(),
            registry,
        }
    }

    /// Returns the faults of the value, up to [`FaultList::MAX`].
    pub fn faults(&self, value: &Value) -> Vec<Fault> {
        let mut validation = Validation {
            registry: &self.registry,
            faults: FaultList::default(),
        };
        validation.validate(value, &self.root, "");
        validation.faults.into_vec()
    }
}

struct Validation<'a> {
    registry: &'a Registry,
    faults: FaultList,
}

impl Validation<'_> {
    fn add_fault(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.faults.push(|| Fault {
            pointer: pointer.to_owned(),
            rejection: Rejection::new(code, detail),
        });
    }

    fn validate(&mut self, value: &Value, schema: &MetaSchemaRef, pointer: &str) {
        let registry = self.registry;
        let schema = match schema {
            MetaSchemaRef::Inline(schema) => schema,
            MetaSchemaRef::Reference(name) => match registry.schemas.get(name) {
                Some(schema) => schema,
                None => return,
            },
        };
        if value.is_null() && schema.nullable {
            return;
        }
        for part in &schema.all_of {
            self.validate(value, part, pointer);
        }
        match schema.ty {
            "object" => self.validate_object(value, schema, pointer),
            "array" => self.validate_array(value, schema, pointer),
            "string" => self.validate_string(value, schema, pointer),
            "integer" if !(value.is_i64() || value.is_u64()) => {
                self.add_fault(pointer, "wrong_type", "Expected an integer.");
            }
            "number" if !value.is_number() => {
                self.add_fault(pointer, "wrong_type", "Expected a number.");
            }
            "boolean" if !value.is_boolean() => {
                self.add_fault(pointer, "wrong_type", "Expected true or false.");
            }
            _ => {}
        }
    }

    fn validate_object(&mut self, value: &Value, schema: &MetaSchema, pointer: &str) {
        let Value::Object(fields) = value else {
            return self.add_fault(pointer, "wrong_type", "Expected an object.");
        };
        for name in &schema.required {
            if !fields.contains_key(*name) {
                self.add_fault(
                    &format!("{pointer}/{}", escape(name)),
                    "missing",
                    "This field is required.",
                );
            }
        }
        for (name, value) in fields {
            let place = format!("{pointer}/{}", escape(name));
            let known = schema.properties.iter().find(|(known, _)| known == name);
            match known
                .map(|(_, schema)| schema)
                .or(schema.additional_properties.as_deref())
            {
                Some(schema) => self.validate(value, schema, &place),
                None => self.add_fault(&place, "unknown_field", "Unknown field."),
            }
        }
    }

    fn validate_array(&mut self, value: &Value, schema: &MetaSchema, pointer: &str) {
        let Value::Array(items) = value else {
            return self.add_fault(pointer, "wrong_type", "Expected an array.");
        };
        if let Some(max) = schema.max_items.filter(|max| items.len() > *max) {
            return self.add_fault(
                pointer,
                "too_many",
                format!("Expected at most {max} items."),
            );
        }
        if let Some(schema) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.validate(item, schema, &format!("{pointer}/{index}"));
            }
        }
    }

    fn validate_string(&mut self, value: &Value, schema: &MetaSchema, pointer: &str) {
        let Value::String(text) = value else {
            return self.add_fault(pointer, "wrong_type", "Expected a string.");
        };
        let length = text.chars().count();
        if let Some(max) = schema.max_length.filter(|max| length > *max) {
            self.add_fault(
                pointer,
                "too_long",
                format!("Expected at most {max} characters."),
            );
        }
        if let Some(min) = schema.min_length.filter(|min| length < *min) {
            self.add_fault(
                pointer,
                "too_short",
                format!("Expected at least {min} characters."),
            );
        }
    }
}

/// Escapes a name for a JSON pointer (RFC 6901, section 3). A long name is cut.
pub(super) fn escape(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    short.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use poem_openapi::Object;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::http::json::JsonObject;

    #[derive(Debug, Object)]
    struct Inner {
        count: i32,
    }

    #[derive(Debug, Object)]
    struct Outer {
        #[oai(validator(max_length = 3))]
        name: String,
        flag: Option<bool>,
        inner: Vec<Inner>,
    }

    #[derive(Debug, Object)]
    struct Open {
        form: JsonObject,
    }

    #[test]
    fn an_object_with_arbitrary_members_must_be_an_object() {
        let codes = |value: &Value| {
            let faults = BodySchema::new::<Open>().faults(value);
            faults
                .into_iter()
                .map(|fault| fault.rejection.code)
                .collect::<Vec<_>>()
        };
        assert!(codes(&json!({ "form": { "a": 1, "b": [{ "c": null }] } })).is_empty());
        assert_eq!(codes(&json!({ "form": [] })), ["wrong_type"]);
        assert_eq!(codes(&json!({ "form": null })), ["wrong_type"]);
    }

    fn found(value: &Value) -> Vec<(String, &'static str)> {
        let faults = BodySchema::new::<Outer>().faults(value);
        faults
            .into_iter()
            .map(|fault| (fault.pointer, fault.rejection.code))
            .collect()
    }

    #[test]
    fn every_fault_is_found_with_its_pointer() {
        assert_eq!(
            found(&json!({ "name": "abc", "inner": [{ "count": 1 }] })),
            []
        );
        let value =
            json!({ "name": "abcd", "flag": 1, "inner": [{ "count": "x" }, 7, {}], "a/b": 0 });
        let expected = [
            ("/a~1b", "unknown_field"),
            ("/flag", "wrong_type"),
            ("/inner/0/count", "wrong_type"),
            ("/inner/1", "wrong_type"),
            ("/inner/2/count", "missing"),
            ("/name", "too_long"),
        ];
        let mut seen = found(&value);
        seen.sort();
        assert_eq!(
            seen,
            expected.map(|(pointer, code)| (pointer.to_owned(), code))
        );
        assert_eq!(found(&json!([])), [(String::new(), "wrong_type")]);
    }

    #[test]
    fn a_few_faults_are_listed_and_the_rest_is_counted() {
        let fields = (0..1_000).map(|number| (number.to_string(), Value::Null));
        let mut value: Value = fields.collect::<serde_json::Map<_, _>>().into();
        value["name"] = json!("abc");
        value["inner"] = json!([]);
        let faults = BodySchema::new::<Outer>().faults(&value);
        let last = faults.last().expect("the value has faults");
        assert_eq!(
            (faults.len(), last.rejection.code),
            (FaultList::MAX + 1, "too_many_faults")
        );
        assert_eq!(
            last.rejection.detail,
            "950 more parts of the request are invalid."
        );
    }

    proptest! {
        #[test]
        fn a_value_without_faults_parses(name in ".{0,5}", count in any::<i64>(), flag in any::<Option<bool>>()) {
            use poem_openapi::types::ParseFromJSON as _;
            let value = json!({ "name": name, "flag": flag, "inner": [{ "count": count }] });
            if found(&value).is_empty() && i32::try_from(count).is_ok() {
                prop_assert!(Outer::parse_from_json(Some(value)).is_ok());
            }
        }
    }
}
