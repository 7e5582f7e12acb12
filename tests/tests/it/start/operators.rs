//! The worker's commands for operators: what they print, and how they exit.

use plinth_testkit::{Process, Stage};
use serde_json::Value;

async fn worker(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Process::run("plinth-worker", arguments, stage).await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn the_operator_commands_print_and_exit_for_scripts() {
    let stage = Stage::open().await;
    for expected in ["email is paused\n", "email was already paused\n"] {
        let (code, printed, _) = worker(&stage, &["queues", "pause", "email"]).await;
        assert_eq!((code, printed.as_str()), (Some(0), expected));
    }
    let (code, list, _) = worker(&stage, &["queues", "list", "--json"]).await;
    let queues: Vec<Value> = list
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!((code, queues.len()), (Some(0), 4), "{list}");
    assert!(
        queues[0]["paused_at"].is_string() && queues[1]["paused_at"].is_null(),
        "{list}"
    );
    let (_, list, _) = worker(&stage, &["queues", "list"]).await;
    assert!(list.starts_with("email: 0 due"), "{list}");
    let (code, list, _) = worker(&stage, &["jobs", "list", "--state", "dead", "--json"]).await;
    assert_eq!((code, list.as_str()), (Some(0), ""));
    let (code, redriven, _) = worker(&stage, &["jobs", "redrive", "--all"]).await;
    assert_eq!(
        (code, redriven.as_str()),
        (Some(0), "0 dead letters are due again\n")
    );

    let unknown = "00000000-0000-7000-8000-000000000000";
    let (code, printed, error) = worker(&stage, &["jobs", "retry", unknown]).await;
    assert_eq!(
        (code, printed.as_str(), error.as_str()),
        (Some(1), "", "plinth-worker: job not found\n")
    );
    for wrong in [
        &["jobs", "redrive"][..],
        &["jobs", "redrive", "--all", "--queue", "email"],
        &["jobs", "list", "--state", "gone"],
        &["jobs", "list", "--limit", "0"],
        &["jobs", "list", "--from", "yesterday"],
        &["jobs", "show", "x"],
        &["queues", "pause", "nothing"],
    ] {
        let (code, printed, error) = worker(&stage, wrong).await;
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(error.starts_with("error: "), "{wrong:?}: {error}");
    }
}
