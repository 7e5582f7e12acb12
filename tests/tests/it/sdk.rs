//! A client that a standard generator makes of the committed document walks the journey.

use std::path::Path;

use plinth_testkit::{PATIENCE, Process, Services, Stage};
use tokio::process::Command;

/// Runs Python to its end; all that it said, should it fail.
async fn python(command: &mut Command) -> Result<(), String> {
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = output
        .map_err(|_| "it does not end".to_owned())?
        .map_err(|error| error.to_string())?;
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&said).into_owned())
    }
}

#[tokio::test]
async fn a_generated_python_client_walks_the_journey() {
    let stage = Stage::open().await;
    let (api, worker) = tokio::join!(Process::api(&stage), Process::worker(&stage));
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("generator.yml");
    std::fs::write(&settings, "post_hooks: []\n").expect("writes");
    let mut generate = Command::new(&Services::get().python);
    generate
        .args([
            "-m",
            "openapi_python_client",
            "generate",
            "--meta",
            "none",
            "--fail-on-warning",
            "--config",
        ])
        .arg(&settings)
        .arg("--path")
        .arg(crate_folder.join("../openapi.json"))
        .arg("--output-path")
        .arg(folder.path().join("plinth_client"));
    python(&mut generate)
        .await
        .unwrap_or_else(|said| panic!("the generator: {said}"));

    let mut journey = Command::new(&Services::get().python);
    journey
        .arg(crate_folder.join("tests/python/journey.py"))
        .args([&api.url, &Services::get().mailbox_url])
        .env("PYTHONPATH", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    python(&mut journey)
        .await
        .unwrap_or_else(|said| panic!("the client: {said}"));
    assert!(api.stop().await.success());
    assert!(worker.stop().await.success());
}
