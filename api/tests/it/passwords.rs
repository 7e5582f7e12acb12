//! Rules for passwords.

use std::time::{Duration, Instant};

use plinth_core::access_tokens::AccessTokens;
use plinth_core::auth::Auth;
use plinth_platform::crypto::{PasswordHasher, RootKey};
use plinth_testkit::{Process, Stage, until};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::house::{Answer, House, PASSWORD};

async fn register(house: &House, password: &str) -> (String, Answer) {
    let email = format!("ada-{}@example.org", uuid::Uuid::new_v4().simple());
    let answer = house
        .post(
            "/v1/auth/register",
            &json!({ "email": email, "password": password }),
        )
        .await;
    (email, answer)
}

/// Creates an account with this password that can log in.
async fn with_password(house: &House, password: &str) -> String {
    let (email, answer) = register(house, password).await;
    answer.expect(StatusCode::ACCEPTED);
    let token = house.verification_token(&email).await;
    house
        .verify(&token, password)
        .await
        .expect(StatusCode::NO_CONTENT);
    email
}

/// Returns the code and the detail of the only fault of a request.
fn refused(answer: &Answer, pointer: &str) -> (String, String) {
    let problem = answer.problem(422, "validation_failed");
    let errors = problem["errors"].as_array().expect("errors");
    assert_eq!(
        (errors.len(), &errors[0]["pointer"]),
        (1, &json!(pointer)),
        "{problem}"
    );
    let part = |name: &str| errors[0][name].as_str().expect("a text").to_owned();
    (part("code"), part("detail"))
}

#[tokio::test]
async fn a_breached_password_is_refused_in_every_operation() {
    let house = House::open().await;
    let breached = "PassWord1";
    assert_eq!(
        refused(&register(&house, breached).await.1, "/password").0,
        "breached_password"
    );
    assert_eq!(house.count("users").await, 0);

    let person = house.person("ada").await;
    let change = json!({ "current_password": PASSWORD, "new_password": breached });
    let changed = person.put(&house, "/v1/me/password", &change).await;
    assert_eq!(refused(&changed, "/new_password").0, "breached_password");

    let token = house.reset_token(&person.email).await;
    let reset = house
        .post(
            "/v1/auth/password/reset",
            &json!({ "token": token, "password": breached }),
        )
        .await;
    assert_eq!(refused(&reset, "/password").0, "breached_password");
    // The token is not used up.
    house
        .present(crate::mailed::RESET, &token)
        .await
        .expect(StatusCode::OK);

    let arguments = [
        "admin",
        "create",
        "--email",
        "root@example.org",
        "--password-stdin",
    ];
    let made = Process::run_reading("plinth-api", &arguments, &house.stage, breached).await;
    assert!(!made.status.success(), "{made:?}");
    assert!(
        String::from_utf8_lossy(&made.stderr).contains("breached"),
        "{made:?}"
    );
}

#[tokio::test]
async fn a_common_password_is_refused_with_its_reason() {
    let house = House::open().await;
    let (code, detail) = refused(&register(&house, "1q2w3e4r5t6y").await.1, "/password");
    assert_eq!(code, "breached_password");
    assert!(detail.contains("breached and common"), "{detail}");
    let (code, detail) = refused(&register(&house, "2019-03-17").await.1, "/password");
    assert_eq!(code, "weak_password");
    assert!(
        detail.contains("Dates are often easy to guess."),
        "{detail}"
    );
}

#[tokio::test]
async fn a_password_from_words_of_the_product_is_refused() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_PRODUCT_NAME", "Difference Engine"),
    )
    .await;
    assert_eq!(
        refused(&register(&house, "difference ENGINE").await.1, "/password").0,
        "password_is_product"
    );
    assert_eq!(
        refused(&register(&house, "difference1").await.1, "/password").0,
        "weak_password"
    );
    let own = json!({ "email": "countess.lovelace@example.org", "password": "Countess.Lovelace" });
    let answer = house.post("/v1/auth/register", &own).await;
    assert_eq!(refused(&answer, "/password").0, "password_is_email");
}

#[tokio::test]
async fn a_password_can_have_any_characters() {
    let house = House::open().await;
    for password in [
        "träge Möwen über Kiel",
        "紫陽花と蝸牛と梅雨の午後",
        "🦀 walks 🐙 swims 🦉 flies",
        "tab\tline\nfeed and NUL \0 too",
        "\"quotes\" \\ 'and' ; -- DROP TABLE",
        "صباح الخير يا مدينة",
    ] {
        let email = with_password(&house, password).await;
        house.log_in(&email, password).await.expect(StatusCode::OK);
    }
    let accented = with_password(&house, "u\u{308}ber alle Gipfel").await;
    house
        .log_in(&accented, "\u{fc}ber alle Gipfel")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_password_is_used_exactly_as_typed() {
    let house = House::open().await;
    let password = format!("  Six Purple {} Kites  ", "x7Qv".repeat(26));
    assert_eq!(password.chars().count(), 125);
    let email = with_password(&house, &password).await;
    let cut = &password[..password.len() - 1];
    for other in [password.trim(), &password.to_lowercase(), cut] {
        house
            .log_in(&email, other)
            .await
            .problem(401, "invalid_credentials");
    }
    house.log_in(&email, &password).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_password_under_older_rules_still_works() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.stores.clock.advance(time::Duration::days(5 * 365));
    house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
}

/// Returns a body with an address, a token and a password.
type Body = fn(&str, &str, String) -> Value;

#[tokio::test]
async fn a_password_of_a_megabyte_is_refused_unread() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let token = house.reset_token(&person.email).await;
    let bodies: [(&str, &str, Body); 3] = [
        (
            "/v1/auth/register",
            "/password",
            |email, _, password| json!({ "email": email, "password": password }),
        ),
        (
            "/v1/auth/login",
            "/password",
            |email, _, password| json!({ "email": email, "password": password }),
        ),
        (
            "/v1/auth/password/reset",
            "/password",
            |_, token, password| json!({ "token": token, "password": password }),
        ),
    ];
    for (path, pointer, body) in bodies {
        let huge = house
            .post(path, &body(&person.email, &token, "x".repeat(1024 * 1024)))
            .await;
        huge.problem(413, "too_large");
        let long = house
            .post(path, &body(&person.email, &token, "x".repeat(1025)))
            .await;
        assert_eq!(refused(&long, pointer).0, "too_long", "{path}");
    }
    let change =
        |password: String| json!({ "current_password": password, "new_password": "x".repeat(129) });
    person
        .put(&house, "/v1/me/password", &change("x".repeat(1024 * 1024)))
        .await
        .problem(413, "too_large");
    let long = person
        .put(&house, "/v1/me/password", &change(PASSWORD.to_owned()))
        .await;
    assert_eq!(refused(&long, "/new_password").0, "too_long");
    house
        .present(crate::mailed::RESET, &token)
        .await
        .expect(StatusCode::OK);
}

/// "correct horse battery" by Python's bcrypt, cost 4.
pub(crate) const BCRYPT: &str = "$2b$04$dSmkdn3ImBBLe7K1nxRvOOoZrQ/bM9gnkbk5t.dBlglyopPJSN4Wy";

/// Creates an account that was imported from another system.
pub(crate) async fn import(house: &House, email: &str, password_hash: &str) {
    let account = crate::imports::account(email, Some(password_hash));
    assert!(house.import(account).await.expect("imports"));
}

#[tokio::test]
async fn a_hash_with_other_parameters_is_renewed_at_the_next_login() {
    let house = House::open().await;
    import(&house, "imported@example.org", BCRYPT).await;
    house
        .log_in("imported@example.org", "a wrong guess")
        .await
        .problem(401, "invalid_credentials");
    for _ in 0..2 {
        house
            .log_in("imported@example.org", PASSWORD)
            .await
            .expect(StatusCode::OK);
        let hash: String = sqlx::query_scalar("SELECT password_hash FROM users")
            .fetch_one(&house.stores.db)
            .await
            .expect("one account");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
    }
    let rehashed = house
        .actions()
        .await
        .iter()
        .filter(|action| *action == "password.rehashed:success")
        .count();
    assert_eq!(rehashed, 1);
}

#[tokio::test]
async fn a_process_learns_the_cost_of_imported_hashes_before_the_first_login() {
    let house = House::open().await;
    let owner = house.person("Owner").await;
    // Of cost 12: ten times as expensive as our hash.
    import(
        &house,
        "imported@example.org",
        &BCRYPT.replace("$04$", "$12$"),
    )
    .await;
    let twin = house.twin().await;
    let guess = async || {
        let nobody = format!("nobody-{}@example.org", uuid::Uuid::new_v4().simple());
        let begun = Instant::now();
        twin.log_in(&nobody, "a wrong guess")
            .await
            .problem(401, "invalid_credentials");
        begun.elapsed()
    };
    // It computes one of our hashes.
    let success = async || {
        let begun = Instant::now();
        twin.log_in(&owner.email, PASSWORD)
            .await
            .expect(StatusCode::OK);
        begun.elapsed()
    };
    // The minimum of each, which the machine has disturbed least.
    until(
        "a guess at an unknown account costs as much as one at the imported account",
        async || {
            let (guessed, succeeded) = (
                guess().await.min(guess().await),
                success().await.min(success().await),
            );
            (guessed > succeeded * 3).then_some(())
        },
    )
    .await;
}

/// Returns the number of running tasks of this test.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn building_authentication_starts_no_task() {
    let stage = Stage::open().await;
    let (settings, stores) = (stage.settings(), stage.stores());
    let root = RootKey::parse(&settings.general.secret_key).expect("a root key");
    let hasher = PasswordHasher::start(&settings.auth).expect("starts");
    let access_tokens = AccessTokens::new(&stores, &settings, &root);
    let before = tasks();
    let _auth = Auth::new(&stores, &settings, &root, hasher, access_tokens);
    assert_eq!(tasks(), before);
}

#[tokio::test]
async fn a_draining_api_stops_learning_imported_hashes() {
    let (mut stage, draining) = (Stage::open().await, CancellationToken::new());
    // Without PostgreSQL, it retries repeatedly.
    let wire = stage.wire_database().await;
    wire.tear();
    let _house = House::draining_by(stage, draining.clone()).await;
    // Connections have short-lived tasks, so the minimum counts.
    let mut before = tasks();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        before = before.min(tasks());
    }
    draining.cancel();
    // At once: another task ends by itself in a few seconds.
    let ended = until("the task has ended", async || {
        (tasks() < before).then_some(())
    });
    tokio::time::timeout(Duration::from_secs(2), ended)
        .await
        .expect("it ends");
}
