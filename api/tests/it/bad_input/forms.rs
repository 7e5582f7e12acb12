//! Forms that no library would write, and names that are paths.

use reqwest::Method;

use crate::house::{Answer, House, Person};

/// A form as a client's library would never write it.
async fn raw_form(house: &House, person: &Person, content_type: &str, body: Vec<u8>) -> Answer {
    let request =
        person.request(house, Method::POST, "/v1/files").header("content-type", content_type).body(body);
    Answer::of(request).await
}

/// Name, content type, body; then what it is answered with: status and code, faults.
type Case = (&'static str, &'static str, Vec<u8>, (u16, &'static str), &'static [&'static str]);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn broken_forms_are_refused_and_leave_nothing() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let form = "multipart/form-data; boundary=b";
    let part = |disposition: &str, end: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nbytes{end}").into_bytes()
    };
    let whole = "\r\n--b--\r\n";
    let cases: Vec<Case> = vec![
        ("JSON", "application/json", b"{}".to_vec(), (415, "unsupported_media_type"), &[]),
        ("no boundary", "multipart/form-data", b"x".to_vec(), (415, "unsupported_media_type"), &[]),
        ("nothing", form, Vec::new(), (400, "malformed_form"), &[]),
        ("an empty form", form, b"--b--\r\n".to_vec(), (422, "validation_failed"), &["/file missing"]),
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
            "cut within the end",
            form,
            part("name=\"file\"; filename=\"a\"", "\r\n--b"),
            (400, "malformed_form"),
            &[],
        ),
        (
            "another field",
            form,
            part("name=\"avatar\"; filename=\"a\"", whole),
            (422, "validation_failed"),
            &["/avatar unknown_field"],
        ),
        (
            "two files",
            form,
            [part("name=\"file\"; filename=\"a\"", "\r\n"), part("name=\"file\"; filename=\"b\"", whole)]
                .concat(),
            (422, "validation_failed"),
            &["/file too_many"],
        ),
        (
            "a path for a name",
            form,
            part("name=\"file\"; filename=\"../../x\"", whole),
            (422, "validation_failed"),
            &["/file invalid_file_name"],
        ),
        (
            "an absolute path",
            form,
            part("name=\"file\"; filename=\"/etc/passwd\"", whole),
            (422, "validation_failed"),
            &["/file invalid_file_name"],
        ),
        (
            "a path of another system",
            form,
            part("name=\"file\"; filename=\"..\\x\"", whole),
            (422, "validation_failed"),
            &["/file invalid_file_name"],
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
            "a control character",
            form,
            part("name=\"file\"; filename=\"a\u{7}b\"", whole),
            (400, "malformed_form"),
            &[],
        ),
        (
            "a name that reads backwards",
            form,
            part("name=\"file\"; filename=\"a\u{202e}b\"", whole),
            (422, "validation_failed"),
            &["/file control_character"],
        ),
        (
            "an endless name",
            form,
            part(&format!("name=\"file\"; filename=\"{}\"", "x".repeat(300)), whole),
            (422, "validation_failed"),
            &["/file too_long"],
        ),
    ];
    for (name, content_type, body, (status, code), faults) in cases {
        let answer = raw_form(&house, &person, content_type, body).await;
        eprintln!("{name}: {} {}", answer.status, String::from_utf8_lossy(&answer.bytes));
        answer.problem(status, code);
        assert_eq!(answer.faults(), faults, "{name}");
    }
    assert_eq!(house.count("files").await, 0);
    person.upload(&house, "good.txt", b"good".to_vec()).await;
}
