//! Compares a JSON value with the documented schema and finds every fault, not only the first.

use plinth_core::error::{Fault, FaultList};
use plinth_domain::rejection::Rejection;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::Value;

/// The schema of one type with everything that it refers to.
pub struct Shape {
    root: MetaSchemaRef,
    registry: Registry,
}

impl Shape {
    pub fn of<T: Type>() -> Self {
        let mut registry = Registry::new();
        T::register(&mut registry);
        Self {
            root: T::schema_ref(),
            registry,
        }
    }

    /// The places where the value differs from the schema, as many as are listed.
    pub fn faults(&self, value: &Value) -> Vec<Fault> {
        let mut search = Search {
            registry: &self.registry,
            faults: FaultList::default(),
        };
        search.compare(value, &self.root, "");
        search.faults.into_vec()
    }
}

struct Search<'a> {
    registry: &'a Registry,
    faults: FaultList,
}

impl Search<'_> {
    fn refuse(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.faults.push(|| Fault {
            pointer: pointer.to_owned(),
            rejection: Rejection::new(code, detail),
        });
    }

    fn compare(&mut self, value: &Value, schema: &MetaSchemaRef, pointer: &str) {
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
            self.compare(value, part, pointer);
        }
        match schema.ty {
            "object" => self.compare_object(value, schema, pointer),
            "array" => self.compare_array(value, schema, pointer),
            "string" => self.compare_string(value, schema, pointer),
            "integer" if !(value.is_i64() || value.is_u64()) => {
                self.refuse(pointer, "wrong_type", "A whole number is expected.");
            }
            "number" if !value.is_number() => {
                self.refuse(pointer, "wrong_type", "A number is expected.");
            }
            "boolean" if !value.is_boolean() => {
                self.refuse(pointer, "wrong_type", "true or false is expected.");
            }
            _ => {}
        }
    }

    fn compare_object(&mut self, value: &Value, schema: &MetaSchema, pointer: &str) {
        let Value::Object(fields) = value else {
            return self.refuse(pointer, "wrong_type", "An object is expected.");
        };
        for name in &schema.required {
            if !fields.contains_key(*name) {
                self.refuse(
                    &format!("{pointer}/{}", escape(name)),
                    "missing",
                    "This field must be given.",
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
                Some(schema) => self.compare(value, schema, &place),
                None => self.refuse(&place, "unknown_field", "There is no such field."),
            }
        }
    }

    fn compare_array(&mut self, value: &Value, schema: &MetaSchema, pointer: &str) {
        let Value::Array(items) = value else {
            return self.refuse(pointer, "wrong_type", "A list is expected.");
        };
        if let Some(max) = schema.max_items.filter(|max| items.len() > *max) {
            return self.refuse(
                pointer,
                "too_many",
                format!("At most {max} items are taken."),
            );
        }
        if let Some(schema) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.compare(item, schema, &format!("{pointer}/{index}"));
            }
        }
    }

    fn compare_string(&mut self, value: &Value, schema: &MetaSchema, pointer: &str) {
        let Value::String(text) = value else {
            return self.refuse(pointer, "wrong_type", "A text is expected.");
        };
        let length = text.chars().count();
        if let Some(max) = schema.max_length.filter(|max| length > *max) {
            self.refuse(
                pointer,
                "too_long",
                format!("At most {max} characters are taken."),
            );
        }
        if let Some(min) = schema.min_length.filter(|min| length < *min) {
            self.refuse(
                pointer,
                "too_short",
                format!("At least {min} characters are needed."),
            );
        }
    }
}

/// RFC 6901, section 3; an endless name is not repeated.
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
    fn an_object_of_any_form_is_an_object() {
        let codes = |value: &Value| {
            let faults = Shape::of::<Open>().faults(value);
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
        let faults = Shape::of::<Outer>().faults(value);
        faults
            .into_iter()
            .map(|fault| (fault.pointer, fault.rejection.code))
            .collect()
    }

    #[test]
    fn every_fault_is_found_where_it_is() {
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
        let faults = Shape::of::<Outer>().faults(&value);
        let last = faults.last().expect("there are some");
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
        fn what_has_no_fault_is_taken_by_the_type(name in ".{0,5}", count in any::<i64>(), flag in any::<Option<bool>>()) {
            use poem_openapi::types::ParseFromJSON as _;
            let value = json!({ "name": name, "flag": flag, "inner": [{ "count": count }] });
            if found(&value).is_empty() && i32::try_from(count).is_ok() {
                prop_assert!(Outer::parse_from_json(Some(value)).is_ok());
            }
        }
    }
}
