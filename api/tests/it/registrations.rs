//! Pending registrations: they reserve nothing, and are void once another one is verified.

use plinth_core::auth::{Asked, Verification};
use plinth_domain::id::{RegistrationId, UserId};
use plinth_platform::crypto::PasswordHasher;
use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::house::{Answer, House, PASSWORD, text};
use crate::mailed::{CONFIRM, RESET, UNDO};

const DISCARD: &str = "/v1/auth/registrations/discard";
const RESEND: &str = "/v1/auth/verify-email/resend";
const STRANGERS: &str = "a password of a stranger";

impl House {
    async fn register_named(&self, email: &str, password: &str, name: &str) -> RegistrationId {
        let body = json!({ "email": email, "password": password, "display_name": name });
        let answer = self
            .post("/v1/auth/register", &body)
            .await
            .expect(StatusCode::ACCEPTED);
        text(&answer["registration_id"]).parse().expect("an id")
    }

    async fn token_of(&self, id: RegistrationId) -> String {
        self.try_verification_token(id)
            .await
            .expect("its mail is due")
    }

    /// Inserts an account like those of releases without registrations, unverified and with every
    /// credential.
    async fn unverified_account(&self, email: &str, password: &str) -> UserId {
        let hasher = PasswordHasher::start(&self.stage.settings().auth).expect("starts");
        let password = plinth_domain::password::Password::parse(password).expect("a password");
        let hash = hasher.hash(password).await.expect("hashes");
        let id = UserId::mint(self.stores.clock.now());
        sqlx::query(
            "INSERT INTO users (id, email, email_key, display_name, password_hash, created_at, updated_at)
             VALUES ($1, $2, lower($2), 'Mallory', $3, now(), now())",
        )
        .bind(id.0)
        .bind(email)
        .bind(hash)
        .execute(&self.stores.db)
        .await
        .expect("inserts");
        sqlx::query("INSERT INTO user_roles (user_id, role) VALUES ($1, 'member')")
            .bind(id.0)
            .execute(&self.stores.db)
            .await
            .expect("inserts");
        sqlx::query(
            "INSERT INTO totp_factors (id, user_id, name, secret, confirmed_at, created_at)
             VALUES (gen_random_uuid(), $1, 'app', '', now(), now())",
        )
        .bind(id.0)
        .execute(&self.stores.db)
        .await
        .expect("inserts");
        self.passkey_row(id).await;
        self.api_key(id, "profile:read").await;
        id
    }
}

#[tokio::test]
async fn of_two_registrations_only_the_verified_one_counts() {
    let house = House::open().await;
    let email = "victim@example.org";
    let strangers = house.register_named(email, STRANGERS, "Mallory").await;
    let owners = house.register_named(email, PASSWORD, "Vic").await;
    let (strangers_link, owners_link) = (
        house.token_of(strangers).await,
        house.token_of(owners).await,
    );
    assert_ne!(
        strangers_link, owners_link,
        "each registration has its own mail and link"
    );

    // The owner opens the wrong link with their own password: nothing happens, and the link stays
    // valid.
    let refused = house.verify(&strangers_link, PASSWORD).await;
    refused.problem(422, "validation_failed");
    assert_eq!(refused.faults(), ["/password wrong_password"]);
    let said = String::from_utf8_lossy(&refused.bytes);
    assert!(
        said.contains(DISCARD) && said.contains("register again"),
        "{said}"
    );
    assert_eq!(house.count("users").await, 0);

    house
        .verify(&owners_link, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .log_in(email, STRANGERS)
        .await
        .problem(401, "invalid_credentials");
    house.log_in(email, PASSWORD).await.expect(StatusCode::OK);
    let user = house.user(house.id_of(email).await).await;
    assert_eq!(user.display_name.as_deref(), Some("Vic"));
    for link in [&strangers_link, &owners_link] {
        assert_eq!(
            house.verify(link, STRANGERS).await.faults(),
            ["/token invalid_token"]
        );
    }
    assert_eq!(
        house.count("registrations").await,
        0,
        "the verification removed the other registrations of the address"
    );
}

#[tokio::test]
async fn before_verification_no_account_exists() {
    let house = House::open().await;
    let email = house.register("ada").await;
    assert_eq!(house.count("users").await, 0);
    house
        .log_in(&email, PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    assert!(house.try_reset_token(&email, house.asked()).await.is_none());
}

#[tokio::test]
async fn a_verification_replaces_an_unverified_account_completely() {
    let house = House::open().await;
    let email = "victim@example.org";
    let unverified = house.unverified_account(email, STRANGERS).await;
    let id = house.register_named(email, PASSWORD, "Vic").await;
    let link = house.token_of(id).await;
    house
        .verify(&link, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    let tokens = house.log_in(email, PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(
        tokens["token_type"], "Bearer",
        "no second factor is required"
    );
    house
        .log_in(email, STRANGERS)
        .await
        .problem(401, "invalid_credentials");
    let user = house.user(unverified).await;
    assert_eq!(
        (user.display_name.as_deref(), user.has_second_factor),
        (Some("Vic"), false)
    );
    assert_eq!(user.roles, ["member"]);
    for table in [
        "totp_factors",
        "passkeys",
        "api_keys",
        "recovery_codes",
        "one_time_tokens",
    ] {
        assert_eq!(house.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_reset_of_an_unverified_account_keeps_no_earlier_name() {
    let house = House::open().await;
    let unverified = house
        .unverified_account("victim@example.org", STRANGERS)
        .await;
    let token = house.reset_token("victim@example.org").await;
    let reset = json!({ "token": token, "password": PASSWORD });
    house.post(RESET, &reset).await.expect(StatusCode::OK);
    assert_eq!(house.user(unverified).await.display_name, None);
}

#[tokio::test]
async fn a_link_of_an_earlier_release_needs_the_password_of_its_account() {
    let house = House::open().await;
    let email = "early@example.org";
    let unverified = house.unverified_account(email, PASSWORD).await;
    let verification = Verification::new(&house.stores, std::time::Duration::from_hours(1));
    let mail = verification
        .prepare_for_account(unverified)
        .await
        .expect("answers")
        .expect("a mail");
    let link = mail.token.reveal();
    let refused = house.verify(&link, "another password").await;
    assert_eq!(refused.faults(), ["/password wrong_password"]);
    house
        .verify(&link, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(house.user(unverified).await.email_verified_at.is_some());
    assert_eq!(
        house.verify(&link, PASSWORD).await.faults(),
        ["/token invalid_token"]
    );
}

#[tokio::test]
async fn pending_registrations_and_unverified_accounts_block_no_change_of_address() {
    let house = House::open().await;
    let person = house.person("ada").await;
    for (number, email) in ["registered@example.org", "unverified@example.org"]
        .into_iter()
        .enumerate()
    {
        if number == 0 {
            house.register_as(email, STRANGERS).await;
        } else {
            house.unverified_account(email, STRANGERS).await;
        }
        let token = house.change_token(person.id, email).await;
        house
            .present(CONFIRM, &token)
            .await
            .expect(StatusCode::NO_CONTENT);
        assert_eq!(house.user(person.id).await.email, email);
        house
            .log_in(email, STRANGERS)
            .await
            .problem(401, "invalid_credentials");
        house.log_in(email, PASSWORD).await.expect(StatusCode::OK);
        house.stores.clock.advance(time::Duration::minutes(6));
    }
    let given_way = "users WHERE status = 'deleted' AND email LIKE 'deleted-%'";
    assert_eq!(
        house.count(given_way).await,
        1,
        "the unverified account was removed"
    );
}

#[tokio::test]
async fn an_undo_takes_the_address_from_registrations_and_unverified_accounts() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let undo = house.undo_token(person.id, &person.email).await;
    let token = house.change_token(person.id, "next@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    house.register_as(&person.email, STRANGERS).await;
    house.unverified_account(&person.email, STRANGERS).await;
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, person.email);
}

#[tokio::test]
async fn an_unverified_account_with_a_restorable_address_cannot_be_verified() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let token = house.change_token(person.id, "next@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let undo = house.undo_token(person.id, &person.email).await;
    // The state that an earlier release may have left.
    let unverified = house.unverified_account(&person.email, STRANGERS).await;
    let reset = house.reset_token(&person.email).await;
    house
        .present(RESET, &reset)
        .await
        .problem(409, "email_taken");
    let verification = Verification::new(&house.stores, std::time::Duration::from_hours(1));
    let mail = verification
        .prepare_for_account(unverified)
        .await
        .expect("answers")
        .expect("a mail");
    house
        .verify(&mail.token.reveal(), STRANGERS)
        .await
        .problem(409, "email_taken");
    assert!(house.user(unverified).await.email_verified_at.is_none());

    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(house.user(person.id).await.email, person.email);
}

#[tokio::test]
async fn a_verified_address_gets_a_notice_and_no_link() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let id = house
        .register_as(&person.email.to_uppercase(), STRANGERS)
        .await;
    assert!(house.try_verification_token(id).await.is_none());
    assert_eq!(house.notices(person.id).await, ["registration_attempted"]);
    assert_eq!(house.count("users").await, 1);
    house
        .log_in(&person.email, STRANGERS)
        .await
        .problem(401, "invalid_credentials");
    house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_got_an_account_meanwhile_is_refused_clearly() {
    let house = House::open().await;
    let id = house.register_as("next@example.org", PASSWORD).await;
    let link = house.token_of(id).await;
    let person = house.person("ada").await;
    let token = house.change_token(person.id, "next@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .verify(&link, PASSWORD)
        .await
        .problem(409, "email_taken");
    assert_eq!(
        house.verify(&link, PASSWORD).await.faults(),
        ["/token invalid_token"]
    );
    assert_eq!(house.count("users").await, 1);
}

#[tokio::test]
async fn concurrent_verifications_of_one_address_create_one_account() {
    let house = House::open().await;
    let mut links = Vec::new();
    for _ in 0..2 {
        let id = house.register_as("twin@example.org", PASSWORD).await;
        links.push(house.token_of(id).await);
    }
    links.push(links[0].clone());
    let proofs = links.iter().map(|link| house.verify(link, PASSWORD));
    let answers = futures_util::future::join_all(proofs).await;
    let mut statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 422, 422]);
    assert_eq!(
        (
            house.count("users").await,
            house.count("registrations").await
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn guesses_at_a_link_are_slowed_down_and_end_its_registration() {
    let house = House::open().await;
    let email = house.register("ada").await;
    let link = house.verification_token(&email).await;
    let mut slowed = 0;
    for _ in 0..10 {
        loop {
            let guess = house.verify(&link, "a wrong guess").await;
            if guess.status == StatusCode::TOO_MANY_REQUESTS {
                slowed += 1;
                house.stores.clock.advance(time::Duration::minutes(1));
                continue;
            }
            assert_eq!(guess.faults(), ["/password wrong_password"]);
            break;
        }
    }
    assert!(slowed >= 3, "slowed down {slowed} times");
    house.stores.clock.advance(time::Duration::minutes(1));
    assert_eq!(
        house.verify(&link, PASSWORD).await.faults(),
        ["/token invalid_token"]
    );
    assert_eq!(house.count("registrations").await, 0);
}

#[tokio::test]
async fn the_mailbox_owner_can_discard_a_registration() {
    let house = House::open().await;
    let email = "victim@example.org";
    let strangers = house.register_as(email, STRANGERS).await;
    let owners = house.register_as(email, PASSWORD).await;
    let (strangers_link, owners_link) = (
        house.token_of(strangers).await,
        house.token_of(owners).await,
    );
    let discard = async |link: &str| house.post(DISCARD, &json!({ "token": link })).await;
    discard(&strangers_link)
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(
        discard(&strangers_link).await.faults(),
        ["/token invalid_token"]
    );
    assert_eq!(
        house.verify(&strangers_link, STRANGERS).await.faults(),
        ["/token invalid_token"]
    );
    assert!(
        house.try_verification_token(strangers).await.is_none(),
        "no other mail is sent"
    );
    house
        .verify(&owners_link, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_mail_can_be_requested_again_and_the_response_reveals_nothing() {
    let house = House::open().await;
    let id = house.register_as("ada@example.org", PASSWORD).await;
    for asked in [id.0, Uuid::new_v4()] {
        let answer = house
            .post(RESEND, &json!({ "registration_id": asked }))
            .await;
        assert!(answer.expect(StatusCode::ACCEPTED).is_null());
    }
    assert_eq!(
        house.count("jobs WHERE kind = 'email.verification'").await,
        3
    );
    assert!(
        house
            .try_verification_token(RegistrationId(Uuid::new_v4()))
            .await
            .is_none()
    );
    let verification = Verification::new(&house.stores, std::time::Duration::from_hours(1));
    let first = house.asked();
    assert!(
        verification
            .prepare(id, first)
            .await
            .expect("answers")
            .is_some()
    );
    assert!(
        house.try_verification_token(id).await.is_none(),
        "no second mail in five minutes"
    );
    // A retry of the job that created the first token is not a second mail.
    let again = Asked {
        again: true,
        ..first
    };
    assert!(
        verification
            .prepare(id, again)
            .await
            .expect("answers")
            .is_some()
    );
    house.stores.clock.advance(time::Duration::minutes(6));
    house.token_of(id).await;
}

#[tokio::test]
async fn a_mailbox_is_not_flooded_and_no_network_blocks_the_owners_mail() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8"),
    )
    .await;
    let email = "victim@example.org";
    let register = async |from: &str| {
        let body = json!({ "email": email, "password": STRANGERS });
        let request = house.request(Method::POST, "/v1/auth/register");
        let request = request.header("x-forwarded-for", from).json(&body);
        let answer = Answer::of(request).await.expect(StatusCode::ACCEPTED);
        let id: RegistrationId = text(&answer["registration_id"]).parse().expect("an id");
        house.try_verification_token(id).await
    };
    let mut sent = 0;
    for subnet in 0..8 {
        sent += usize::from(register(&format!("2001:db8:1:{subnet}::1")).await.is_some());
    }
    assert_eq!(sent, 3, "from one network");
    for network in 1..=3 {
        for _ in 0..3 {
            sent += usize::from(register(&format!("203.0.113.{network}")).await.is_some());
        }
    }
    assert_eq!(sent, 12, "from four networks");
    assert!(register("203.0.113.1").await.is_none());
    assert!(
        register("198.51.100.1").await.is_some(),
        "the owner still gets their mail"
    );
    assert!(register("198.51.100.1").await.is_none());
    for network in 4..=60 {
        sent += usize::from(register(&format!("203.0.113.{network}")).await.is_some());
    }
    assert_eq!(sent + 1, 48, "from all networks in an hour");
    house.stores.clock.advance(time::Duration::minutes(61));
    assert!(register("203.0.113.1").await.is_some());
}

#[tokio::test]
async fn both_forms_of_an_internationalized_domain_are_one_account() {
    let house = House::open().await;
    let (unicode, ascii) = ("Ada@Müller.example", "ada@xn--mller-kva.example");
    let id = house.register_as(unicode, PASSWORD).await;
    house
        .verify(&house.token_of(id).await, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    house.log_in(ascii, PASSWORD).await.expect(StatusCode::OK);
    let again = house.register_as(ascii, STRANGERS).await;
    assert!(
        house.try_verification_token(again).await.is_none(),
        "both are the same address"
    );
    assert_eq!(
        house
            .user(house.id_of("Ada@müller.example").await)
            .await
            .email,
        "Ada@müller.example"
    );
    for domain in ["हिन्दी.example", "نامه\u{200c}ای.example"] {
        house.register_as(&format!("u@{domain}"), PASSWORD).await;
    }
}

#[tokio::test]
async fn an_account_with_the_key_of_an_earlier_release_is_still_found() {
    let house = House::open().await;
    let email = "Ada@müller.example";
    let user = house.unverified_account(email, PASSWORD).await;
    sqlx::query("UPDATE users SET email_verified_at = now()")
        .execute(&house.stores.db)
        .await
        .expect("updates");
    sqlx::query("DELETE FROM totp_factors")
        .execute(&house.stores.db)
        .await
        .expect("removes");
    sqlx::query("DELETE FROM passkeys")
        .execute(&house.stores.db)
        .await
        .expect("removes");
    for form in [email, "ada@xn--mller-kva.example"] {
        house.log_in(form, PASSWORD).await.expect(StatusCode::OK);
        let id = house.register_as(form, STRANGERS).await;
        assert!(house.try_verification_token(id).await.is_none());
        house.stores.clock.advance(time::Duration::minutes(6));
    }
    let other = house.person("bob").await;
    assert!(
        house
            .try_change_token(other.id, "ada@xn--mller-kva.example")
            .await
            .is_none()
    );
    assert_eq!(house.id_of(email).await, user);
}

#[tokio::test]
async fn a_compatibility_spelling_cannot_take_an_address() {
    let house = House::open().await;
    for spelling in ["ⓑⓞⓢⓢ", "ﬁona", "ſara", "ａnna", "anna²"] {
        let body = json!({ "email": format!("{spelling}@example.org"), "password": STRANGERS });
        let refused = house.post("/v1/auth/register", &body).await;
        assert_eq!(refused.faults(), ["/email invalid_email"], "{spelling}");
    }
    let person = house.person("ada").await;
    let change = json!({ "email": "ⓑⓞⓢⓢ@example.org" });
    assert_eq!(
        person.post(&house, "/v1/me/email", &change).await.faults(),
        ["/email invalid_email"]
    );
    assert_eq!(house.count("registrations").await, 0);

    // An account that an earlier release created this way gives way to the owner of the plain
    // address, or can log in if it was verified.
    let early = house
        .unverified_account("ⓑⓞⓢⓢ@example.org", STRANGERS)
        .await;
    sqlx::query("UPDATE users SET email_key = 'boss@example.org' WHERE id = $1")
        .bind(early.0)
        .execute(&house.stores.db)
        .await
        .expect("updates");
    house
        .log_in("ⓑⓞⓢⓢ@example.org", STRANGERS)
        .await
        .problem(403, "email_not_verified");
    let id = house.register_as("boss@example.org", PASSWORD).await;
    house
        .verify(&house.token_of(id).await, PASSWORD)
        .await
        .expect(StatusCode::NO_CONTENT);
    house
        .log_in("boss@example.org", PASSWORD)
        .await
        .expect(StatusCode::OK);
    assert_eq!(house.user(early).await.email, "boss@example.org");
}

#[tokio::test]
async fn every_visible_name_has_visible_characters() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let admin = house.administrator().await;
    let piled = format!("a{}", "\u{301}".repeat(99));
    for (name, code) in [
        ("\u{3164}", "invisible_character"),
        ("\u{2800}", "invisible_character"),
        ("Ada\u{AD}", "invisible_character"),
        ("\u{E0041}", "invisible_character"),
        (piled.as_str(), "too_many_marks"),
    ] {
        let registration =
            json!({ "email": "x@example.org", "password": PASSWORD, "display_name": name });
        let role = json!({ "name": "auditor", "permissions": ["audit:read"], "description": name });
        let key = json!({ "name": name, "scopes": ["files:read"], "expires_in_days": 1 });
        for (answer, field) in [
            (
                house.post("/v1/auth/register", &registration).await,
                "display_name",
            ),
            (
                person
                    .send(
                        &house,
                        Method::PATCH,
                        "/v1/me",
                        &json!({ "display_name": name }),
                    )
                    .await,
                "display_name",
            ),
            (person.post(&house, "/v1/me/api-keys", &key).await, "name"),
            (
                person
                    .post(&house, "/v1/me/mfa/totp", &json!({ "name": name }))
                    .await,
                "name",
            ),
            (admin.post(&house, "/v1/roles", &role).await, "description"),
        ] {
            assert_eq!(answer.faults(), [format!("/{field} {code}")], "{name:?}");
        }
    }
}
