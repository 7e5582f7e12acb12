//! Errors that stop the start, and their messages.

use std::net::TcpListener;
use std::process::Output;

use plinth_testkit::{Process, Stage};

/// A marker in every secret of these tests that no output may contain.
const HUSH: &str = "hush-hush";

/// Returns the output of a process that failed.
#[track_caller]
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for unwanted in [HUSH, "panicked", "RUST_BACKTRACE"] {
        assert!(!said.contains(unwanted), "{said}");
    }
    said
}

#[tokio::test]
async fn one_message_lists_every_wrong_setting() {
    let stage = Stage::open()
        .await
        .without("PLINTH_SECRET_KEY")
        .with("PLINTH_DATABASE_URL", "")
        .with("PLINTH_DATABASE_MAX_CONNECTIONS", "many")
        .with("PLINTH_S3_SECRET_ACCESS_KEY", HUSH)
        .with("PLINTH_REDIS_URL_FILE", "/nowhere/redis-url")
        .with("PLINTH_API_BIND", "nowhere")
        .with("PLINTH_WORKER_QUEUES", "email,pigeons")
        .with("PLINTH_LOG_FORMAT", "xml")
        .with("PLINTH_WORKER_CONCURENCY", "4");
    for (program, command) in [
        ("plinth-api", "serve"),
        ("plinth-api", "config"),
        ("plinth-worker", "run"),
    ] {
        let said = refusal(&Process::run(program, &[command], &stage).await);
        for expected in [
            "8 problem(s)",
            "PLINTH_SECRET_KEY: must be set",
            "PLINTH_DATABASE_URL: must not be empty",
            "PLINTH_DATABASE_MAX_CONNECTIONS: expected a whole number of at least 1 (got \"many\")",
            "PLINTH_REDIS_URL and PLINTH_REDIS_URL_FILE: only one of them may be set",
            "PLINTH_API_BIND: expected an address like 127.0.0.1:8080",
            "PLINTH_WORKER_QUEUES: \"pigeons\": expected email, files, notifications or cleanup",
            "PLINTH_LOG_FORMAT: expected auto, json or text",
            "did you mean PLINTH_WORKER_CONCURRENCY?",
        ] {
            assert!(said.contains(expected), "{expected:?} is not in: {said}");
        }
    }
}

/// Values that have the right type and cannot work.
const IMPOSSIBLE: [(&str, &str); 17] = [
    ("PLINTH_SECRET_KEY", HUSH),
    ("PLINTH_PUBLIC_URL", "nonsense"),
    ("PLINTH_DATABASE_URL", HUSH),
    ("PLINTH_DATABASE_MAX_CONNECTIONS", "0"),
    ("PLINTH_REDIS_URL", HUSH),
    ("PLINTH_REDIS_PREFIX", "no spaces, please"),
    ("PLINTH_S3_ENDPOINT", "nonsense"),
    ("PLINTH_SMTP_URL", HUSH),
    ("PLINTH_SMTP_FROM", "nobody"),
    ("PLINTH_WORKER_CONCURRENCY", "0"),
    ("PLINTH_WORKER_QUEUE_CONCURRENCY", "files=0"),
    ("PLINTH_WORKER_SCHEDULE", "pigeons=0 * * * *"),
    ("PLINTH_WORKER_JOBS_KEPT", "forever"),
    ("PLINTH_WORKER_LEASE", "0s"),
    ("PLINTH_AUTH_ARGON2_MEMORY", "1MiB"),
    ("PLINTH_LOG_LEVEL", "plinth=very,,="),
    ("PLINTH_TELEMETRY_OTLP_ENDPOINT", "not a url"),
];

#[tokio::test]
async fn values_that_have_the_right_type_but_cannot_work_are_listed_too() {
    let stage = IMPOSSIBLE
        .iter()
        .fold(Stage::open().await, |stage, (name, value)| {
            stage.with(name, value)
        });
    for (program, command) in [
        ("plinth-api", "serve"),
        ("plinth-api", "config"),
        ("plinth-worker", "run"),
    ] {
        let said = refusal(&Process::run(program, &[command], &stage).await);
        let missing: Vec<_> = IMPOSSIBLE
            .iter()
            .filter(|(name, _)| !said.contains(name))
            .collect();
        assert!(
            missing.is_empty(),
            "{program} does not complain of {missing:?}: {said}"
        );
    }
}

#[tokio::test]
async fn the_effective_settings_show_no_secret() {
    let stage = Stage::open()
        .await
        .with("PLINTH_S3_SECRET_ACCESS_KEY", HUSH)
        .with("PLINTH_API_BIND", "127.0.0.1:1234");
    for arguments in [&["config"][..], &["config", "--json"]] {
        let output = Process::run("plinth-api", arguments, &stage).await;
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("127.0.0.1:1234"), "{said}");
        let settings = stage.variables().iter();
        let secret = |name: &str| {
            name.ends_with("SECRET_KEY")
                || name.ends_with("SECRET_ACCESS_KEY")
                || name.ends_with("_URL")
        };
        let secrets: Vec<_> = settings.filter(|(name, _)| secret(name)).collect();
        assert_eq!(secrets.len(), 5);
        for (name, value) in secrets {
            assert!(said.contains(name.as_str()), "{name} is not in: {said}");
            assert!(!said.contains(value.as_str()), "{name} is shown: {said}");
        }
        assert_eq!(said.matches("[redacted]").count(), 5, "{said}");
    }
}

#[tokio::test]
async fn a_start_on_a_taken_port_fails_and_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("bound").to_string();
    for (program, command, taken_by, other) in [
        (
            "plinth-api",
            "serve",
            "PLINTH_API_BIND",
            Some("PLINTH_API_INTERNAL_BIND"),
        ),
        (
            "plinth-api",
            "serve",
            "PLINTH_API_INTERNAL_BIND",
            Some("PLINTH_API_BIND"),
        ),
        ("plinth-worker", "run", "PLINTH_WORKER_INTERNAL_BIND", None),
    ] {
        let mut stage = Stage::open().await.with(taken_by, &taken);
        if let Some(other) = other {
            stage = stage.with(other, "127.0.0.1:0");
        }
        let said = refusal(&Process::run(program, &[command], &stage).await);
        assert!(
            said.contains(&taken) && said.contains("in use"),
            "{taken_by} = {taken}: {said}"
        );
    }
}

#[tokio::test]
async fn an_unknown_queue_is_refused() {
    let stage = Stage::open().await;
    let said = refusal(
        &Process::run(
            "plinth-worker",
            &["run", "--queues", "email,pigeons"],
            &stage,
        )
        .await,
    );
    assert!(
        said.contains("pigeons")
            && said.contains("expected one of email, files, notifications, cleanup"),
        "{said}"
    );
}
