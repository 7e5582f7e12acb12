//! Jobs and queues for operators. No worker runs here: the operations change the ledger only.

use plinth_domain::id::JobId;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, Person, text};

/// Inserts a job in this state with this last error.
pub(crate) async fn job(house: &House, kind: &str, state: &str, error: Option<&str>) -> Uuid {
    let id = JobId::mint(house.stores.clock.now()).0;
    let finished = matches!(state, "done" | "dead" | "cancelled");
    sqlx::query(
        "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, state, attempt, claim, run_at, deadline,
             created_at, finished_at, last_error, traceparent, lease_until, lease_owner)
         VALUES ($1, split_part($2, '.', 1), $2, '{\"email\": \"ada@example.org\"}', 1, 10, $3, 3, 4, now(),
             now() + interval '1 day', now(), CASE WHEN $4 THEN now() END, $5,
             '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
             CASE WHEN $3 = 'running' THEN now() + interval '1 h' END, 'worker-1')",
    )
    .bind(id)
    .bind(kind)
    .bind(state)
    .bind(finished)
    .bind(error)
    .execute(&house.stores.db)
    .await
    .expect("inserts");
    id
}

async fn found(house: &House, admin: &Person, query: &str) -> Vec<String> {
    let page = admin
        .get(house, &format!("/v1/jobs?{query}"))
        .await
        .expect(StatusCode::OK);
    page["items"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| text(&job["id"]))
        .collect()
}

async fn state(house: &House, admin: &Person, id: Uuid) -> Value {
    admin
        .get(house, &format!("/v1/jobs/{id}"))
        .await
        .expect(StatusCode::OK)["job"]
        .clone()
}

#[tokio::test]
async fn jobs_are_found_by_every_filter() {
    let house = House::open().await;
    let admin = house.administrator().await;
    sqlx::query("DELETE FROM jobs")
        .execute(&house.stores.db)
        .await
        .expect("deletes");
    let refused = job(
        &house,
        "email.verification",
        "dead",
        Some("the mail was refused: 550 No such User"),
    )
    .await;
    let broken = job(&house, "files.thumbnails", "dead", Some("it is no picture")).await;
    let waiting = job(&house, "files.thumbnails", "queued", None).await;
    let all = [waiting, broken, refused].map(|id| id.to_string());
    assert_eq!(found(&house, &admin, "").await, all, "newest first");
    for (query, expected) in [
        ("state=dead", &all[1..]),
        ("queue=files", &all[..2]),
        ("kind=files.thumbnails&state=queued", &all[..1]),
        ("error=no%20such%20user", &all[2..]),
        ("until=2020-01-01T00:00:00Z", &[]),
        ("from=2020-01-01T00:00:00Z", &all[..]),
        ("user_id=00000000-0000-0000-0000-000000000001", &[]),
    ] {
        assert_eq!(found(&house, &admin, query).await, expected, "{query}");
    }
    let first = admin
        .get(&house, "/v1/jobs?limit=2")
        .await
        .expect(StatusCode::OK);
    let cursor = text(&first["next_cursor"]);
    assert_eq!(
        found(&house, &admin, &format!("limit=2&cursor={cursor}")).await,
        all[2..]
    );
    admin
        .get(&house, "/v1/jobs?state=lost")
        .await
        .problem(422, "validation_failed");
    for wrong in ["error=", "error=%00", "kind=%00"] {
        admin
            .get(&house, &format!("/v1/jobs?{wrong}"))
            .await
            .problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_job_is_read_with_its_attempts_and_without_its_payload() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let id = job(
        &house,
        "email.verification",
        "dead",
        Some("550 no <ada@example.org>"),
    )
    .await;
    sqlx::query(
        "INSERT INTO job_attempts (job_id, claim, attempt, worker, started_at, ended_at, outcome, error)
         VALUES ($1, 1, 1, 'worker-1', now(), now(), 'lost', 'gone'), ($1, 2, 2, 'worker-2', now(), now(), 'dead', '550 no <ada@example.org>')",
    )
    .bind(id)
    .execute(&house.stores.db)
    .await
    .expect("inserts");
    let answer = admin
        .get(&house, &format!("/v1/jobs/{id}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        answer["job"]["trace_id"],
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(
        (&answer["job"]["attempts"], &answer["job"]["priority"]),
        (&json!(3), &json!("normal"))
    );
    let outcomes: Vec<_> = answer["failed_attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|attempt| text(&attempt["outcome"]))
        .collect();
    assert_eq!(outcomes, ["lost", "dead"]);
    assert_eq!(answer["job"]["last_error"], "550 no <***@example.org>");
    assert!(!answer.to_string().contains("ada@"), "{answer}");
    admin
        .get(&house, &format!("/v1/jobs/{}", Uuid::new_v4()))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn an_ended_job_is_retried_and_a_waiting_job_is_cancelled() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let dead = job(&house, "email.verification", "dead", Some("550 no")).await;
    let retry = format!("/v1/jobs/{dead}/retry");
    let again = admin
        .post(&house, &retry, &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&again["state"], &again["attempts"]),
        (&json!("queued"), &json!(0))
    );
    assert!(again["finished_at"].is_null(), "{again}");
    admin
        .post(&house, &retry, &json!({}))
        .await
        .problem(409, "job_state");
    // A worker with an old lease cannot continue the job.
    let claim: i32 = sqlx::query_scalar("SELECT claim FROM jobs WHERE id = $1")
        .bind(dead)
        .fetch_one(&house.stores.db)
        .await
        .expect("reads");
    assert_eq!(claim, 4);

    let cancel = format!("/v1/jobs/{dead}/cancel");
    let cancelled = admin
        .post(&house, &cancel, &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(cancelled["state"], "cancelled");
    admin
        .post(&house, &cancel, &json!({}))
        .await
        .problem(409, "job_state");
    admin
        .post(&house, &retry, &json!({}))
        .await
        .expect(StatusCode::OK);

    let running = job(&house, "files.thumbnails", "running", None).await;
    let path = format!("/v1/jobs/{running}/cancel");
    let asked = admin
        .post(&house, &path, &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(asked["state"], "running", "its worker will stop it");
    admin
        .post(&house, &path, &json!({}))
        .await
        .expect(StatusCode::OK);
    admin
        .post(&house, &format!("/v1/jobs/{running}/retry"), &json!({}))
        .await
        .problem(409, "job_state");
    let told: Vec<_> = house
        .actions()
        .await
        .into_iter()
        .filter(|action| action.starts_with("job."))
        .collect();
    let expected = [
        "job.retried",
        "job.cancelled",
        "job.retried",
        "job.cancelled",
    ];
    assert_eq!(told, expected.map(|action| format!("{action}:success")));
}

#[tokio::test]
async fn any_number_of_dead_letters_is_redriven_by_filter() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let other = job(&house, "files.thumbnails", "dead", Some("it is no picture")).await;
    sqlx::query(
        "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, state, run_at, created_at, finished_at,
             last_error)
         SELECT gen_random_uuid(), 'email', 'email.verification', '{}', 1, 10, 'dead', now(), now(), now(), 'Timed Out'
         FROM generate_series(1, 2500)",
    )
    .execute(&house.stores.db)
    .await
    .expect("inserts");
    let filter = json!({ "queue": "email", "error": "timed out" });
    let answer = admin
        .post(&house, "/v1/jobs/redrive", &filter)
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer["count"], 2500);
    assert_eq!(
        house
            .count("jobs WHERE state = 'queued' AND kind = 'email.verification'")
            .await,
        2500
    );
    assert_eq!(state(&house, &admin, other).await["state"], "dead");
    let answer = admin
        .post(&house, "/v1/jobs/redrive", &filter)
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer["count"], 0);
    let wrong = json!({ "queue": "letters" });
    admin
        .post(&house, "/v1/jobs/redrive", &wrong)
        .await
        .problem(422, "validation_failed");
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_redriven_does_not_block_others() {
    let house = House::open().await;
    let admin = house.administrator().await;
    for statement in [
        "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, state, run_at, created_at, finished_at)
         SELECT gen_random_uuid(), 'email', 'email.verification', '{}', 1, 10, 'dead', now(), now(), now()
         FROM generate_series(1, 1500)",
        "CREATE TABLE poison AS (SELECT id FROM jobs WHERE state = 'dead' ORDER BY id LIMIT 1)
         UNION ALL (SELECT id FROM jobs WHERE state = 'dead' ORDER BY id LIMIT 1 OFFSET 777)",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.id IN (SELECT id FROM poison) THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER poison BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        sqlx::query(statement).execute(&house.stores.db).await.expect("executes");
    }
    let answer = admin
        .post(&house, "/v1/jobs/redrive", &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer, json!({ "count": 1498, "passed_over": 2 }));
    let told: i64 = sqlx::query_scalar(
        "SELECT sum((details ->> 'count')::bigint)::bigint FROM audit_events WHERE action = 'job.redriven'",
    )
    .fetch_one(&house.stores.db)
    .await
    .expect("reads");
    assert_eq!(told, 1498);
    sqlx::query("DROP TRIGGER poison ON jobs")
        .execute(&house.stores.db)
        .await
        .expect("drops");
    let answer = admin
        .post(&house, "/v1/jobs/redrive", &json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer, json!({ "count": 2, "passed_over": 0 }));
}

#[tokio::test]
async fn a_paused_queue_stays_paused_until_it_is_resumed() {
    let house = House::open().await;
    let admin = house.administrator().await;
    sqlx::query("DELETE FROM jobs")
        .execute(&house.stores.db)
        .await
        .expect("deletes");
    job(&house, "files.thumbnails", "queued", None).await;
    job(&house, "files.thumbnails", "dead", None).await;
    let queue = async || {
        let list = admin.get(&house, "/v1/queues").await.expect(StatusCode::OK);
        list["items"]
            .as_array()
            .expect("queues")
            .iter()
            .find(|queue| queue["name"] == "files")
            .cloned()
    };
    let open = queue().await.expect("the queue is listed");
    assert_eq!(
        (&open["paused"], &open["due"], &open["dead"]),
        (&json!(false), &json!(1), &json!(1))
    );
    for _ in 0..2 {
        admin
            .post(&house, "/v1/queues/files/pause", &json!({}))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    let paused = queue().await.expect("the queue is listed");
    assert_eq!(paused["paused"], true);
    assert!(paused["paused_by"].is_string(), "{paused}");
    for _ in 0..2 {
        admin
            .post(&house, "/v1/queues/files/resume", &json!({}))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    assert_eq!(queue().await.expect("the queue is listed")["paused"], false);
    let told: Vec<_> = house
        .actions()
        .await
        .into_iter()
        .filter(|action| action.starts_with("queue."))
        .collect();
    assert_eq!(
        told,
        ["queue.paused:success", "queue.resumed:success"],
        "only requests that changed something are audited"
    );
}
