//! Variants of images after the presets have changed, and of files that cannot be read.

use plinth_testkit::{Process, Stage, until};
use reqwest::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use crate::house::{Door, Person, count, text, until_none};
use crate::picture::{jpeg, look};

const PRESETS: &str = "PLINTH_FILES_PRESETS";
const NOT_DONE: &str = "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'cancelled')";

async fn variants(person: &Person, file: Uuid) -> Vec<(String, String, Value)> {
    let file = person
        .get(&format!("/v1/files/{file}"))
        .await
        .expect(StatusCode::OK);
    let variants = file["variants"].as_array().expect("a list").iter();
    variants
        .map(|one| {
            (
                text(&one["preset"]),
                text(&one["state"]),
                one["reason"].clone(),
            )
        })
        .collect()
}

#[tokio::test]
async fn changed_presets_are_regenerated_on_demand_without_notifications() {
    let stage = Stage::open().await.with(
        PRESETS,
        "small=64x64 contain webp q75;large=200x200 contain jpeg q82",
    );
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    let files = [
        person.upload("1.jpg", jpeg(400, 300)).await,
        person.upload("2.jpg", jpeg(300, 400)).await,
    ];
    for file in files {
        person.until_ready(file).await;
    }
    let small = format!("/v1/files/{}/variants/small", files[0]);
    let before = person.get(&small).await;
    assert!(worker.stop().await.success());

    let stage = stage.with(PRESETS, "small=32x32 cover png;wide=300x30 cover jpeg q60");
    let unknown = Process::run(
        "plinth-worker",
        &["variants", "regenerate", "--preset", "huge"],
        &stage,
    )
    .await;
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        !unknown.status.success() && said.contains("preset not found; the presets are small="),
        "{said}"
    );
    let output = Process::run("plinth-worker", &["variants", "regenerate"], &stage).await;
    assert!(output.status.success(), "{output:?}");
    let stores = stage.stores();
    let _worker = Process::worker(&stage).await;
    until_none(&stores, "every job is done", NOT_DONE).await;

    for file in files {
        let there = variants(&person, file).await;
        let names: Vec<_> = there
            .iter()
            .map(|(name, state, _)| (name.as_str(), state.as_str()))
            .collect();
        assert_eq!(names, [("wide", "ready"), ("small", "ready")]);
        let large = format!("/v1/files/{file}/variants/large");
        person.get(&large).await.problem(404, "not_found");
        assert!(
            stores
                .objects
                .get(&format!("files/{file}/large"), None)
                .await
                .is_err(),
            "its object is removed"
        );
    }
    let after = person.get(&small).await;
    assert_eq!(
        (after.status, after.header("content-type")),
        (StatusCode::OK, Some("image/png"))
    );
    assert_eq!(look(&after.bytes).0, (32, 32));
    assert_ne!(before.header("etag"), after.header("etag"));
    let notifications = count(
        &stores,
        "SELECT count(*) FROM notifications WHERE kind = 'file.processed'",
    )
    .await;
    assert_eq!(notifications, 2, "one for each upload");
}

#[tokio::test]
async fn an_image_without_possible_variants_has_a_reason() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let _worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\0".to_vec();
    for (name, bytes, reason) in [
        (
            "phone.heic",
            heic,
            "HEIC images cannot be shown. JPEG, PNG, GIF, WebP, AVIF, BMP and TIFF can.",
        ),
        (
            "half.jpg",
            jpeg(400, 300)[..30].to_vec(),
            "The file ends before the image does.",
        ),
    ] {
        let file = person.upload(name, bytes).await;
        let failed = until("it has failed", async || {
            let variants = variants(&person, file).await;
            variants
                .iter()
                .all(|(_, state, _)| state == "failed")
                .then_some(variants)
        })
        .await;
        assert_eq!(failed.len(), 2, "{name}");
        assert!(
            failed.iter().all(|(_, _, shown)| shown == reason),
            "{name}: {failed:?}"
        );
    }
}
