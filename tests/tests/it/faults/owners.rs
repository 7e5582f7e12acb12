//! An owner with many files does not delay other owners.

use plinth_testkit::{Process, Stage, until};
use tokio::net::TcpListener;

use crate::house::{Door, count};

#[tokio::test]
async fn an_owner_with_many_files_delays_only_their_own_jobs() {
    // The scanner accepts contents and never answers, so each job of the queue takes its whole time
    // limit.
    let scanner = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = scanner.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((socket, _)) = scanner.accept().await {
            silent.push(socket);
        }
    });
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let mailer = Process::worker_with(&stage, &["--queues", "email"]).await;
    let door = Door::of(&api);
    let (many, one) = (door.person().await, door.person().await);
    drop((api, mailer));
    let stage = stage
        .with("PLINTH_CLAMAV_ADDRESS", &address)
        .with("PLINTH_WORKER_FILES_PER_OWNER", "1")
        .with("PLINTH_WORKER_QUEUE_CONCURRENCY", "files=2");
    let api = Process::api(&stage).await;
    let worker = Process::worker_with(&stage, &["--queues", "files"]).await;
    let (mut many, mut one) = (many, one);
    (many.door, one.door) = (Door::of(&api), Door::of(&api));
    for n in 0..6 {
        many.upload("a.bin", vec![n; 100]).await;
    }
    let stores = stage.stores();
    let parked = "SELECT count(*) FROM jobs WHERE queue = 'files' AND parked";
    until("the others wait", async || {
        (count(&stores, parked).await == 5).then_some(())
    })
    .await;
    one.upload("b.bin", vec![9; 100]).await;
    let running =
        "SELECT count(DISTINCT blobs.owner_id) FROM jobs JOIN blobs ON blobs.scan_job_id = jobs.id
                   WHERE jobs.state = 'running'";
    until("both run a job", async || {
        (count(&stores, running).await == 2).then_some(())
    })
    .await;
    assert_eq!(count(&stores, parked).await, 5);
    worker.kill().await;
}
