//! Connections that a client tries to keep open.

use std::time::Duration;

use plinth_testkit::{PATIENCE, Stage};
use reqwest::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::house::{House, text};
use crate::raw;

const MIB: usize = 1024 * 1024;

/// The HTTP/2 connection preface, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn incomplete_headers_end_their_connection() {
    let house = House::on(Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "1s")).await;
    for (name, bytes) in [
        ("half a line", &b"GET /v1/m"[..]),
        ("half a head", b"GET /v1/me HTTP/1.1\r\nhost: x\r\n"),
        ("half a preface", &PREFACE[..20]),
        ("a preface and no request", PREFACE),
        (
            "half a frame of HTTP/2",
            &[PREFACE, b"\0\x01\0\x01\x04\0\0\0\x01"].concat(),
        ),
    ] {
        let mut stream = raw::begin(&house.url, bytes).await;
        let answer = raw::until_ended(&mut stream).await;
        assert!(!answer.contains("200"), "{name}: {answer}");
    }
    house.person("ada").await;
}

#[tokio::test]
async fn slow_headers_end_their_connection() {
    let house = House::on(Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "1s")).await;
    let (mut from, mut to) = raw::begin(&house.url, b"GET /v1/me HTTP/1.1\r\nx: ")
        .await
        .into_split();
    let trickling = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    raw::until_ended(&mut from).await;
    trickling.await.expect("the API closes the connection");
}

#[tokio::test]
async fn an_unread_download_makes_room_for_a_waiting_client() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let file = ada.upload(&house, "a.bin", vec![7; 32 * MIB]).await;
    // Only one connection is allowed, so that there is no response during the download.
    let small = house
        .twin_with(&[
            ("PLINTH_API_MAX_CONNECTIONS", "1"),
            ("PLINTH_API_REQUEST_TIMEOUT", "1s"),
        ])
        .await;
    let request = format!(
        "GET /v1/files/{}/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        text(&file["id"]),
        ada.access_token
    );
    let mut unread = raw::begin(&small.url, request.as_bytes()).await;
    ada.get(&small, "/v1/me").await.expect(StatusCode::OK);
    // The client's own connection is idle now, and is closed as well.
    let answer = raw::talk(
        &small.url,
        b"GET /v1/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let read = raw::until_ended(&mut unread).await;
    assert!(read.len() < 32 * MIB, "the download was cut");
}

#[tokio::test]
async fn a_stopping_server_completes_running_requests_and_ends_stalled_ones() {
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
    under_way
        .write_all(&body.as_bytes()[1..])
        .await
        .expect("the API reads");
    let answer = raw::until_ended(&mut under_way).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    raw::until_ended(&mut half).await;
    raw::until_ended(&mut hanging).await;
    house.stopped().await;
}

/// Reads an HTTP/2 frame: type, stream id and payload.
async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    let [_, high, low, kind, _, number @ ..] = head;
    let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
    stream.read_exact(&mut payload).await.expect("its payload");
    (kind, u32::from_be_bytes(number), payload)
}

#[tokio::test]
async fn an_http_2_connection_has_at_most_a_hundred_streams() {
    const SETTINGS: u8 = 4;
    const RST_STREAM: u8 = 3;
    let house = House::open().await;
    // A login without a body: POST, http, path, authority and content type (RFC 7541, appendix A).
    let fields = b"\x83\x86\x04\x0e/v1/auth/login\x01\x01x\x0f\x10\x10application/json";
    let length = u8::try_from(fields.len()).expect("they are few");
    let streams = (0..=100_u8).flat_map(|number| {
        let head = [0, 0, length, 1, 4, 0, 0, 0, 0];
        let mut frame = [&head[..], fields].concat();
        frame[5..9].copy_from_slice(&(2 * u32::from(number) + 1).to_be_bytes());
        frame
    });
    let mut stream = raw::begin(
        &house.url,
        &[PREFACE, &streams.collect::<Vec<_>>()].concat(),
    )
    .await;
    let refusal = async {
        let mut settings = Vec::new();
        loop {
            match next_frame(&mut stream).await {
                (SETTINGS, _, payload) => settings.extend(payload),
                (RST_STREAM, number, code) => return (settings, number, code),
                _ => {}
            }
        }
    };
    let (settings, number, code) = tokio::time::timeout(PATIENCE, refusal)
        .await
        .expect("one is refused");
    // SETTINGS_MAX_CONCURRENT_STREAMS; the hundred and first stream; REFUSED_STREAM.
    let most = settings
        .chunks(6)
        .find(|setting| setting.starts_with(&[0, 3]))
        .expect("the limit is announced");
    assert_eq!(most, [0, 3, 0, 0, 0, 100]);
    assert_eq!((number, &code[..]), (201, &[0, 0, 0, 7][..]));
}

/// Encodes an HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("it is short")
        .to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Encodes a string for HPACK: its length with a prefix of seven bits, then the bytes (RFC 7541,
/// section 5.2).
fn hpack(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len() {
        short @ ..127 => bytes.push(u8::try_from(short).expect("it is short")),
        long => {
            let mut rest = long - 127;
            bytes.push(127);
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).expect("seven bits"));
        }
    }
    bytes.extend(text.as_bytes());
    bytes
}

#[tokio::test]
async fn an_unread_stream_is_reset_while_others_continue() {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const WINDOW_UPDATE: u8 = 8;
    const END_STREAM_AND_HEADERS: u8 = 5;
    let house = House::on(Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "1s")).await;
    let ada = house.person("ada").await;
    let file = ada.upload(&house, "a.bin", vec![7; 32 * MIB]).await;
    let path = hpack(&format!("/v1/files/{}/content", text(&file["id"])));
    let authorization = hpack(&format!("Bearer {}", ada.access_token));
    // GET, http, path, authority, authorization.
    let fields = [
        b"\x82\x86\x04",
        &path[..],
        b"\x01\x01x\x0f\x08",
        &authorization,
    ]
    .concat();
    // New streams get no window (SETTINGS_INITIAL_WINDOW_SIZE).
    let begin = [
        &PREFACE[..24],
        &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]),
        &frame(HEADERS, END_STREAM_AND_HEADERS, 1, &fields),
        &frame(HEADERS, END_STREAM_AND_HEADERS, 3, &fields),
    ];
    let (mut from, mut to) = raw::begin(&house.url, &begin.concat()).await.into_split();
    let reading = tokio::spawn(async move {
        let more = (64 * 1024_u32).to_be_bytes();
        let windows = [
            frame(WINDOW_UPDATE, 0, 0, &more),
            frame(WINDOW_UPDATE, 0, 3, &more),
        ]
        .concat();
        while to.write_all(&windows).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let ended = async {
        let mut is_reset = false;
        loop {
            match next_frame(&mut from).await {
                (DATA, 3, _) if is_reset => return,
                (RST_STREAM, number, _) => {
                    assert_eq!(number, 1);
                    is_reset = true;
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("one stream is reset, the other continues");
    reading.abort();
}
