//! The worker's command line for operators: what it prints, and how it ends.

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
async fn the_command_line_for_operators_prints_and_ends_as_scripts_need_it() {
    let stage = Stage::open().await;
    for told in ["email is paused\n", "email was paused already\n"] {
        let (code, said, _) = worker(&stage, &["queues", "pause", "email"]).await;
        assert_eq!((code, said.as_str()), (Some(0), told));
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

    let nobody = "00000000-0000-7000-8000-000000000000";
    let (code, said, error) = worker(&stage, &["jobs", "retry", nobody]).await;
    assert_eq!(
        (code, said.as_str(), error.as_str()),
        (Some(1), "", "plinth-worker: there is no such job\n")
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
        let (code, said, error) = worker(&stage, wrong).await;
        assert_eq!((code, said.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(error.starts_with("error: "), "{wrong:?}: {error}");
    }
}
