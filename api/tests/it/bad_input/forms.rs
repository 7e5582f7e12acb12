//! Malformed forms, forms of libraries with additional fields, and file names that are paths.

use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};

use crate::house::{Answer, House, Person, text};
use crate::raw;

/// Sends a form that no client library would write.
async fn raw_form(house: &House, person: &Person, content_type: &str, body: Vec<u8>) -> Answer {
    let request = person
        .request(house, Method::POST, "/v1/files")
        .header("content-type", content_type)
        .body(body);
    Answer::of(request).await
}

/// Cases have a name, a content type and a body, then the expected status and code, and faults.
type Case = (
    &'static str,
    &'static str,
    Vec<u8>,
    (u16, &'static str),
    &'static [&'static str],
);

#[tokio::test]
async fn malformed_forms_are_refused_and_store_nothing() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let form = "multipart/form-data; boundary=b";
    let part = |disposition: &str, end: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nbytes{end}")
            .into_bytes()
    };
    let whole = "\r\n--b--\r\n";
    let cases: Vec<Case> = vec![
        (
            "JSON",
            "application/json",
            b"{}".to_vec(),
            (415, "unsupported_media_type"),
            &[],
        ),
        (
            "no boundary",
            "multipart/form-data",
            b"x".to_vec(),
            (415, "unsupported_media_type"),
            &[],
        ),
        ("nothing", form, Vec::new(), (400, "malformed_form"), &[]),
        (
            "an empty form",
            form,
            b"--b--\r\n".to_vec(),
            (422, "validation_failed"),
            &["/file missing"],
        ),
        (
            "another boundary",
            "multipart/form-data; boundary=c",
            part("name=\"file\"; filename=\"a\"", whole),
            (400, "malformed_form"),
            &[],
        ),
        (
            "cut within the file",
            form,
            part("name=\"file\"; filename=\"a\"", ""),
            (400, "malformed_form"),
            &[],
        ),
        (
            "cut within the last boundary",
            form,
            part("name=\"file\"; filename=\"a\"", "\r\n--b"),
            (400, "malformed_form"),
            &[],
        ),
        (
            "a text in another field",
            form,
            part("name=\"avatar\"", whole),
            (422, "validation_failed"),
            &["/file missing"],
        ),
        (
            "endless texts",
            form,
            format!(
                "{}{}",
                "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(1025),
                "--b--\r\n"
            )
            .into_bytes(),
            (413, "too_large"),
            &[],
        ),
        (
            "two files",
            form,
            [
                part("name=\"file\"; filename=\"a\"", "\r\n"),
                part("name=\"file\"; filename=\"b\"", whole),
            ]
            .concat(),
            (422, "validation_failed"),
            &["/file too_many"],
        ),
        (
            "two dots",
            form,
            part("name=\"file\"; filename=\"..\"", whole),
            (422, "validation_failed"),
            &["/file invalid_file_name"],
        ),
        (
            "no name",
            form,
            part("name=\"file\"; filename=\"\"", whole),
            (422, "validation_failed"),
            &["/file too_short"],
        ),
        (
            "an invisible name",
            form,
            part("name=\"file\"; filename=\"\u{200b}\"", whole),
            (422, "validation_failed"),
            &["/file too_short"],
        ),
        (
            "a control character",
            form,
            part("name=\"file\"; filename=\"a\u{7}b\"", whole),
            (400, "malformed_form"),
            &[],
        ),
    ];
    for (name, content_type, body, (status, code), faults) in cases {
        let answer = raw_form(&house, &person, content_type, body).await;
        eprintln!(
            "{name}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.bytes)
        );
        answer.problem(status, code);
        assert_eq!(answer.faults(), faults, "{name}");
    }
    assert_eq!(house.count("files").await, 0);
    person.upload(&house, "good.txt", b"good".to_vec()).await;
}

/// The declared body never arrives; each form must be refused early.
#[tokio::test]
async fn a_form_without_data_is_refused_early() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let request = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000000\r\n\r\n",
        person.access_token
    );
    let part =
        |disposition: &str| format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n");
    let text = format!("{}\r\ntext\r\n", part("name=\"a\""));
    for (name, begin, rest) in [
        ("before the first boundary", String::new(), "x"),
        (
            "before the first boundary, which seems to come",
            String::new(),
            "\r\n--c",
        ),
        ("after a boundary", "--b".to_owned(), " "),
        (
            "in the head of the first part",
            format!("{}x: ", part("name=\"file\"; filename=\"a\"")),
            "x",
        ),
        (
            "in many headers",
            part("name=\"file\"; filename=\"a\""),
            "x: x\r\n",
        ),
        ("between parts", format!("{text}--b"), "\t"),
        (
            "in the head of another part",
            format!("{text}{}x: ", part("name=\"file\"; filename=\"a\"")),
            "x",
        ),
    ] {
        let bytes = format!("{request}{begin}{}", rest.repeat(256 * 1024 / rest.len()));
        let answer = raw::talk(&house.url, bytes.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("malformed_form"),
            "{name}: {answer}"
        );
    }
    assert_eq!(house.count("files").await, 0);
}

#[tokio::test]
async fn a_form_can_have_much_data_and_many_small_parts() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let part = |disposition: &str, body: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{body}\r\n")
    };
    let size = 5 * 1024 * 1024;
    let file = part(
        "name=\"file\"; filename=\"a.txt\"",
        &"\r\n--c".repeat(size / 5),
    );
    let texts = part("name=\"a\"", "text").repeat(500);
    let body = format!("{}\r\n{texts}{file}{texts}--b--\r\n", "x".repeat(8_000)).into_bytes();
    let made = raw_form(&house, &person, "multipart/form-data; boundary=b", body).await;
    assert_eq!(
        made.expect(StatusCode::CREATED)["size"].as_u64(),
        Some(size as u64)
    );

    let files: String = (0..100)
        .map(|_| part("name=\"files\"; filename=\"a\"", "bytes"))
        .collect();
    let request = person.request(&house, Method::POST, "/v1/files/batch");
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let made = Answer::of(request.body(format!("{files}--b--\r\n")))
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(made["items"].as_array().map(Vec::len), Some(100));
}

/// The forms of Uppy's XHR and FilePond with their defaults, and of a page.
#[tokio::test]
async fn forms_with_additional_fields_are_accepted() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let part = |disposition: &str, body: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{body}\r\n")
    };
    let file = |field: &str| part(&format!("name=\"{field}\"; filename=\"a.txt\""), "bytes");
    for (client, parts) in [
        (
            "Uppy",
            [
                part("name=\"relativePath\"", "null"),
                part("name=\"name\"", "a.txt"),
                part("name=\"type\"", "text/plain"),
                file("file"),
            ]
            .concat(),
        ),
        ("Uppy, bundled", file("files[]")),
        (
            "FilePond",
            [part("name=\"filepond\"", "{}"), file("filepond")].concat(),
        ),
        (
            "FilePond, named",
            [part("name=\"file\"", "{}"), file("file")].concat(),
        ),
        (
            "a page",
            [
                part("name=\"token\"", "secret"),
                file("file"),
                part("name=\"other\"; filename=\"\"", ""),
                part("name=\"send\"", "Send"),
            ]
            .concat(),
        ),
    ] {
        let body = format!("{parts}--b--\r\n").into_bytes();
        let made = raw_form(&house, &person, "multipart/form-data; boundary=b", body).await;
        let made = made.expect(StatusCode::CREATED);
        assert_eq!(
            (text(&made["name"]).as_str(), made["size"].as_i64()),
            ("a.txt", Some(5)),
            "{client}"
        );
    }
    // Without any file name, a part of the form's own field is the file, whatever its size.
    for size in [5, 100_000] {
        let form = Form::new()
            .text("a", "b")
            .part("file", Part::bytes(vec![b'x'; size]));
        let made = Answer::of(
            person
                .request(&house, Method::POST, "/v1/files")
                .multipart(form),
        )
        .await;
        let made = made.expect(StatusCode::CREATED);
        assert_eq!(
            (text(&made["name"]).as_str(), made["size"].as_u64()),
            ("upload", Some(size as u64))
        );
    }
}

#[tokio::test]
async fn file_names_are_cleaned() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let [long, cut] = [85, 83].map(|characters| format!("{}.txt", "中".repeat(characters)));
    let names = [
        ("../../x", "x"),
        ("dir/sub/a.txt", "a.txt"),
        ("C:\\dir\\a.txt", "a.txt"),
        ("\u{feff}a\u{200b}\u{200e}\u{202e}.txt", "a.txt"),
        ("a%22b%0D%0Ac%2F.txt", "a\"b  c%2F.txt"),
        (long.as_str(), cut.as_str()),
    ];
    let parts = names.map(|(name, _)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\nbytes\r\n")
    });
    let request = person.request(&house, Method::POST, "/v1/files/batch");
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let made = Answer::of(request.body(format!("{}--b--\r\n", parts.concat()))).await;
    let made = made.expect(StatusCode::CREATED);
    let made: Vec<_> = made["items"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| text(&file["name"]))
        .collect();
    assert_eq!(made, names.map(|(_, expected)| expected));
}
