//! Lists of files: sorted by creation, name and size, filtered by tag, type and name prefix, in
//! pages.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{House, Person, text};

/// Returns the names in all pages of a list.
async fn names(house: &House, person: &Person, query: &str) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/files?limit=2&{query}{cursor}");
        let page = person.get(house, &path).await.expect(StatusCode::OK);
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|file| text(&file["name"])));
        let Some(next) = page["next_cursor"].as_str() else {
            return names;
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn files_are_listed_in_every_order_and_with_every_filter() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    bob.upload(&house, "bobs.txt", b"bob".to_vec()).await;
    let png = b"\x89PNG\r\n\x1a\n".as_slice();
    for (name, bytes, tags) in [
        ("delta.txt", b"four".as_slice(), &["Work", "x"][..]),
        ("alpha.png", png, &[]),
        ("charlie.txt", b"333", &["work"]),
        ("bravo.txt", b"22", &[]),
        ("alpine.txt", b"1", &["work"]),
    ] {
        let file = ada.upload(&house, name, bytes.to_vec()).await;
        let path = format!("/v1/files/{}", text(&file["id"]));
        ada.send(&house, Method::PATCH, &path, &json!({ "tags": tags }))
            .await
            .expect(StatusCode::OK);
    }
    for (query, expected) in [
        (
            "",
            &[
                "alpine.txt",
                "bravo.txt",
                "charlie.txt",
                "alpha.png",
                "delta.txt",
            ][..],
        ),
        (
            "direction=ascending",
            &[
                "delta.txt",
                "alpha.png",
                "charlie.txt",
                "bravo.txt",
                "alpine.txt",
            ],
        ),
        (
            "sort=name",
            &[
                "alpha.png",
                "alpine.txt",
                "bravo.txt",
                "charlie.txt",
                "delta.txt",
            ],
        ),
        (
            "sort=size",
            &[
                "alpha.png",
                "delta.txt",
                "charlie.txt",
                "bravo.txt",
                "alpine.txt",
            ],
        ),
        (
            "sort=size&direction=ascending",
            &[
                "alpine.txt",
                "bravo.txt",
                "charlie.txt",
                "delta.txt",
                "alpha.png",
            ],
        ),
        ("tag=WORK", &["alpine.txt", "charlie.txt", "delta.txt"]),
        (
            "tag=work&direction=ascending",
            &["delta.txt", "charlie.txt", "alpine.txt"],
        ),
        ("type=image", &["alpha.png"]),
        ("type=image/*", &["alpha.png"]),
        ("type=image/png", &["alpha.png"]),
        ("type=image/gif", &[]),
        (
            "type=*/*&direction=ascending",
            &[
                "delta.txt",
                "alpha.png",
                "charlie.txt",
                "bravo.txt",
                "alpine.txt",
            ],
        ),
        (
            "tag=work&type=text/plain",
            &["alpine.txt", "charlie.txt", "delta.txt"],
        ),
        ("tag=work&type=image", &[]),
        ("type=image&name_prefix=al", &["alpha.png"]),
        ("tag=work&name_prefix=al", &["alpine.txt"]),
        (
            "tag=work&name_prefix=&direction=descending",
            &["delta.txt", "charlie.txt", "alpine.txt"],
        ),
        ("tag=work&trashed=true", &[]),
        (
            "type=text",
            &["alpine.txt", "bravo.txt", "charlie.txt", "delta.txt"],
        ),
        ("name_prefix=al", &["alpha.png", "alpine.txt"]),
        (
            "name_prefix=al&direction=descending",
            &["alpine.txt", "alpha.png"],
        ),
        ("name_prefix=%25", &[]),
        ("tag=nothing", &[]),
        ("trashed=true", &[]),
    ] {
        assert_eq!(names(&house, &ada, query).await, expected, "{query}");
    }
    for (query, code) in [
        ("tag=a&type=b", "invalid_media_type"),
        ("type=", "invalid_media_type"),
        ("type=imgae/png", "invalid_media_type"),
        ("type=image/png,image/gif", "invalid_media_type"),
        ("tag=a&name_prefix=b&sort=created", "unsupported_sort"),
        ("tag=a&sort=name", "unsupported_sort"),
        ("name_prefix=a&sort=size", "unsupported_sort"),
        ("cursor=nonsense", "invalid_cursor"),
        ("tag=", "too_short"),
        ("type=%00", "invalid_media_type"),
        ("name_prefix=%00", "invalid_text"),
    ] {
        let problem = ada
            .get(&house, &format!("/v1/files?{query}"))
            .await
            .problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["code"], code, "{query}");
    }
    let refused = ada.get(&house, "/v1/files?tag=&type=b").await;
    assert_eq!(
        refused.faults(),
        ["/query/tag too_short", "/query/type invalid_media_type"]
    );

    // The other filters apply to the trash as well.
    let all = ada
        .get(&house, "/v1/files?name_prefix=a")
        .await
        .expect(StatusCode::OK);
    for file in all["items"].as_array().expect("items") {
        ada.delete(&house, &format!("/v1/files/{}", text(&file["id"])))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    for (query, expected) in [
        ("trashed=true&tag=work", ["alpine.txt"]),
        ("trashed=true&type=image/png", ["alpha.png"]),
    ] {
        assert_eq!(names(&house, &ada, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_file_can_be_renamed_and_tagged() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let file = person.upload(&house, "a.txt", b"text".to_vec()).await;
    let path = format!("/v1/files/{}", text(&file["id"]));
    let change = json!({ "name": "Grüße.txt", "tags": ["Home", "a", "home"] });
    let changed = person
        .send(&house, Method::PATCH, &path, &change)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&changed["name"], &changed["tags"]),
        (&json!("Grüße.txt"), &json!(["a", "home"]))
    );
    let changed = person
        .send(&house, Method::PATCH, &path, &json!({ "tags": [] }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&changed["name"], &changed["tags"]),
        (&json!("Grüße.txt"), &json!([]))
    );
    let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    for (body, pointer) in [
        (json!({ "name": "a/b" }), "/name"),
        (json!({ "tags": ["ok", ""] }), "/tags/1"),
        (json!({ "tags": many }), "/tags"),
    ] {
        let problem = person
            .send(&house, Method::PATCH, &path, &body)
            .await
            .problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
}
