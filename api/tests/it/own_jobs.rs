//! Jobs for the users who requested them, as a snapshot and as a stream. No worker runs here: the
//! test updates the jobs.

use std::sync::atomic::{AtomicI16, Ordering};
use std::time::Duration;

use plinth_core::jobs::{AttemptEnd, Changes, Claim, EndedAttempt, Ledger};
use plinth_domain::id::JobId;
use plinth_testkit::{Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::house::{House, Person, text};

const LEASE: Duration = Duration::from_mins(1);

/// Uploads enough of a JPEG to enqueue only thumbnails. Returns the job.
async fn job_of_photo(house: &House, person: &Person) -> JobId {
    let photo = [
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        Uuid::new_v4().as_bytes().as_slice(),
    ]
    .concat();
    let file = person.upload(house, "photo.jpg", photo).await;
    let job: Uuid = text(&file["job_id"]).parse().expect("a uuid");
    let told = person
        .get(house, &format!("/v1/me/jobs/{job}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(told["file_id"], file["id"]);
    JobId(job)
}

/// A worker that the test controls.
struct Hand {
    ledger: Ledger,
    changes: Option<Changes>,
    claim: Claim,
}

impl Hand {
    /// Starts the job. A mute worker publishes no changes.
    async fn begin(house: &House, job: JobId, is_mute: bool) -> Self {
        let ledger = Ledger::new(&house.stage.settings().database, "test").expect("the URL is one");
        let claimed = ledger.claim(&[job], "hand", LEASE).await.expect("claims");
        let changes = (!is_mute).then(|| Changes::new(&house.stores.redis));
        let hand = Self {
            ledger,
            changes,
            claim: claimed.first().expect("it was free").claim,
        };
        hand.publish();
        hand
    }

    async fn progress(&self, percent: i16) {
        assert!(
            self.ledger
                .progress(self.claim, percent)
                .await
                .expect("writes")
        );
        self.publish();
    }

    async fn end(self, outcome: AttemptEnd) {
        self.ledger
            .record(&[EndedAttempt {
                claim: self.claim,
                outcome,
            }])
            .await
            .expect("writes");
        self.publish();
    }

    fn publish(&self) {
        if let Some(changes) = &self.changes {
            changes.tell(self.claim.job);
        }
    }
}

/// A stream of events.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(house: &House, person: &Person, job: JobId) -> Self {
        let request = person.request(house, Method::GET, &format!("/v1/me/jobs/{job}/events"));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self {
            response,
            text: String::new(),
        }
    }

    /// Returns the id and the job of the next event, or `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| {
                        value
                            .trim_start_matches(": ")
                            .trim_start_matches(':')
                            .to_owned()
                    })
                };
                let (name, id, data) = (field("event"), field("id"), field("data"));
                self.text = String::from(rest);
                // A comment keeps the connection open and is not an event.
                if let Some(data) = data {
                    assert_eq!(name.as_deref(), Some("job"));
                    let job = serde_json::from_str(&data).expect("JSON");
                    return Some((id.expect("an id"), job));
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk());
            let chunk = chunk
                .await
                .expect("an event arrives in time")
                .expect("the stream is complete")?;
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    /// Returns the state and the progress of the next event.
    async fn next_state(&mut self) -> (String, i64) {
        let (_, job) = self.next().await.expect("an event");
        (
            text(&job["state"]),
            job["progress"].as_i64().expect("a number"),
        )
    }
}

fn state(state: &str, progress: i64) -> (String, i64) {
    (state.to_owned(), progress)
}

#[tokio::test]
async fn a_user_sees_only_their_own_jobs() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let older = job_of_photo(&house, &ada).await;
    let newer = job_of_photo(&house, &ada).await;
    let page = ada
        .get(&house, "/v1/me/jobs?limit=1")
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        page["items"][0]["id"],
        json!(newer.0),
        "mails and notices are not listed"
    );
    let cursor = text(&page["next_cursor"]);
    let rest = ada
        .get(&house, &format!("/v1/me/jobs?limit=5&cursor={cursor}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["items"][0]["id"], json!(older.0));
    assert_eq!(
        (&rest["items"][0]["state"], &rest["items"][0]["progress"]),
        (&json!("waiting"), &json!(0))
    );

    let none = bob.get(&house, "/v1/me/jobs").await.expect(StatusCode::OK);
    assert_eq!(none["items"], json!([]));
    for path in [
        format!("/v1/me/jobs/{newer}"),
        format!("/v1/me/jobs/{newer}/events"),
    ] {
        bob.get(&house, &path).await.problem(404, "not_found");
    }
    let mail: Uuid = sqlx::query_scalar("SELECT id FROM jobs WHERE queue = 'email' LIMIT 1")
        .fetch_one(&house.stores.db)
        .await
        .expect("reads");
    ada.get(&house, &format!("/v1/me/jobs/{mail}"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_job_is_watched_until_its_end() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let job = job_of_photo(&house, &ada).await;
    let mut events = Events::open(&house, &ada, job).await;
    assert_eq!(events.next_state().await, state("waiting", 0));
    let hand = Hand::begin(&house, job, false).await;
    assert_eq!(events.next_state().await, state("running", 0));
    hand.progress(40).await;
    assert_eq!(events.next_state().await, state("running", 40));
    let again = AttemptEnd::Retried {
        error: "not yet".to_owned(),
        wait: Duration::ZERO,
        panicked: false,
    };
    hand.end(again).await;
    assert_eq!(events.next_state().await, state("waiting", 0));
    let hand = Hand::begin(&house, job, false).await;
    assert_eq!(events.next_state().await, state("running", 0));
    hand.end(AttemptEnd::Done).await;
    let (id, last) = events.next().await.expect("an event");
    assert_eq!(
        (&last["state"], &last["progress"]),
        (&json!("done"), &json!(100))
    );
    assert!(events.next().await.is_none(), "no event follows the end");

    let mut late = Events::open(&house, &ada, job).await;
    assert_eq!(late.next_state().await, state("done", 100));
    assert!(late.next().await.is_none());
    let again = ada.request(&house, Method::GET, &format!("/v1/me/jobs/{job}/events"));
    let answer = again
        .header("last-event-id", id)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        answer.status(),
        StatusCode::NO_CONTENT,
        "an EventSource stops reconnecting"
    );
}

#[tokio::test]
async fn a_change_without_a_redis_message_is_seen_later() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let job = job_of_photo(&house, &ada).await;
    let mut events = Events::open(&house, &ada, job).await;
    assert_eq!(events.next_state().await, state("waiting", 0));
    let hand = Hand::begin(&house, job, true).await;
    assert_eq!(events.next_state().await, state("running", 0));
    hand.end(AttemptEnd::Dead {
        error: "as always".to_owned(),
    })
    .await;
    let (_, last) = events.next().await.expect("an event");
    assert_eq!(last["state"], "failed");
    assert!(
        !last.to_string().contains("as always"),
        "errors are for operators only"
    );
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_streams() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (job, other) = (
        job_of_photo(&house, &ada).await,
        job_of_photo(&house, &bob).await,
    );
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(Events::open(&house, &ada, job).await);
    }
    let path = format!("/v1/me/jobs/{job}/events");
    ada.get(&house, &path)
        .await
        .problem(409, "too_many_streams");
    Events::open(&house, &bob, other).await;
    let hand = Hand::begin(&house, job, false).await;
    for events in &mut streams {
        assert_eq!(events.next_state().await, state("waiting", 0));
        assert_eq!(
            events.next_state().await,
            state("running", 0),
            "all streams get the event"
        );
    }
    drop(streams);
    // The server notices closed streams when it sends the next event.
    let percents = AtomicI16::new(0);
    let mut again = until("there is room again", async || {
        hand.progress(percents.fetch_add(1, Ordering::Relaxed))
            .await;
        let response = ada
            .request(&house, Method::GET, &path)
            .send()
            .await
            .expect("an answer");
        (response.status() == StatusCode::OK).then_some(Events {
            response,
            text: String::new(),
        })
    })
    .await;
    assert_eq!(again.next_state().await.0, "running");
}

#[tokio::test]
async fn a_draining_api_ends_its_streams() {
    let draining = CancellationToken::new();
    let house = House::draining_by(Stage::open().await, draining.clone()).await;
    let ada = house.person("ada").await;
    let job = job_of_photo(&house, &ada).await;
    let mut events = Events::open(&house, &ada, job).await;
    assert_eq!(events.next_state().await, state("waiting", 0));
    draining.cancel();
    assert!(events.next().await.is_none());
}
