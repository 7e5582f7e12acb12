//! Share links, their content, and the tickets of the content host.

use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::{Value, json};

use super::files::file;
use super::{CONTENT_HOST, Request, missing_request};
use crate::files::LINK_PASSWORD;
use crate::house::{Answer, House, Person, text};

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    let id = file(house, caller).await;
    match operation {
        "createShareLink" => Request::json(json!({ "max_downloads": 3 })).at("id", &id),
        "listShareLinks" => {
            share(house, caller, &id, &json!({ "max_downloads": 3 })).await;
            Request::new().at("id", &id)
        }
        "revokeShareLink" => {
            let link = share(house, caller, &id, &json!({})).await;
            Request::new()
                .at("id", &id)
                .at("link_id", &text(&link["link"]["id"]))
        }
        "listOwnLinks" | "revokeOwnLinks" => {
            share(house, caller, &id, &json!({})).await;
            Request::new()
        }
        "readSharedFile" | "readSharedContent" | "readSharedContentHeaders" => {
            let link = share(house, caller, &id, &json!({})).await;
            Request::new().at("token", &text(&link["token"]))
        }
        "createShareLinkTicket" => {
            let link = share(house, caller, &id, &json!({ "password": LINK_PASSWORD })).await;
            Request::json(json!({ "password": LINK_PASSWORD })).at("token", &text(&link["token"]))
        }
        "readContentByTicket" | "readContentHeadersByTicket" => Request::new()
            .at("ticket", &ticket(house, caller, &id).await)
            .header("host", CONTENT_HOST),
        other => missing_request(other),
    }
}

/// Creates a link to the file.
async fn share(house: &House, caller: &Person, file: &str, wanted: &Value) -> Value {
    let made = caller
        .post(house, &format!("/v1/files/{file}/links"), wanted)
        .await;
    made.expect(StatusCode::CREATED)
}

/// Returns the ticket by which a download of the file is redirected to the content host.
async fn ticket(house: &House, caller: &Person, file: &str) -> String {
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .expect("a client");
    let download = client.request(
        Method::GET,
        format!("{}/v1/files/{file}/content", house.url),
    );
    let answer = Answer::of(download.bearer_auth(&caller.access_token)).await;
    let location = answer
        .header("location")
        .expect("the download is redirected");
    let prefix = format!("https://{CONTENT_HOST}/v1/content/");
    location
        .strip_prefix(&prefix)
        .expect("the location is on the content host")
        .to_owned()
}
