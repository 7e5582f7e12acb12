//! Background jobs, for their owners and for operators.

use reqwest::StatusCode;
use serde_json::json;

use super::{Request, missing_request};
use crate::house::{House, Person, text};
use crate::jobs::job;

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    match operation {
        "listOwnJobs" => {
            thumbnails(house, caller).await;
            Request::new()
        }
        "readOwnJob" => Request::new().at("id", &thumbnails(house, caller).await),
        "watchOwnJob" => {
            let id = thumbnails(house, caller).await;
            // The stream of an ended job ends after one event.
            sqlx::query(
                "UPDATE jobs SET state = 'done', progress = 100, finished_at = now() WHERE id::text = $1",
            )
            .bind(&id)
            .execute(&house.stores.db)
            .await
            .expect("updates");
            Request::new().at("id", &id)
        }
        "listJobs" => {
            job(house, "files.thumbnails", "dead", Some("it is no picture")).await;
            Request::new().query("state=dead")
        }
        "readJob" | "retryJob" => Request::new().at(
            "id",
            &job(house, "files.thumbnails", "dead", Some("it is no picture")).await,
        ),
        "cancelJob" => {
            Request::new().at("id", &job(house, "files.thumbnails", "queued", None).await)
        }
        "redriveJobs" => {
            job(house, "files.thumbnails", "dead", Some("it is no picture")).await;
            Request::json(json!({ "queue": "files", "error": "no picture" }))
        }
        "listQueues" => {
            job(house, "files.thumbnails", "dead", Some("it is no picture")).await;
            Request::new()
        }
        "pauseQueue" => Request::new().at("name", &"files"),
        "resumeQueue" => {
            let paused = caller
                .post(house, "/v1/queues/files/pause", &json!({}))
                .await;
            paused.expect(StatusCode::NO_CONTENT);
            Request::new().at("name", &"files")
        }
        other => missing_request(other),
    }
}

/// Uploads enough of a JPEG for thumbnails. Returns the id of their job.
async fn thumbnails(house: &House, caller: &Person) -> String {
    let file = caller
        .upload(house, "photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec())
        .await;
    text(&file["job_id"])
}
