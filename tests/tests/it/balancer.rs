//! nginx with deploy/nginx.conf and without upstreams: its error log has no secrets of failed requests.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use plinth_testkit::{free_address, until};
use reqwest::{Client, StatusCode};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The secret that no log may contain.
const SECRET: &str = "c2VjcmV0LXRva2Vu";

/// The paths with secrets that users get from the API or from a mail.
const SECRET_PATHS: [&str; 9] = [
    "/v1/links/{secret}",
    "/v1/links/{secret}/content?ticket={secret}",
    "//v1//links/{secret}/content",
    "/v1/%6cinks/{secret}",
    "/v1/content/{secret}",
    "/verify-email?token={secret}",
    "/reset-password?token={secret}",
    "/confirm-email?token={secret}",
    "/undo-email-change?token={secret}",
];

struct Balancer {
    address: String,
    folder: tempfile::TempDir,
    _nginx: Child,
}

impl Balancer {
    /// Starts nginx with deploy/nginx.conf, without TLS, and with upstreams that do not answer.
    async fn start(nginx: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address();
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nginx.conf");
        let conf = adapted(
            &fs::read_to_string(conf).expect("reads"),
            &address,
            folder.path(),
        );
        let path = folder.path().join("nginx.conf");
        fs::write(&path, conf).expect("is written");
        let log = fs::File::create(folder.path().join("error.log")).expect("is made");
        let mut command = Command::new(nginx);
        command
            .args(["-e", "stderr", "-c"])
            .arg(path)
            .stderr(log)
            .kill_on_drop(true);
        let nginx = command.spawn().expect("nginx starts");
        until("nginx listens", async || {
            TcpStream::connect(&address).await.ok()
        })
        .await;
        Self {
            address,
            folder,
            _nginx: nginx,
        }
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

fn adapted(conf: &str, address: &str, folder: &Path) -> String {
    let folder_name = folder.display().to_string();
    let lines = conf.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            // The second upstream is removed, and no server listens at the first.
            ["server", "api-1:8080", ..] | ["@UPSTREAMS@"] => {
                Some(format!("server {} max_fails=0;", free_address()))
            }
            ["server", "api-2:8080", ..] | ["daemon", ..] => None,
            ["listen", ..] => Some(format!("listen {address};")),
            ["access_log", "/dev/stdout", ..] => {
                Some(line.replace("/dev/stdout", &format!("{folder_name}/access.log")))
            }
            [name, ..] if name.starts_with("ssl_") => None,
            _ => Some(
                line.replace("/tmp/", &format!("{folder_name}/"))
                    .replace("@FOLDER@", &folder_name),
            ),
        }
    });
    // The worker processes of an nginx that runs as root change to an account that cannot enter the
    // folder.
    let is_root = fs::metadata(folder).is_ok_and(|data| data.uid() == 0);
    let user = if is_root { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;\n{}\n",
        lines.collect::<Vec<_>>().join("\n")
    )
}

fn nginx() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join("nginx"))
        .find(|program| program.exists())
}

#[tokio::test]
async fn no_log_of_nginx_contains_a_token_whatever_fails() {
    let Some(nginx) = nginx() else {
        assert!(std::env::var_os("CI").is_none(), "CI has nginx");
        eprintln!("SKIPPED: nginx is not installed");
        return;
    };
    let balancer = Balancer::start(&nginx).await;
    let client = Client::builder().no_proxy().build().expect("a client");
    let ask = async |path: &str| {
        let answer = client
            .get(format!("http://{}{path}", balancer.address))
            .send()
            .await;
        answer.expect("nginx answers").status()
    };
    for path in SECRET_PATHS {
        let status = ask(&path.replace("{secret}", SECRET)).await;
        assert!(status.is_server_error(), "{path}: {status}");
    }
    // The log does have this harmless line, after all of the others.
    let status = ask("/v1/me?last=1").await;
    assert!(
        matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY
        ),
        "{status}"
    );
    let errors = until("the failure is logged", async || {
        Some(balancer.log("error.log")).filter(|log| log.contains("GET /v1/me?last=1"))
    })
    .await;
    for log in [errors, balancer.log("access.log")] {
        assert!(!log.contains(SECRET), "{log}");
    }
}
