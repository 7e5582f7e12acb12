//! Slow uploads: each has a minimum rate, and all of them share a limited number of slots and
//! memory.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use plinth_testkit::{Stage, until};
use reqwest::{Method, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::AbortHandle;

use crate::house::{Answer, House, Person};
use crate::raw;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Uploads that receive a byte now and then, until this is dropped.
struct Trickle(AbortHandle);

impl Trickle {
    fn of(mut to: Vec<OwnedWriteHalf>) -> Self {
        let trickling = tokio::spawn(async move {
            loop {
                for stream in &mut to {
                    let _ = stream.write_all(b"x").await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self(trickling.abort_handle())
    }
}

impl Drop for Trickle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns the start of a chunk of a resumable upload.
fn chunk(person: &Person, path: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\ncontent-type: application/offset+octet-stream\r\ncontent-length: 10000000\r\n\r\n",
        person.access_token
    );
    [head.as_bytes(), bytes].concat()
}

async fn begin_upload(house: &House, person: &Person) -> String {
    let request = person
        .request(house, Method::POST, "/v1/uploads")
        .header("tus-resumable", "1.0.0");
    let answer = Answer::of(request.header("upload-length", "10000000")).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    answer.header("location").expect("a place").to_owned()
}

async fn offset(house: &House, person: &Person, path: &str) -> usize {
    let request = person
        .request(house, Method::HEAD, path)
        .header("tus-resumable", "1.0.0");
    let answer = Answer::of(request).await;
    answer
        .header("upload-offset")
        .expect("an offset")
        .parse()
        .expect("a number")
}

async fn until_begun(house: &House, uploads: i64) {
    until("the uploads are under way", async || {
        (house.count("blobs WHERE state = 'receiving'").await == uploads).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_is_too_slow_is_ended_and_a_resumable_one_keeps_its_bytes() {
    let house = House::on(Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "1s")).await;
    let person = house.person("ada").await;
    let path = begin_upload(&house, &person).await;
    let form = raw::form(&person.access_token, b"some");
    let request = chunk(&person, &path, &vec![7; 100 * KIB]);
    let streams = join_all([
        raw::begin(&house.url, &form),
        raw::begin(&house.url, &request),
    ])
    .await;
    let (mut readers, writers): (Vec<_>, Vec<_>) =
        streams.into_iter().map(TcpStream::into_split).unzip();
    let _trickle = Trickle::of(writers);
    for reader in &mut readers {
        let answer = raw::until_ended(reader).await;
        assert!(
            answer.starts_with("HTTP/1.1 408") && answer.contains("\"code\":\"timeout\""),
            "{answer}"
        );
    }
    assert!(offset(&house, &person, &path).await >= 100 * KIB);
    assert_eq!(house.count("files").await, 0);
}

#[tokio::test]
async fn an_account_and_a_process_have_a_limited_number_of_concurrent_uploads() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_CONCURRENT_UPLOADS_PER_ACCOUNT", "2");
    let house = House::on(stage.with("PLINTH_FILES_CONCURRENT_UPLOADS", "3")).await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let form = raw::form(&ada.access_token, b"some");
    let held = join_all([raw::begin(&house.url, &form), raw::begin(&house.url, &form)]).await;
    until_begun(&house, 2).await;
    let refused = ada.try_upload(&house, "a.txt", b"text".to_vec()).await;
    refused.problem(429, "too_many_uploads");
    assert!(refused.header("retry-after").is_some());
    let resumable = ada
        .request(&house, Method::POST, "/v1/uploads")
        .header("tus-resumable", "1.0.0");
    Answer::of(resumable.header("upload-length", "4"))
        .await
        .problem(429, "too_many_uploads");

    let of_bob = raw::begin(&house.url, &raw::form(&bob.access_token, b"some")).await;
    until_begun(&house, 3).await;
    let refused = bob.try_upload(&house, "a.txt", b"text".to_vec()).await;
    refused.problem(503, "busy");
    assert!(refused.header("retry-after").is_some());
    drop((held, of_bob));
    until("the slots are free again", async || {
        let answer = ada.try_upload(&house, "a.txt", b"text".to_vec()).await;
        (answer.status == StatusCode::CREATED).then_some(())
    })
    .await;
}

#[tokio::test]
async fn slow_uploads_release_their_memory_for_a_fast_one() {
    let house = House::open().await;
    let (ada, bob, eve) = (
        house.person("ada").await,
        house.person("bob").await,
        house.person("eve").await,
    );
    // Each needs more than a small buffer and less than a part: together, more memory than
    // available.
    let mut requests = Vec::new();
    let mut paths = Vec::new();
    for number in 0..16 {
        let person = if number % 2 == 0 { &ada } else { &bob };
        let path = begin_upload(&house, person).await;
        requests.push(chunk(person, &path, &vec![7; 2 * MIB]));
        paths.push((person, path));
    }
    let address = house.url.trim_start_matches("http://");
    let streams = join_all(requests.iter().map(|request| async move {
        let mut stream = TcpStream::connect(address).await.expect("the API listens");
        // Uploads without memory are refused before they have sent everything.
        let _ = stream.write_all(request).await;
        stream.into_split()
    }));
    let (mut readers, writers): (Vec<_>, Vec<_>) = streams.await.into_iter().unzip();
    let _trickle = Trickle::of(writers);
    let mut quickest = Duration::MAX;
    for number in 1..=3 {
        let begun = Instant::now();
        eve.upload(&house, "honest.bin", vec![number; MIB + 1])
            .await;
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    // A refused upload gets Retry-After, and continues with the kept bytes.
    let ended = readers
        .iter_mut()
        .map(|reader| Box::pin(raw::until_ended(reader)));
    let (answer, index, _) = futures_util::future::select_all(ended).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("\"code\":\"busy\""),
        "{answer}"
    );
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
    let (person, path) = &paths[index];
    assert!(offset(&house, person, path).await > 0);
}
