//! Files, their versions, their content and their derived images.

use plinth_core::files::{Made, Notify, Processing};
use plinth_domain::id::FileId;
use plinth_domain::picture::Picture;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Request, missing_request};
use crate::files::png;
use crate::house::{Answer, House, Person, text};

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    match operation {
        "uploadFile" => return Request::form("file", &[("notes.txt", "text")]),
        "uploadFiles" => return Request::form("files", &[("one.txt", "one"), ("two.txt", "two")]),
        "readFileVariant" => return variant(house, caller).await,
        _ => {}
    }
    let id = file(house, caller).await;
    match operation {
        "listFiles" => Request::new(),
        "zipFiles" => Request::json(json!({ "ids": [id] })),
        "changeFile" => {
            Request::json(json!({ "name": "renamed.txt", "tags": ["work"] })).at("id", &id)
        }
        "readFile" | "deleteFile" | "readFileContent" | "readFileContentHeaders" => {
            Request::new().at("id", &id)
        }
        "restoreFile" => {
            caller
                .delete(house, &format!("/v1/files/{id}"))
                .await
                .expect(StatusCode::NO_CONTENT);
            Request::new().at("id", &id)
        }
        "addFileVersion" => Request::form("file", &[("notes.txt", "a second text")]).at("id", &id),
        "listFileVersions" => {
            add_version(house, caller, &id).await;
            Request::new().at("id", &id)
        }
        "deleteFileVersion" | "readFileVersionContent" | "restoreFileVersion" => {
            add_version(house, caller, &id).await;
            Request::new().at("id", &id).at("number", &1)
        }
        other => missing_request(other),
    }
}

/// Uploads a text and returns the id of its file.
pub(super) async fn file(house: &House, caller: &Person) -> String {
    text(&caller.upload(house, "notes.txt", b"text".to_vec()).await["id"])
}

async fn add_version(house: &House, caller: &Person, id: &str) {
    let form = reqwest::multipart::Form::new().text("file", "a second text");
    let request = caller.request(house, Method::POST, &format!("/v1/files/{id}/versions"));
    Answer::of(request.multipart(form))
        .await
        .expect(StatusCode::CREATED);
}

/// Uploads an image and stores a derived image of it, like the worker.
async fn variant(house: &House, caller: &Person) -> Request {
    let id: FileId = text(&caller.upload(house, "photo.png", png()).await["id"])
        .parse()
        .expect("an id");
    let presets = house.stage.settings().files.presets;
    let preset = presets.iter().next().expect("there is a preset").clone();
    let processing = Processing::new(&house.stores, &presets);
    let source = processing
        .find(id, None)
        .await
        .expect("reads")
        .expect("the image is available");
    let picture = Picture {
        width: 1,
        height: 1,
        taken_at: None,
        blurhash: None,
    };
    let name = preset.name.clone();
    let image = Made {
        preset,
        width: 1,
        height: 1,
        bytes: png().into(),
    };
    processing
        .keep(&source, &picture, vec![image], Notify::Silent)
        .await
        .expect("stores the image");
    Request::new().at("id", &id).at("preset", &name)
}
