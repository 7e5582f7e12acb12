//! Several files in one form: either all are stored, or none.

use plinth_testkit::Stage;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};

use super::{content, pattern};
use crate::house::{Answer, House, Person, text};

const MIB: usize = 1024 * 1024;

async fn send(house: &House, person: &Person, files: &[(&str, Vec<u8>)]) -> Answer {
    let form = files.iter().fold(Form::new(), |form, (name, bytes)| {
        form.part(
            "files",
            Part::bytes(bytes.clone()).file_name((*name).to_owned()),
        )
    });
    Answer::of(
        person
            .request(house, Method::POST, "/v1/files/batch")
            .multipart(form),
    )
    .await
}

#[tokio::test]
async fn all_files_of_a_form_are_stored_in_order() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let files = [
        ("a.bin", pattern(9 * MIB)),
        ("b.bin", Vec::new()),
        ("c.bin", pattern(9 * MIB)),
        ("a.bin", pattern(5)),
    ];
    let made = send(&house, &person, &files)
        .await
        .expect(StatusCode::CREATED);
    let made = made["items"].as_array().expect("files");
    assert_eq!(made.len(), files.len());
    for (file, (name, bytes)) in made.iter().zip(&files) {
        assert_eq!(file["name"], *name);
        assert!(
            content(&house, &person, &text(&file["id"]), &[])
                .await
                .bytes
                == *bytes
        );
    }
    assert_eq!(
        house.count("blobs WHERE state = 'stored'").await,
        3,
        "equal bytes are stored once"
    );
}

#[tokio::test]
async fn no_file_is_stored_if_one_fails() {
    let house = House::on(Stage::open().await.with("PLINTH_FILES_QUOTA", "1MiB")).await;
    let person = house.person("ada").await;
    let large = vec![("a.bin", pattern(MIB / 2)), ("b.bin", pattern(MIB / 2 + 1))];
    send(&house, &person, &large)
        .await
        .problem(409, "quota_exceeded");
    let named_wrong = vec![
        ("a.bin", pattern(10)),
        ("", pattern(11)),
        ("..", pattern(12)),
    ];
    assert_eq!(
        send(&house, &person, &named_wrong).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let empty = person.request(&house, Method::POST, "/v1/files/batch");
    let empty = empty
        .header("content-type", "multipart/form-data; boundary=b")
        .body("--b--\r\n");
    assert_eq!(Answer::of(empty).await.faults(), ["/files missing"]);
    let many: Vec<_> = (0..101_u8).map(|n| ("a.bin", vec![n])).collect();
    assert_eq!(
        send(&house, &person, &many).await.faults(),
        ["/files too_many"]
    );
    assert_eq!(
        (house.count("files").await, house.count("blobs").await),
        (0, 0)
    );
    assert_eq!(
        house
            .count("storage_usage WHERE bytes = 0 AND reserved = 0 AND files = 0")
            .await,
        1
    );
}

#[tokio::test]
async fn a_single_file_form_accepts_one_file() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let part = |bytes: &'static [u8]| Part::bytes(bytes).file_name("a.bin");
    let form = Form::new()
        .part("file", part(b"one"))
        .part("file", part(b"two"));
    let answer = Answer::of(
        person
            .request(&house, Method::POST, "/v1/files")
            .multipart(form),
    )
    .await;
    assert_eq!(answer.faults(), ["/file too_many"]);
    assert_eq!(
        (house.count("files").await, house.count("blobs").await),
        (0, 0)
    );
}
