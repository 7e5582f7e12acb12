//! Slow clients: half-sent requests, and uploads that trickle through the balancer.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plinth_testkit::{Process, Stage, free_address, until};
use reqwest::{Client, Method, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::house::{Answer, Door, Person};

const KIB: usize = 1024;

/// Trickling uploads, from ten addresses and four accounts.
const TRICKLING: usize = 200;

/// The memory that they may use above the idle process, in MiB: 96 for parts, and about half a MiB
/// for each upload with its connection in a debug build, whose stacks and futures are large.
const MEMORY: u64 = 224;

/// The number of file descriptors of an API with few.
const DESCRIPTORS: usize = 100;

#[tokio::test]
async fn half_sent_requests_at_the_descriptor_limit_block_no_client_and_use_no_processor() {
    let stage = Stage::open().await.with("PLINTH_API_REQUEST_TIMEOUT", "5s");
    let api =
        Process::api_with_descriptors(&stage, u32::try_from(DESCRIPTORS).expect("they are few"))
            .await;
    let address = api.url.trim_start_matches("http://");
    let mut half = Vec::new();
    for _ in 0..DESCRIPTORS + 20 {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the system takes it");
        stream
            .write_all(b"GET /v1/me HTTP/1.1\r\nhost: x\r\n")
            .await
            .expect("is sent");
        half.push(stream);
    }
    until("no descriptor is left", async || {
        (api.descriptors() >= DESCRIPTORS).then_some(())
    })
    .await;
    let (begun, before) = (Instant::now(), api.processor_time());
    let answer = Door::of(&api)
        .request(Method::GET, "/v1/me")
        .timeout(Duration::from_secs(30))
        .send()
        .await;
    assert_eq!(
        answer.expect("the API answers").status(),
        StatusCode::UNAUTHORIZED
    );
    // An accept that fails and is repeated at once would use a whole processor.
    let (waited, used) = (begun.elapsed(), api.processor_time().saturating_sub(before));
    assert!(
        waited > Duration::from_secs(2),
        "it was at the limit for {waited:?} only"
    );
    assert!(used < waited / 4, "{used:?} of {waited:?}");
}

/// Starts nginx with the configuration of the deployment in front of one API, without TLS.
struct Balancer {
    url: String,
    _folder: tempfile::TempDir,
    _nginx: Child,
}

impl Balancer {
    async fn before(api: &Process, nginx: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address();
        let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nginx.conf");
        let deployed = std::fs::read_to_string(deployed).expect("reads");
        let upstream = format!(
            "server {} max_fails=0;",
            api.url.trim_start_matches("http://")
        );
        let lines = deployed.lines().filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["server", "api-1:8080", ..] => Some(upstream.clone()),
                ["listen", ..] => Some(format!("listen {address};")),
                ["server", "api-2:8080", ..] | ["access_log", ..] => None,
                [name, ..] if name.starts_with("ssl_") => None,
                _ => Some(line.replace("/tmp/", &format!("{}/", folder.path().display()))),
            }
        });
        let user = if nix::unistd::geteuid().is_root() {
            "user root;\n"
        } else {
            ""
        };
        let conf = format!(
            "{user}daemon off;\nmaster_process off;\n{}\n",
            lines.collect::<Vec<_>>().join("\n")
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, conf).expect("is written");
        let mut command = Command::new(nginx);
        command
            .args(["-e", "stderr", "-c"])
            .arg(file)
            .kill_on_drop(true);
        let nginx = command.spawn().expect("nginx starts");
        until("nginx listens", async || {
            TcpStream::connect(&address).await.ok()
        })
        .await;
        Self {
            url: format!("http://{address}"),
            _folder: folder,
            _nginx: nginx,
        }
    }
}

fn nginx() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join("nginx"))
        .find(|program| program.exists())
}

/// Sends more than one chunk of a file, then single bytes until the API ends the upload.
async fn trickle(url: String, from: String, person: Person, first: usize) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(from.parse().expect("an address"))
        .expect("binds the address");
    let mut stream = socket
        .connect(
            url.trim_start_matches("http://")
                .parse()
                .expect("an address"),
        )
        .await
        .expect("connects");
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 100000000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n",
        person.access_token
    );
    let begun = [head.into_bytes(), vec![7; first]].concat();
    if stream.write_all(&begun).await.is_err() {
        return;
    }
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn two_hundred_trickling_uploads_through_the_balancer_use_bounded_memory_and_block_no_other()
{
    let Some(nginx) = nginx() else {
        assert!(std::env::var_os("CI").is_none(), "CI has nginx");
        eprintln!("SKIPPED: nginx is not installed");
        return;
    };
    let stage = Stage::open()
        .await
        .with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.1/32");
    let (api, _worker) = tokio::join!(Process::api(&stage), Process::worker(&stage));
    let balancer = Balancer::before(&api, &nginx).await;
    let door = Door::of(&api);
    let people = [
        door.person().await,
        door.person().await,
        door.person().await,
        door.person().await,
    ];
    let honest = door.person().await;
    let idle = api.peak_memory();
    let trickling: Vec<_> = (0..TRICKLING)
        .map(|number| {
            let from = format!("127.0.0.{}:0", 2 + number % 10);
            // Half of them need the buffer of a part.
            let first = if number % 8 < 4 {
                1100 * KIB
            } else {
                100 * KIB
            };
            tokio::spawn(trickle(
                balancer.url.clone(),
                from,
                people[number % 4].clone(),
                first,
            ))
        })
        .collect();
    let stores = stage.stores();
    until("the uploads have started", async || {
        let begun =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM blobs WHERE state = 'receiving'");
        let begun = begun.fetch_one(&stores.db).await.expect("counts");
        (begun >= 100).then_some(())
    })
    .await;
    let client = Client::builder()
        .no_proxy()
        .local_address(Some([127, 0, 0, 99].into()))
        .build();
    let through = Person {
        door: Door::at(&balancer.url, client.expect("a client")),
        ..honest
    };
    let mut quickest = Duration::MAX;
    for number in 1..=5 {
        let begun = Instant::now();
        let uploaded = Answer::of(through.uploading("honest.bin", vec![number; 1024 * KIB])).await;
        uploaded.expect(StatusCode::CREATED);
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    trickling.iter().for_each(JoinHandle::abort);
    let taken = api.peak_memory() - idle;
    assert!(taken < MEMORY, "{taken} MiB");
}
