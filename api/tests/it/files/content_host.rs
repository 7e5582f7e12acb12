//! The separate host for users' files: it serves nothing else, and only to clients that were
//! redirected.

use plinth_testkit::Stage;
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::json;

use super::pattern;
use crate::house::{Answer, House, Person, text};

const HOST: &str = "content.example.org";

struct Scene {
    house: House,
    person: Person,
    client: Client,
}

impl Scene {
    async fn open() -> Self {
        let stage = Stage::open()
            .await
            .with("PLINTH_CONTENT_URL", "https://content.example.org/");
        let house = House::on(stage).await;
        let person = house.person("ada").await;
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            house,
            person,
            client,
        }
    }

    /// Sends a request to the host of the API.
    async fn get(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.house.url));
        Answer::of(request.bearer_auth(&self.person.access_token)).await
    }

    /// Sends a request to the host of users' files, without a login.
    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self
            .client
            .request(method, format!("{}{path}", self.house.url))
            .header("host", HOST);
        Answer::of(headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        }))
        .await
    }

    /// Returns the target of a download's redirect, without the host.
    async fn redirect_of(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let place = answer.header("location").expect("a place").to_owned();
        place
            .strip_prefix("https://content.example.org")
            .expect("the redirect goes to that host")
            .to_owned()
    }
}

#[tokio::test]
async fn a_download_is_redirected_and_served_without_a_login() {
    let scene = Scene::open().await;
    let (house, person) = (&scene.house, &scene.person);
    let (old, new) = (pattern(100_000), pattern(1_000));
    let id = text(&person.upload(house, "a.bin", old.clone()).await["id"]);
    let part = reqwest::multipart::Part::bytes(new.clone()).file_name("a.bin");
    let form = reqwest::multipart::Form::new().part("file", part);
    let request = person.request(house, Method::POST, &format!("/v1/files/{id}/versions"));
    Answer::of(request.multipart(form))
        .await
        .expect(StatusCode::CREATED);

    let current = scene.redirect_of(&format!("/v1/files/{id}/content")).await;
    let answer = scene.ask(Method::GET, &current, &[]).await;
    assert!(answer.status == StatusCode::OK && answer.bytes == new);
    assert!(
        answer
            .header("content-security-policy")
            .is_some_and(|policy| policy.contains("sandbox"))
    );
    let first = scene
        .redirect_of(&format!("/v1/files/{id}/versions/1/content"))
        .await;
    let answer = scene
        .ask(Method::GET, &first, &[("range", "bytes=99990-")])
        .await;
    assert!(answer.status == StatusCode::PARTIAL_CONTENT && answer.bytes == old[99_990..]);
    scene
        .ask(Method::GET, &first, &[("if-match", "\"other\"")])
        .await
        .problem(412, "precondition_failed");
    let head = scene.ask(Method::HEAD, &first, &[]).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (StatusCode::OK, Some("100000"))
    );

    // What the owner may not download is not served there either.
    person
        .delete(house, &format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::NO_CONTENT);
    scene
        .ask(Method::GET, &current, &[])
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_ticket_is_valid_for_a_minute_and_one_content() {
    let scene = Scene::open().await;
    let id = text(
        &scene
            .person
            .upload(&scene.house, "a.bin", pattern(10))
            .await["id"],
    );
    let place = scene.redirect_of(&format!("/v1/files/{id}/content")).await;
    let mut other = place.clone();
    other.replace_range(20..21, if &place[20..21] == "A" { "B" } else { "A" });
    scene
        .ask(Method::GET, &other, &[])
        .await
        .problem(404, "not_found");
    scene
        .ask(Method::GET, "/v1/content/none", &[])
        .await
        .problem(404, "not_found");
    scene
        .house
        .stores
        .clock
        .advance(time::Duration::seconds(61));
    scene
        .ask(Method::GET, &place, &[])
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn each_host_serves_only_its_own_paths() {
    let scene = Scene::open().await;
    let id = text(
        &scene
            .person
            .upload(&scene.house, "a.bin", pattern(10))
            .await["id"],
    );
    let place = scene.redirect_of(&format!("/v1/files/{id}/content")).await;
    scene.get(&place).await.problem(404, "not_found");
    let bearer = format!("Bearer {}", scene.person.access_token);
    for path in [
        "/v1/me",
        "/openapi.json",
        &format!("/v1/files/{id}/content"),
        "/v1/links/x",
    ] {
        let answer = scene
            .ask(Method::GET, path, &[("authorization", &bearer)])
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_link_is_redirected_and_counted_once() {
    let scene = Scene::open().await;
    let id = text(
        &scene
            .person
            .upload(&scene.house, "a.bin", pattern(10))
            .await["id"],
    );
    let body = json!({ "max_downloads": 1 });
    let link = scene
        .person
        .post(&scene.house, &format!("/v1/files/{id}/links"), &body)
        .await;
    let url = text(&link.expect(StatusCode::CREATED)["url"]);
    let path = format!(
        "/v1/links/{}/content",
        url.rsplit('/').next().expect("a token")
    );
    for _ in 0..2 {
        assert_eq!(
            scene.redirect_of(&path).await,
            path,
            "a redirect does not count"
        );
    }
    assert_eq!(scene.ask(Method::GET, &path, &[]).await.bytes, pattern(10));
    scene
        .ask(Method::GET, &path, &[])
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_ticket_ends_when_its_owner_deletes_the_account() {
    let scene = Scene::open().await;
    let id = text(
        &scene
            .person
            .upload(&scene.house, "a.bin", pattern(10))
            .await["id"],
    );
    let place = scene.redirect_of(&format!("/v1/files/{id}/content")).await;
    assert_eq!(
        scene.ask(Method::GET, &place, &[]).await.status,
        StatusCode::OK
    );
    scene
        .person
        .delete(&scene.house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);
    scene
        .ask(Method::GET, &place, &[])
        .await
        .problem(404, "not_found");
}
