//! Imported accounts: their passwords work as their owners type them.

use plinth_api::commands::import;
use plinth_core::second_factors::{SecondFactors, TotpSecret};
use plinth_core::users::{ImportedAccount, Users};
use plinth_domain::email::Email;
use plinth_domain::role::RoleName;
use plinth_platform::crypto::{RootKey, StoredHash};
use reqwest::StatusCode;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

use crate::house::House;
use crate::mailed::{CONFIRM, RESET, UNDO};
use crate::second_factors::{App, prove};

const ASCII: &str = "correct horse battery staple";
const UNICODE: &str = "Grüße, Jürgen 🐎";

impl House {
    pub(crate) async fn import(&self, account: ImportedAccount) -> plinth_core::Result<bool> {
        let settings = self.stage.settings();
        let root = RootKey::parse(&settings.general.secret_key).expect("a root key");
        let factors = SecondFactors::new(&self.stores, &settings, &root);
        Users::new(&self.stores).import(&factors, account).await
    }

    async fn password_hash(&self, email: &str) -> Option<String> {
        let hash = "SELECT password_hash FROM users WHERE email = $1";
        sqlx::query_scalar(hash)
            .bind(email)
            .fetch_one(&self.stores.db)
            .await
            .expect("one account")
    }
}

/// Returns a verified account with nothing but a password.
pub(crate) fn account(email: &str, password_hash: Option<&str>) -> ImportedAccount {
    ImportedAccount {
        email: Email::parse(email).expect("an address"),
        password_hash: password_hash.map(|text| StoredHash::import(text).expect("a known form")),
        display_name: None,
        email_verified: true,
        created_at: None,
        roles: Vec::new(),
        totp_secret: None,
    }
}

/// Imports an account, logs in twice, and checks that the hash was renewed once.
async fn logs_in(house: &House, number: usize, hash: &str, password: &str) {
    let email = format!("imported-{number}@example.org");
    assert!(
        house
            .import(account(&email, Some(hash)))
            .await
            .expect("imports")
    );
    house
        .log_in(&email, "a wrong guess")
        .await
        .problem(401, "invalid_credentials");
    house.log_in(&email, password).await.expect(StatusCode::OK);
    let renewed = house
        .password_hash(&email)
        .await
        .expect("the account has a password");
    assert!(
        renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && renewed != hash,
        "{hash}: {renewed}"
    );
    house.log_in(&email, password).await.expect(StatusCode::OK);
    assert_eq!(
        house.password_hash(&email).await.as_deref(),
        Some(renewed.as_str()),
        "renewed once"
    );
}

// Made by Python's bcrypt and argon2-cffi from the password as typed; the last one has the costs of
// this product.
#[tokio::test]
async fn an_imported_password_works_as_it_is_typed() {
    let house = House::open().await;
    let cases = [
        (
            "Passwort² 77 xyz",
            "$2b$04$zfwZf5MicB9iwBPnl54DieMGqRIT2ysk/pHbDC8.TkE7RTS0rANM.",
        ),
        (
            "Gru\u{308}ße aus Kiel",
            "$2b$04$zfwZf5MicB9iwBPnl54Die8FmPmzQ7.P2vzruF3Pwq/HmHnVM8gEi",
        ),
        (
            "eﬃcient…№5 horses",
            "$2b$04$zfwZf5MicB9iwBPnl54DiemRTQVrOG/F4MKQzhFGe/o6ZSJBjgn52",
        ),
        (
            "ｆｕｌｌｗｉｄｔｈ pass",
            "$2b$04$zfwZf5MicB9iwBPnl54DieWlLsZbip/ToGaG9kSzoDsjrZKeB0FRi",
        ),
        (
            "no\u{a0}break\u{a0}space",
            "$2b$04$zfwZf5MicB9iwBPnl54DiejCOHLWkq6Kv5A5d.pSGYrY1l9zWU5cy",
        ),
        (
            "Passwort² 77 xyz",
            "$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$4/m5uyZXeHQPbRaRUNPibusqf+CjNFoAhCbfTqN6yGU",
        ),
    ];
    for (number, (password, hash)) in cases.into_iter().enumerate() {
        logs_in(&house, number, hash, password).await;
    }
    // From now on, every spelling with the same normal form works, as for passwords that are chosen
    // here.
    house
        .log_in("imported-0@example.org", "Passwort2 77 xyz")
        .await
        .expect(StatusCode::OK);
}

// Made by Django 5.2.19, passlib 1.7.4 and Python's hashlib.
#[tokio::test]
async fn hashes_of_every_supported_system_work() {
    let house = House::open().await;
    let cases = [
        (
            "pbkdf2_sha256$1500$saltsalt12$tPKW0Rd/Qxt1MPw0bDcabnklTOH6uVNEOdUpHRoGJ20=",
            UNICODE,
        ),
        (
            "bcrypt_sha256$$2b$04$zfwZf5MicB9iwBPnl54DieWzOGky8vaYxzzZWLaGyZGAZOW7dnsiG",
            UNICODE,
        ),
        (
            "scrypt$16$saltsalt12$8$1$Zv8VlgU3zDAzw7N2rn0w/hA6CTcI0Ys8M9VN/8j9qCnBfjxyQ1pi8lOiS90gBXz2ZfiYti2uE9EWoqU2TRhUgw==",
            ASCII,
        ),
        (
            "argon2$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQxMg$KFOtYWcOpk+4vbJgy0ACvoJIKKIr6h2HtV51tyw853Y",
            UNICODE,
        ),
        ("$H$5saltsaltdW0sXoE0xe8vJxvGKty/x.", UNICODE),
        (
            "$6$rounds=1000$saltstring$mRSmFjanKjjSBrLZtOth5mMs/Go3dA2.TwHW2pGvSDe7AuGAYNLfrvhJfMRkEvRNjgdFDGzYZ.iDNVIWImMsy1",
            UNICODE,
        ),
    ];
    for (number, (hash, password)) in cases.into_iter().enumerate() {
        logs_in(&house, number, hash, password).await;
    }
}

#[tokio::test]
async fn an_account_without_a_password_is_opened_by_mail() {
    let house = House::open().await;
    let email = "nopass@example.org";
    let imported = ImportedAccount {
        email_verified: false,
        ..account(email, None)
    };
    assert!(house.import(imported).await.expect("imports"));
    house
        .log_in(email, ASCII)
        .await
        .problem(401, "invalid_credentials");
    let token = house.reset_token(email).await;
    let reset = json!({ "token": token, "password": ASCII });
    house.post(RESET, &reset).await.expect(StatusCode::OK);
    house.log_in(email, ASCII).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_command_creates_accounts_with_their_date_roles_and_authenticator_app() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let role = json!({ "name": "auditor", "permissions": ["audit:read"] });
    admin
        .post(&house, "/v1/roles", &role)
        .await
        .expect(StatusCode::CREATED);
    let future = house.stores.clock.now() + time::Duration::days(1);
    let lines = [
        json!({
            "email": "full@example.org", "email_verified": true, "password_hash": crate::passwords::BCRYPT,
            "created_at": "2019-05-04T12:00:00Z", "roles": ["auditor"], "totp_secret": "GEZD GNBV GY3T QOJQ",
        }),
        // Made by Python's hashlib, like the next one.
        json!({
            "email": "keycloak@example.org", "email_verified": true,
            "keycloak_credential": {
                "secretData": {
                    "value": "v9nhM6GlsgCjm5oYGsxN+yrf7fRr+0KhhzJUyxTWjvwyU0GtpQG3/E+2ccB+iCqtHoUWzg+L/0hyux653I7JHw==",
                    "salt": "c2l4dGVlbiBieXRlIHNsdA==",
                },
                "credentialData": { "hashIterations": 1500, "algorithm": "pbkdf2-sha256" },
            },
        }),
        json!({
            "email": "better-auth@example.org", "email_verified": true,
            "password_hash": "8bd1b3a2ddf3f5a7b2ab9ad3c1f5e6a7:7da27bd7bee0142fba818fca6bd31aa1a5a4b6f7cdf04a70fcd2d625726ef4a8922ab5e8a972dcbc949504294cf5fc909d4f4208e0000793f35734d3d2f909ba",
        }),
        json!({ "email": "none@example.org", "roles": ["no-such-role"] }),
        json!({ "email": "future@example.org", "created_at": future.format(&Rfc3339).expect("a time") }),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let output = import::accounts(house.stage.settings(), None, lines.as_bytes()).await;
    let output = output.expect_err("two lines are refused").to_string();
    assert_eq!(
        output,
        "created 3 accounts, skipped 0 existing, refused 2 lines"
    );
    assert_eq!(
        house.count("users").await,
        4,
        "a refused line leaves nothing"
    );

    let user = house.user(house.id_of("full@example.org").await).await;
    assert_eq!(
        (user.created_at, user.has_second_factor),
        (datetime!(2019-05-04 12:00 UTC), true)
    );
    assert_eq!(user.roles, ["auditor", "member"]);
    let asked = house
        .log_in("full@example.org", crate::house::PASSWORD)
        .await
        .expect(StatusCode::OK);
    assert_eq!(asked["methods"], json!(["totp"]), "{asked}");
    let app = App::with("GEZDGNBVGY3TQOJQ");
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
    for email in ["keycloak@example.org", "better-auth@example.org"] {
        let login = house.log_in(email, ASCII).await.expect(StatusCode::OK);
        assert!(login["access_token"].is_string(), "{email}: {login}");
    }
}

#[tokio::test]
async fn verifying_the_address_keeps_the_imported_factor_and_roles() {
    let house = House::open().await;
    let admin = house.administrator().await;
    let role = json!({ "name": "auditor", "permissions": ["audit:read"] });
    admin
        .post(&house, "/v1/roles", &role)
        .await
        .expect(StatusCode::CREATED);
    let email = "unproved@example.org";
    let imported = ImportedAccount {
        email_verified: false,
        roles: vec![RoleName::parse("auditor").expect("a name")],
        totp_secret: Some(TotpSecret::parse("GEZD GNBV GY3T QOJQ").expect("base32")),
        ..account(email, Some(crate::passwords::BCRYPT))
    };
    assert!(house.import(imported).await.expect("imports"));
    let id = house.id_of(email).await;
    let registration = house.register_as(email, ASCII).await;
    let link = house
        .try_verification_token(registration)
        .await
        .expect("its mail is due");
    house
        .verify(&link, ASCII)
        .await
        .expect(StatusCode::NO_CONTENT);

    let user = house.user(id).await;
    assert_eq!(
        (user.roles, user.has_second_factor),
        (vec!["auditor".to_owned(), "member".to_owned()], true)
    );
    house
        .log_in(email, crate::house::PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    let asked = house.log_in(email, ASCII).await.expect(StatusCode::OK);
    assert_eq!(asked["methods"], json!(["totp"]), "{asked}");
    let app = App::with("GEZDGNBVGY3TQOJQ");
    prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_another_account_can_restore_is_not_imported() {
    let house = House::open().await;
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let token = house.change_token(ada.id, "next@example.org").await;
    house
        .present(CONFIRM, &token)
        .await
        .expect(StatusCode::NO_CONTENT);
    let undo = house.undo_token(ada.id, &ada.email).await;
    bob.delete(&house, "/v1/me")
        .await
        .expect(StatusCode::NO_CONTENT);
    for reserved in [&ada.email, &bob.email] {
        assert!(
            !house
                .import(account(reserved, None))
                .await
                .expect("answers"),
            "{reserved}"
        );
    }
    house.present(UNDO, &undo).await.expect(StatusCode::OK);
    assert_eq!(house.user(ada.id).await.email, ada.email);
    assert!(
        house
            .import(account("next@example.org", None))
            .await
            .expect("answers"),
        "the address is free again"
    );
}
