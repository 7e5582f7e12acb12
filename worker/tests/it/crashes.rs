//! A crash of the sandbox is a fault of ours. The owner of the image is never told that it is
//! damaged.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use image::ImageFormat;
use plinth_core::Stores;
use plinth_core::files::{Files, Limits, Upload};
use plinth_core::jobs::Ledger;
use plinth_domain::audit::Origin;
use plinth_domain::file::FileName;
use plinth_domain::id::UserId;
use plinth_domain::job::{MakeThumbnails, Queue};
use plinth_testkit::{Stage, until};
use plinth_worker::files::{FilesContext, ImageSandbox};
use plinth_worker::registry::Registry;
use plinth_worker::supervisor::Supervisor;
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;

use super::sandbox::{encoded, noise, program};

/// Returns a sandbox that runs the real program, but crashes at these calls.
fn crashing_at(folder: &Path, calls: &str) -> ImageSandbox {
    let path = folder.join("crashing");
    let (count, program) = (folder.join("calls"), program());
    let script = format!(
        "#!/bin/sh\necho x >> '{count}'\ncase \"$(/usr/bin/wc -l < '{count}' | /usr/bin/tr -d ' ')\" in {calls}) kill -SYS $$;; esac\nexec '{program}'\n",
        count = count.display(),
        program = program.display(),
    );
    std::fs::write(&path, script).expect("is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("sets the mode");
    ImageSandbox::new(path)
}

async fn upload(stage: &Stage, stores: &Stores, bytes: Vec<u8>) {
    let settings = stage.settings();
    let owner = UserId::mint(stores.clock.now());
    sqlx::query("INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES ($1, 'a', 'a', now(), now())")
        .bind(owner.0)
        .execute(&stores.db)
        .await
        .expect("inserts");
    let files = Files::new(stores, Limits::of(&settings.files), &settings.files.presets);
    let (name, origin) = (FileName::parse("a.jpg").expect("a name"), Origin::system());
    let slot = files.upload_slot(owner).expect("a slot is free");
    let mut upload = files.upload(&origin, &slot, &name).await.expect("begins");
    upload.write(bytes.into()).await.expect("writes");
    upload.store().await.expect("is stored");
    Upload::finish_all(vec![upload], &origin)
        .await
        .expect("becomes a file");
}

/// Returns preset, state, kind of failure and reason of each variant.
async fn variants(stores: &Stores) -> Vec<(String, String, Option<String>, Option<String>)> {
    let query =
        sqlx::query("SELECT preset, state, failure, reason FROM file_variants ORDER BY preset");
    let rows = query.fetch_all(&stores.db).await.expect("answers");
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect()
}

async fn job(stores: &Stores) -> (String, i16, Option<String>) {
    let query =
        sqlx::query("SELECT state, attempt, last_error FROM jobs WHERE kind = 'files.thumbnails'");
    let row = query.fetch_one(&stores.db).await.expect("one job");
    (row.get(0), row.get(1), row.get(2))
}

async fn until_job_is(stores: &Stores, state: &str) {
    until(&format!("the job is {state}"), async || {
        (job(stores).await.0 == state).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_crash_is_retried_then_a_dead_letter_and_fails_no_other_preset() {
    let (stage, folder) = (Stage::open().await, tempfile::tempdir().expect("a folder"));
    let (stores, settings) = (stage.stores(), stage.settings());
    upload(&stage, &stores, encoded(&noise(64, 48), ImageFormat::Jpeg)).await;
    // The presets are tried together, then each alone. One is made; the other crashes in every
    // attempt.
    let sandbox = crashing_at(folder.path(), "1|3|4|5");
    let context = FilesContext::with_sandbox(&stores, &settings, sandbox);
    let registry = Registry::default().register::<MakeThumbnails>(&Arc::new(context));
    let ledger = Ledger::new(&settings.database, "test").expect("a valid URL");
    let (queues, stop) = (vec![(Queue::Files, 2)], CancellationToken::new());
    let supervisor = Supervisor {
        stores: stores.clone(),
        ledger,
        settings: settings.worker,
        queues,
        registry,
    };
    let supervisor = tokio::spawn(supervisor.run(stop.clone()));

    until_job_is(&stores, "dead").await;
    let (_, attempts, error) = job(&stores).await;
    assert_eq!(attempts, 3);
    assert!(
        error
            .as_deref()
            .is_some_and(|error| error.contains("SIGSYS")),
        "{error:?}"
    );
    let after = variants(&stores).await;
    let [made, failed] = &after[..] else {
        panic!("{after:?}")
    };
    let (made, failed) = if made.1 == "ready" {
        (made, failed)
    } else {
        (failed, made)
    };
    assert_eq!((made.1.as_str(), &made.2), ("ready", &None));
    assert_eq!(
        (failed.1.as_str(), failed.2.as_deref()),
        ("failed", Some("internal"))
    );
    let reason = failed.3.as_deref().expect("a reason");
    assert!(
        reason.contains("error on our side") && !reason.contains("damaged"),
        "{reason}"
    );

    // An operator retries the job after the fault was fixed: the sixth call does not crash.
    sqlx::query("UPDATE jobs SET state = 'queued', attempt = 0, run_at = now(), finished_at = NULL WHERE state = 'dead'")
        .execute(&stores.db)
        .await
        .expect("updates");
    until_job_is(&stores, "done").await;
    assert!(
        variants(&stores)
            .await
            .iter()
            .all(|(_, state, failure, _)| state == "ready" && failure.is_none())
    );
    stop.cancel();
    supervisor.await.expect("the worker does not panic");
}
