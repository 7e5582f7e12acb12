//! Connections that a client would keep open for ever.

use std::time::Duration;

use plinth_testkit::Stage;
use reqwest::StatusCode;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::house::{House, text};
use crate::raw;

const MIB: usize = 1024 * 1024;

/// What every HTTP/2 connection begins with, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn a_head_that_does_not_end_ends_its_connection() {
    let house = House::on(Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "1s")).await;
    for (name, bytes) in [
        ("half a line", &b"GET /v1/m"[..]),
        ("half a head", b"GET /v1/me HTTP/1.1\r\nhost: x\r\n"),
        ("half a preface", &PREFACE[..20]),
        ("a preface and no request", PREFACE),
        ("half a frame of HTTP/2", &[PREFACE, b"\0\x01\0\x01\x04\0\0\0\x01"].concat()),
    ] {
        let mut stream = raw::begin(&house.url, bytes).await;
        let answer = raw::until_ended(&mut stream).await;
        assert!(!answer.contains("200"), "{name}: {answer}");
    }
    house.person("ada").await;
}

#[tokio::test]
async fn a_head_that_trickles_ends_its_connection() {
    let house = House::on(Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "1s")).await;
    let (mut from, mut to) = raw::begin(&house.url, b"GET /v1/me HTTP/1.1\r\nx: ").await.into_split();
    let trickling = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    raw::until_ended(&mut from).await;
    trickling.await.expect("the API takes no more");
}

#[tokio::test]
async fn a_download_that_is_not_read_makes_way_for_who_waits() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let file = ada.upload(&house, "a.bin", vec![7; 32 * MIB]).await;
    // Room for one connection: as long as the download has it, there is no answer.
    let small =
        house.twin_with(&[("PLINTH_API_MAX_CONNECTIONS", "1"), ("PLINTH_API_REQUEST_TIMEOUT", "1s")]).await;
    let request = format!(
        "GET /v1/files/{}/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        text(&file["id"]),
        ada.access_token
    );
    let mut unread = raw::begin(&small.url, request.as_bytes()).await;
    ada.get(&small, "/v1/me").await.expect(StatusCode::OK);
    // The client's own connection is idle now, and makes way as well.
    let answer = raw::talk(&small.url, b"GET /v1/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let read = raw::until_ended(&mut unread).await;
    assert!(read.len() < 32 * MIB, "the download was ended before its end");
}

#[tokio::test]
async fn a_server_that_stops_answers_what_is_under_way_and_ends_what_hangs() {
    let draining = CancellationToken::new();
    let stage = Stage::open().await.with("PLINTH_API_SHUTDOWN_GRACE", "2s");
    let house = House::draining_by(stage, draining.clone()).await;
    let ada = house.person("ada").await;
    let mut half = raw::begin(&house.url, b"GET /v1/me HTTP/1.1\r\nhost: x\r\n").await;
    let mut hanging = raw::begin(&house.url, &raw::form(&ada.access_token, b"some")).await;
    let body = "{\"display_name\":\"Ada Lovelace\"}";
    let head = format!(
        "PATCH /v1/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{{",
        ada.access_token,
        body.len()
    );
    let mut under_way = raw::begin(&house.url, head.as_bytes()).await;
    plinth_testkit::until("the requests are under way", async || {
        (house.count("blobs WHERE state = 'receiving'").await == 1).then_some(())
    })
    .await;
    draining.cancel();
    under_way.write_all(&body.as_bytes()[1..]).await.expect("the API reads");
    let answer = raw::until_ended(&mut under_way).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    raw::until_ended(&mut half).await;
    raw::until_ended(&mut hanging).await;
    house.stopped().await;
}
