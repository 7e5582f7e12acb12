//! Neither a response nor its timing reveals whether an address has an account.

use std::time::{Duration, Instant};

use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Answer, House};
use crate::passwords::{BCRYPT, import};

const PAIRS: usize = 40;
const ROUNDS: usize = 4;

/// Returns the parts of a response that are compared: everything except request ids and times.
fn comparable(answer: &Answer) -> (StatusCode, Vec<(String, String)>, Value) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .filter(|(name, _)| name != "date" && name != "x-request-id")
        .collect();
    headers.sort();
    let mut body = answer.json();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
        if let Some(id) = body.get_mut("registration_id") {
            *id = json!(id.as_str().is_some_and(|id| id.parse::<Uuid>().is_ok()));
        }
    }
    (answer.status, headers, body)
}

/// The quartiles of durations.
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

/// Alternates requests about an address with and without an account. A random difference on a busy
/// machine does not repeat in every round.
async fn compare(house: &House, path: &str, bodies: impl Fn(usize) -> (Value, Value)) {
    let mut apart = Vec::new();
    for round in 0..ROUNDS {
        let pairs = (round * PAIRS..(round + 1) * PAIRS).map(|number| (number, bodies(number)));
        let [known, unknown] = measure(house, path, pairs).await.map(Spread::of);
        eprintln!("{path}: with an account {known:?}, without {unknown:?}");
        let bound = (known.median().max(unknown.median()) / 4).max(Duration::from_millis(8));
        apart.push(known.median().abs_diff(unknown.median()));
        if apart[round] < bound {
            return;
        }
    }
    panic!("{path}: the medians are {apart:?} apart");
}

async fn measure(
    house: &House,
    path: &str,
    pairs: impl Iterator<Item = (usize, (Value, Value))>,
) -> [Vec<Duration>; 2] {
    let mut took = [Vec::new(), Vec::new()];
    let mut answers = Vec::new();
    for (number, (known, unknown)) in pairs {
        let mut pair = [(0, known), (1, unknown)];
        // The first request warms caches for the second; they alternate.
        if number % 2 == 1 {
            pair.reverse();
        }
        for (which, body) in pair {
            // From many clients, so that none is delayed by the guesses of others.
            let address = format!("203.0.113.{}", number + 1);
            let request = house
                .request(Method::POST, path)
                .header("x-forwarded-for", address)
                .json(&body);
            let begun = Instant::now();
            let answer = Answer::of(request).await;
            took[which].push(begun.elapsed());
            answers.push(comparable(&answer));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{path}: {answers:#?}");
    took
}

#[tokio::test]
async fn no_response_or_timing_reveals_an_account() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8"),
    )
    .await;
    let verified = house.person("ada").await.email;
    let registration = |email: &str| json!({ "email": email, "password": "quite another battery" });
    let fresh = |number: usize| format!("fresh-{number}@example.org");
    let nobody = |number: usize| format!("nobody-{number}@example.org");
    let taken_and_free = |number| (registration(&verified), registration(&fresh(number)));
    compare(&house, "/v1/auth/register", taken_and_free).await;

    // Each account is guessed at only a few times.
    let mut accounts = Vec::new();
    for number in 0..PAIRS {
        accounts.push(house.verified(&format!("known-{number}")).await);
    }
    let known = |number: usize| accounts[number % PAIRS].clone();
    let guess = |email: String| json!({ "email": email, "password": "a wrong guess" });
    compare(&house, "/v1/auth/login", |number| {
        (guess(known(number)), guess(nobody(number)))
    })
    .await;
    // A hash of another system takes another time to verify: here a twentieth of ours.
    let imported = |number: usize| format!("imported-{}@example.org", number % PAIRS);
    for number in 0..PAIRS {
        import(&house, &imported(number), BCRYPT).await;
    }
    let no_one = |number: usize| format!("no-one-{number}@example.org");
    compare(&house, "/v1/auth/login", |number| {
        (guess(imported(number)), guess(no_one(number)))
    })
    .await;
    let address = |number: usize| {
        (
            json!({ "email": known(number) }),
            json!({ "email": nobody(number) }),
        )
    };
    compare(&house, "/v1/auth/password/forgot", address).await;

    let mut registrations = Vec::new();
    for (number, account) in accounts.iter().enumerate().take(PAIRS) {
        let taken = house.register_as(account, "quite another battery").await;
        registrations.push((
            taken,
            house
                .register_as(&nobody(number), "quite another battery")
                .await,
        ));
    }
    let resend = |number: usize| {
        let (taken, free) = registrations[number % PAIRS];
        (
            json!({ "registration_id": taken }),
            json!({ "registration_id": free }),
        )
    };
    compare(&house, "/v1/auth/verify-email/resend", resend).await;
}
