//! Passkeys with an authenticator and a client by other authors, so that both sides follow WebAuthn
//! and not only our own reading of it.

use std::pin::Pin;

use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::aws_lc_rs::AwsLcRsBackend;
use passkey_types::Passkey;
use passkey_types::ctap2::{Aaguid, Ctap2Error};
use plinth_testkit::Stage;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use crate::house::{House, PASSWORD, Person};

const ORIGIN: &str = "http://localhost:8080";
const DOMAIN: &str = "localhost";

/// A user at the authenticator who agrees and is verified.
struct Holder;

impl UserValidationMethod for Holder {
    type PasskeyItem = Passkey;

    fn check_user<'a, 'method, 'future>(
        &'method self,
        _hint: UiHint<'a, Passkey>,
        _presence: bool,
        verification: bool,
    ) -> Pin<Box<dyn Future<Output = Result<UserCheck, Ctap2Error>> + Send + 'future>>
    where
        'a: 'future,
        'method: 'future,
        Self: 'future,
    {
        // Verifies the user only if required, so that the options have to require it.
        Box::pin(async move {
            Ok(UserCheck {
                presence: true,
                verification,
            })
        })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

/// A browser with an authenticator for one passkey, which is active during ceremonies only.
struct Browser {
    /// Whether the authenticator counts its signatures; synchronized passkeys do not.
    counts: bool,
    passkey: Option<Passkey>,
}

impl Browser {
    fn new(counts: bool) -> Self {
        Self {
            counts,
            passkey: None,
        }
    }

    fn authenticator(&self) -> Authenticator<Option<Passkey>, Holder, AwsLcRsBackend> {
        let mut authenticator = Authenticator::new(
            Aaguid::new_empty(),
            self.passkey.clone(),
            Holder,
            AwsLcRsBackend,
        );
        authenticator.set_make_credentials_with_signature_counter(self.counts);
        authenticator
    }

    async fn create(&mut self, options: &Value) -> Value {
        let options =
            serde_json::from_value(json!({ "publicKey": options })).expect("creation options");
        let mut client = Client::new(self.authenticator()).allows_insecure_localhost(true);
        let created = client
            .register(&origin(), options, DefaultClientData)
            .await
            .expect("makes a passkey");
        self.passkey.clone_from(client.authenticator().store());
        serde_json::to_value(&created).expect("an answer")
    }

    async fn get(&mut self, options: &Value) -> Value {
        let options =
            serde_json::from_value(json!({ "publicKey": options })).expect("request options");
        let mut client = Client::new(self.authenticator()).allows_insecure_localhost(true);
        let proof = client
            .authenticate(&origin(), options, DefaultClientData)
            .await
            .expect("proves");
        self.passkey.clone_from(client.authenticator().store());
        serde_json::to_value(&proof).expect("an answer")
    }
}

fn origin() -> Url {
    Url::parse(ORIGIN).expect("an address")
}

async fn open() -> House {
    let stage = Stage::open().await;
    let stage = stage.with("PLINTH_AUTH_PASSKEY_DOMAIN", DOMAIN);
    House::on(stage.with("PLINTH_AUTH_PASSKEY_ORIGINS", ORIGIN)).await
}

async fn enrol(house: &House, person: &Person, browser: &mut Browser) {
    let asked = person
        .post(house, "/v1/me/passkeys/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential = browser.create(&asked["public_key"]).await;
    let body =
        json!({ "challenge": asked["challenge"], "name": "browser", "credential": credential });
    person
        .post(house, "/v1/me/passkeys/finish", &body)
        .await
        .expect(StatusCode::CREATED);
}

/// Logs in with the passkey alone, without a user name.
async fn log_in(house: &House, browser: &mut Browser) -> Value {
    let asked = house
        .post("/v1/auth/passkeys/login/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential = browser.get(&asked["public_key"]).await;
    let body = json!({ "challenge": asked["challenge"], "credential": credential });
    house
        .post("/v1/auth/passkeys/login/finish", &body)
        .await
        .expect(StatusCode::OK)
}

/// Returns the authentication methods of the session of these tokens.
async fn methods(house: &House, person: &Person, tokens: &Value) -> Value {
    let person = person.with(tokens);
    let sessions = person
        .get(house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    let current = sessions["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|item| item["current"] == true);
    current.expect("the session of the tokens")["amr"].clone()
}

#[tokio::test]
async fn a_virtual_authenticator_enrols_and_logs_in() {
    let house = open().await;
    let (person, other) = (house.person("ada").await, house.person("bob").await);
    let (mut counting, mut synchronised) = (Browser::new(true), Browser::new(false));
    enrol(&house, &person, &mut counting).await;
    enrol(&house, &other, &mut synchronised).await;
    for (person, browser) in [(&person, &mut counting), (&other, &mut synchronised)] {
        for _ in 0..2 {
            let tokens = log_in(&house, browser).await;
            assert_eq!(
                methods(&house, person, &tokens).await,
                json!(["pop", "mfa"])
            );
        }
    }
}

#[tokio::test]
async fn a_virtual_authenticator_is_the_second_factor_of_a_password() {
    let house = open().await;
    let person = house.person("ada").await;
    let mut browser = Browser::new(true);
    enrol(&house, &person, &mut browser).await;
    let asked = house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
    let credential = browser.get(&asked["passkey_options"]).await;
    let body = json!({ "challenge": asked["challenge"], "credential": credential });
    let tokens = house
        .post("/v1/auth/login/mfa", &body)
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        methods(&house, &person, &tokens).await,
        json!(["pwd", "pop", "mfa"])
    );
}
