//! Compares the document with a frozen copy from before the code was renamed.

use rstest::rstest;
use serde_json::{Value, json};

use super::difference::differences;
use crate::operations::present_document;

const FROZEN: &str = include_str!("frozen.json");

#[test]
fn the_document_is_compatible_with_the_frozen_copy() {
    let frozen: Value = serde_json::from_str(FROZEN).expect("the frozen document is JSON");
    let found = differences(&frozen, &present_document());
    assert!(
        found.is_empty(),
        "openapi.json breaks what api/tests/it/contract/frozen.json promises:\n{}\n\
         If clients may break, renew the promise: cp openapi.json api/tests/it/contract/frozen.json",
        found.join("\n")
    );
}

/// Returns a document with one operation that accepts and returns an account.
fn document() -> Value {
    json!({
        "paths": { "/accounts": { "post": {
            "operationId": "createAccount",
            "x-permission": "accounts:write",
            "parameters": [{ "in": "query", "name": "limit", "required": false, "schema": { "type": "integer" } }],
            "requestBody": { "required": true, "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Account" },
            } } },
            "responses": { "201": { "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Account" },
            } } } },
        } } },
        "components": { "schemas": { "Account": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": { "type": "string", "maxLength": 10, "description": "In full." },
                "state": { "type": "string", "enum": ["active", "suspended"] },
                "parents": { "type": "array", "items": { "$ref": "#/components/schemas/Account" } },
                "note": { "type": "string", "nullable": true },
            },
        } } },
    })
}

/// Returns the document with the value at this pointer replaced, or removed if it is null.
fn changed(pointer: &str, value: Value) -> Value {
    let mut document = document();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer below the root");
    let parent = document.pointer_mut(parent).expect("the parent exists");
    let parent = parent.as_object_mut().expect("the parent is an object");
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    document
}

#[rstest]
#[case("/paths/~1accounts/post", json!(null), &["POST /accounts: the operation is missing"])]
#[case("/paths/~1accounts/post/operationId", json!("addAccount"),
    &["POST /accounts, operationId: was \"createAccount\" and is \"addAccount\""])]
#[case("/paths/~1accounts/post/parameters", json!([]), &["POST /accounts, query parameter limit: is missing"])]
#[case("/paths/~1accounts/post/responses/201", json!(null), &["POST /accounts, answer 201: is missing"])]
#[case("/components/schemas/Account/properties/name/type", json!("integer"),
    &["POST /accounts, body/name, type: was \"string\" and is \"integer\"",
      "POST /accounts, answer 201/name, type: was \"string\" and is \"integer\""])]
#[case("/components/schemas/Account/required", json!(["name", "state"]),
    &["POST /accounts, body/state: became required"])]
#[case("/components/schemas/Account/required", json!([]), &["POST /accounts, answer 201/name: may be missing now"])]
#[case("/components/schemas/Account/properties/note", json!({ "type": "string" }),
    &["POST /accounts, body/note: may no longer be null"])]
#[case("/components/schemas/Account/properties/state/enum", json!(["active"]),
    &["POST /accounts, body/state: the value \"suspended\" is missing",
      "POST /accounts, answer 201/state: the value \"suspended\" is missing"])]
fn an_incompatible_change_is_reported(
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] expected: &[&str],
) {
    assert_eq!(differences(&document(), &changed(pointer, value)), expected);
}

#[rstest]
#[case("/components/schemas/Account/properties/added", json!({ "type": "string" }))]
#[case("/components/schemas/Account/properties/name/description", json!("As people write it."))]
#[case("/components/schemas/Account/properties/note/enum", json!(["one", "two"]))]
#[case("/components/schemas/Account/properties/note/maxLength", json!(10))]
#[case("/components/schemas/Account/properties/state/enum", json!(["active", "suspended", "deleting"]))]
#[case("/paths/~1accounts/get", json!({ "operationId": "listAccounts" }))]
fn an_addition_is_compatible(#[case] pointer: &str, #[case] value: Value) {
    assert_eq!(differences(&document(), &changed(pointer, value)), [""; 0]);
}
