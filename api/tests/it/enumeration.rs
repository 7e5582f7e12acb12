//! Whether an address has an account: no answer tells it, and no duration.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::house::{Answer, House};

const PAIRS: usize = 40;

/// What two answers are compared by: everything but what names the request and the moment.
fn told(answer: &Answer) -> (StatusCode, Vec<(String, String)>, Value) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .filter(|(name, _)| name != "date" && name != "x-request-id")
        .collect();
    headers.sort();
    let mut body = answer.json();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, headers, body)
}

/// The quartiles of how long something took.
#[derive(Debug)]
struct Spread([Duration; 3]);

impl Spread {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self([1, 2, 3].map(|quarter| took[took.len() * quarter / 4]))
    }

    fn median(&self) -> Duration {
        self.0[1]
    }
}

/// Asks by turns about an address with an account and one without.
async fn compare(house: &House, path: &str, bodies: Vec<(Value, Value)>) {
    let mut took = [Vec::new(), Vec::new()];
    let mut answers = Vec::new();
    for (number, (known, unknown)) in bodies.into_iter().enumerate() {
        let mut pair = [(0, known), (1, unknown)];
        // Whoever is first finds everything warm that the other left: each is, every other time.
        if number % 2 == 1 {
            pair.reverse();
        }
        for (which, body) in pair {
            let begun = Instant::now();
            let answer = house.post(path, &body).await;
            took[which].push(begun.elapsed());
            answers.push(told(&answer));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{path}: {answers:#?}");
    let [known, unknown] = took.map(Spread::of);
    println!("{path}: with an account {known:?}, without {unknown:?}");
    let apart = known.median().abs_diff(unknown.median());
    let bound = (known.median().max(unknown.median()) / 4).max(Duration::from_millis(8));
    assert!(apart < bound, "{path}: the medians are {apart:?} apart");
}

#[tokio::test]
async fn no_account_can_be_told_by_answer_or_time() {
    let house = House::open().await;
    let verified = house.person("ada").await.email;
    let fresh: Vec<_> = (0..PAIRS).map(|number| format!("fresh-{number}@example.org")).collect();
    let nobody: Vec<_> = (0..PAIRS).map(|number| format!("nobody-{number}@example.org")).collect();
    let registration = |email: &str| json!({ "email": email, "password": "quite another battery" });
    let taken_and_free = fresh.iter().map(|email| (registration(&verified), registration(email))).collect();
    compare(&house, "/v1/auth/register", taken_and_free).await;

    let pairs = |body: &dyn Fn(&str) -> Value| {
        fresh.iter().zip(&nobody).map(|(known, unknown)| (body(known), body(unknown))).collect::<Vec<_>>()
    };
    let wrong = pairs(&|email| json!({ "email": email, "password": "a wrong guess" }));
    compare(&house, "/v1/auth/login", wrong).await;
    let address = pairs(&|email| json!({ "email": email }));
    compare(&house, "/v1/auth/password/forgot", address.clone()).await;
    compare(&house, "/v1/auth/verify-email/resend", address).await;
}

#[tokio::test]
async fn who_registers_again_gets_a_mail_that_fits() {
    let house = House::open().await;
    let (verified, waiting) = (house.person("ada").await, house.register("bob").await);
    for email in [&verified.email, &waiting] {
        let body = json!({ "email": email, "password": "quite another battery" });
        house.post("/v1/auth/register", &body).await.expect(StatusCode::ACCEPTED);
    }
    assert_eq!(house.notices(verified.id).await, ["registration_attempted"]);
    let again: Vec<Value> =
        sqlx::query_scalar("SELECT payload FROM jobs WHERE kind = 'email.verification_again'")
            .fetch_all(&house.stores.db)
            .await
            .expect("reads");
    assert_eq!(again, [json!({ "email": waiting })]);
}
