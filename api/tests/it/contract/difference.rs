//! Incompatible differences between two documents. Additions, descriptions, an enum instead of a
//! string, and a limit that was not documented are compatible.

use std::collections::HashSet;

use serde_json::{Map, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Request,
    Response,
}

/// Returns each difference as one line: the place and the change.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        before,
        after,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    comparison.documents();
    comparison.found
}

struct Comparison<'a> {
    before: &'a Value,
    after: &'a Value,
    /// Schemas that were compared already, because they can be recursive.
    seen: HashSet<(String, String, Direction)>,
    found: Vec<String>,
}

/// A schema without references.
struct Resolved<'a> {
    schema: &'a Value,
    reference: String,
    nullable: bool,
}

impl<'a> Comparison<'a> {
    fn report(&mut self, place: &str, what: impl AsRef<str>) {
        self.found.push(format!("{place}: {}", what.as_ref()));
    }

    fn documents(&mut self) {
        let (before, after) = (self.before, self.after);
        for (path, operations) in members(&before["paths"]) {
            for (method, operation) in members(operations) {
                let place = format!("{} {path}", method.to_uppercase());
                match after["paths"][path].get(method) {
                    Some(now) => self.operations(&place, operation, now),
                    None => self.report(&place, "the operation is missing"),
                }
            }
        }
        for (name, scheme) in members(&before["components"]["securitySchemes"]) {
            let now = &after["components"]["securitySchemes"][name];
            for (key, value) in members(scheme).filter(|(key, _)| *key != "description") {
                self.same(&format!("security scheme {name}, {key}"), value, &now[key]);
            }
        }
    }

    fn operations(&mut self, place: &str, before: &'a Value, after: &'a Value) {
        let is_compared =
            |key: &str| key == "operationId" || key == "security" || key.starts_with("x-");
        let keys: HashSet<_> = members(before)
            .chain(members(after))
            .map(|(key, _)| key)
            .collect();
        let mut keys: Vec<_> = keys.into_iter().filter(|key| is_compared(key)).collect();
        keys.sort_unstable();
        for key in keys {
            self.same(&format!("{place}, {key}"), &before[key], &after[key]);
        }
        self.parameters(place, before, after);
        self.request_bodies(place, &before["requestBody"], &after["requestBody"]);
        for (status, response) in members(&before["responses"]) {
            let place = format!("{place}, answer {status}");
            let Some(now) = after["responses"].get(status) else {
                self.report(&place, "is missing");
                continue;
            };
            for (header, _) in members(&response["headers"]) {
                if now["headers"].get(header).is_none() {
                    self.report(&place, format!("the header {header} is missing"));
                }
            }
            self.contents(
                &place,
                &response["content"],
                &now["content"],
                Direction::Response,
            );
        }
    }

    fn parameters(&mut self, place: &str, before: &'a Value, after: &'a Value) {
        let list = |operation: &'a Value| operation["parameters"].as_array().into_iter().flatten();
        let is_same =
            |one: &Value, other: &Value| one["in"] == other["in"] && one["name"] == other["name"];
        let place_of = |parameter: &Value| {
            let [kind, name] =
                ["in", "name"].map(|key| parameter[key].as_str().unwrap_or_default());
            format!("{place}, {kind} parameter {name}")
        };
        for parameter in list(before) {
            let place = place_of(parameter);
            let Some(now) = list(after).find(|now| is_same(now, parameter)) else {
                self.report(&place, "is missing");
                continue;
            };
            self.became_required(&place, parameter, now);
            self.schemas(
                &place,
                &parameter["schema"],
                &now["schema"],
                Direction::Request,
            );
        }
        for added in list(after).filter(|now| !list(before).any(|known| is_same(now, known))) {
            self.became_required(&place_of(added), &Value::Null, added);
        }
    }

    fn request_bodies(&mut self, place: &str, before: &'a Value, after: &'a Value) {
        let place = format!("{place}, body");
        self.became_required(&place, before, after);
        self.contents(
            &place,
            &before["content"],
            &after["content"],
            Direction::Request,
        );
    }

    fn became_required(&mut self, place: &str, before: &Value, after: &Value) {
        if before["required"] != true && after["required"] == true {
            self.report(place, "became required");
        }
    }

    fn contents(&mut self, place: &str, before: &'a Value, after: &'a Value, direction: Direction) {
        for (kind, content) in members(before) {
            match after.get(kind) {
                Some(now) => self.schemas(place, &content["schema"], &now["schema"], direction),
                None => self.report(place, format!("{kind} is missing")),
            }
        }
    }

    fn schemas(&mut self, place: &str, before: &'a Value, after: &'a Value, direction: Direction) {
        let (before, after) = (resolve(self.before, before), resolve(self.after, after));
        match direction {
            Direction::Request if before.nullable && !after.nullable => {
                self.report(place, "may no longer be null");
            }
            Direction::Response if !before.nullable && after.nullable => {
                self.report(place, "may be null now");
            }
            _ => {}
        }
        let is_named = !before.reference.is_empty() && !after.reference.is_empty();
        if is_named
            && !self
                .seen
                .insert((before.reference, after.reference, direction))
        {
            return;
        }
        let (before, after) = (before.schema, after.schema);
        self.same(&format!("{place}, type"), &before["type"], &after["type"]);
        // Documenting something new is compatible.
        for key in [
            "format",
            "maxItems",
            "maxLength",
            "maximum",
            "minItems",
            "minLength",
            "minimum",
            "pattern",
        ] {
            if before.get(key).is_some() {
                self.same(&format!("{place}, {key}"), &before[key], &after[key]);
            }
        }
        self.enums(place, before, after);
        self.objects(place, before, after, direction);
        if before.get("items").is_some() {
            self.schemas(
                &format!("{place}/*"),
                &before["items"],
                &after["items"],
                direction,
            );
        }
        for (index, choice) in before["anyOf"].as_array().into_iter().flatten().enumerate() {
            match after["anyOf"].get(index) {
                Some(now) => self.schemas(&format!("{place} ({index})"), choice, now, direction),
                None => self.report(place, format!("the choice {index} of anyOf is missing")),
            }
        }
    }

    fn enums(&mut self, place: &str, before: &Value, after: &Value) {
        let Some(now) = after["enum"].as_array() else {
            return;
        };
        for value in before["enum"].as_array().into_iter().flatten() {
            if !now.contains(value) {
                self.report(place, format!("the value {value} is missing"));
            }
        }
    }

    fn objects(&mut self, place: &str, before: &'a Value, after: &'a Value, direction: Direction) {
        let is_required = |schema: &Value, name: &str| {
            schema["required"]
                .as_array()
                .is_some_and(|names| names.iter().any(|required| required == name))
        };
        for (name, property) in members(&before["properties"]) {
            let place = format!("{place}/{name}");
            let Some(now) = after["properties"].get(name) else {
                self.report(&place, "is missing");
                continue;
            };
            match (
                direction,
                is_required(before, name),
                is_required(after, name),
            ) {
                (Direction::Request, false, true) => self.report(&place, "became required"),
                (Direction::Response, true, false) => self.report(&place, "may be missing now"),
                _ => {}
            }
            self.schemas(&place, property, now, direction);
        }
        if direction == Direction::Request {
            for (name, _) in members(&after["properties"]) {
                if before["properties"].get(name).is_none() && is_required(after, name) {
                    self.report(&format!("{place}/{name}"), "is new and required");
                }
            }
            if before["additionalProperties"] != false && after["additionalProperties"] == false {
                self.report(place, "other members are refused now");
            }
        }
    }

    fn same(&mut self, place: &str, before: &Value, after: &Value) {
        if before != after {
            self.report(place, format!("was {before} and is {after}"));
        }
    }
}

/// Follows `$ref`, and an `allOf` of one schema, which gives a reference a description.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> Resolved<'a> {
    let nullable = schema["nullable"] == true;
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document
            .pointer(&reference[1..])
            .expect("a reference leads to a schema");
        let resolved = resolve(document, target);
        return Resolved {
            reference: reference.to_owned(),
            nullable: nullable || resolved.nullable,
            ..resolved
        };
    }
    if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
        let resolved = resolve(document, only);
        return Resolved {
            nullable: nullable || resolved.nullable,
            ..resolved
        };
    }
    Resolved {
        schema,
        reference: String::new(),
        nullable,
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flat_map(Map::iter)
        .map(|(name, member)| (name.as_str(), member))
}
