//! An API in this process on a free port, and people who use it.

use std::sync::Arc;

use plinth_api::app;
use plinth_core::auth::{Asked, Verification};
use plinth_core::users::Users;
use plinth_core::{Stores, users};
use plinth_domain::email::Email;
use plinth_domain::id::{RegistrationId, UserId};
use plinth_domain::password::Password;
use plinth_platform::crypto::PasswordHasher;
use plinth_platform::server::{self, Plain};
use plinth_platform::settings::Settings;
pub(crate) use plinth_testkit::{Answer, text};
use plinth_testkit::{Stage, Store};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running API; a twin beside it shares its stage. Dropped, it ends.
pub(crate) struct House {
    pub(crate) stage: Arc<Stage>,
    pub(crate) stores: Stores,
    pub(crate) url: String,
    pub(crate) client: Client,
    server: tokio::task::JoinHandle<()>,
}

/// Somebody who is logged in.
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) session_id: Uuid,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::on(Stage::open().await).await
    }

    /// One whose objects are in this store.
    pub(crate) async fn at(store: Store) -> Self {
        Self::on(Stage::at(store).await).await
    }

    pub(crate) async fn on(stage: Stage) -> Self {
        let (settings, stores) = (stage.settings(), stage.stores());
        Self::with(Arc::new(stage), settings, stores).await
    }

    /// Another replica on the same stores, with connections and copies of its own, by the same clock.
    pub(crate) async fn twin(&self) -> Self {
        self.twin_with(&[]).await
    }

    /// The same with other settings.
    pub(crate) async fn twin_with(&self, changes: &[(&str, &str)]) -> Self {
        let stores = Stores {
            clock: self.stores.clock.clone(),
            ..self.stage.stores()
        };
        Self::with(
            self.stage.clone(),
            self.stage.settings_with(changes),
            stores,
        )
        .await
    }

    /// The same where the stores themselves are set otherwise.
    pub(crate) async fn twin_with_stores(&self, changes: &[(&str, &str)]) -> Self {
        let settings = self.stage.settings_with(changes);
        let stores = Stores::new(&settings, "test").expect("the settings name stores");
        Self::with(self.stage.clone(), settings, stores).await
    }

    async fn with(stage: Arc<Stage>, settings: Settings, stores: Stores) -> Self {
        Self::serving(stage, settings, stores, &CancellationToken::new()).await
    }

    /// An API of which `draining` says that it is about to stop.
    pub(crate) async fn draining_by(stage: Stage, draining: CancellationToken) -> Self {
        let (settings, stores) = (stage.settings(), stage.stores());
        Self::serving(Arc::new(stage), settings, stores, &draining).await
    }

    async fn serving(
        stage: Arc<Stage>,
        settings: Settings,
        stores: Stores,
        draining: &CancellationToken,
    ) -> Self {
        let (url, server) = serve(&settings, &stores, draining).await;
        let client = Client::builder().no_proxy().build().expect("a client");
        Self {
            stage,
            stores,
            url,
            client,
            server,
        }
    }

    /// Ends the API and starts another one on the same stores.
    pub(crate) async fn restart(&mut self) {
        self.server.abort();
        self.stores = self.stage.stores();
        (self.url, self.server) = serve(
            &self.stage.settings(),
            &self.stores,
            &CancellationToken::new(),
        )
        .await;
    }

    /// Ends when the API does, which is draining.
    pub(crate) async fn stopped(self) {
        let stopped = tokio::time::timeout(plinth_testkit::PATIENCE, self.server).await;
        stopped.expect("it stops").expect("it does not panic");
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// Registers an address nobody else has.
    pub(crate) async fn register(&self, name: &str) -> String {
        let email = format!("{name}-{}@example.org", Uuid::new_v4().simple());
        let body = json!({ "email": email, "password": PASSWORD, "display_name": name });
        self.post("/v1/auth/register", &body)
            .await
            .expect(StatusCode::ACCEPTED);
        email
    }

    /// Registers this address with this password; the registration's id.
    pub(crate) async fn register_as(&self, email: &str, password: &str) -> RegistrationId {
        let body = json!({ "email": email, "password": password });
        let answer = self
            .post("/v1/auth/register", &body)
            .await
            .expect(StatusCode::ACCEPTED);
        text(&answer["registration_id"]).parse().expect("an id")
    }

    /// The newest registration of this address.
    pub(crate) async fn registration_of(&self, email: &str) -> RegistrationId {
        let newest = "SELECT id FROM registrations WHERE email = $1 ORDER BY id DESC LIMIT 1";
        let id: Uuid = sqlx::query_scalar(newest)
            .bind(email)
            .fetch_one(&self.stores.db)
            .await
            .expect("the registration exists");
        RegistrationId(id)
    }

    /// A token of the newest registration of this address, as the worker would mail it.
    pub(crate) async fn verification_token(&self, email: &str) -> String {
        let id = self.registration_of(email).await;
        self.try_verification_token(id)
            .await
            .expect("there is something to verify")
    }

    /// A token of this registration, unless its mail is not sent.
    pub(crate) async fn try_verification_token(&self, id: RegistrationId) -> Option<String> {
        let verification = Verification::new(&self.stores, std::time::Duration::from_hours(1));
        let asked = Asked {
            at: self.stores.clock.now(),
            again: false,
        };
        verification
            .prepare(id, asked)
            .await
            .expect("answers")
            .map(|mail| mail.token.reveal())
    }

    /// Presents a mailed token with the password of a registration.
    pub(crate) async fn verify(&self, token: &str, password: &str) -> Answer {
        self.post(
            "/v1/auth/verify-email",
            &json!({ "token": token, "password": password }),
        )
        .await
    }

    /// Registers an address and proves it.
    pub(crate) async fn verified(&self, name: &str) -> String {
        let email = self.register(name).await;
        let token = self.verification_token(&email).await;
        self.verify(&token, PASSWORD)
            .await
            .expect(StatusCode::NO_CONTENT);
        email
    }

    pub(crate) async fn id_of(&self, email: &str) -> UserId {
        let id: Uuid = sqlx::query_scalar("SELECT id FROM users WHERE email = $1")
            .bind(email)
            .fetch_one(&self.stores.db)
            .await
            .expect("the account exists");
        UserId(id)
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post(
            "/v1/auth/login",
            &json!({ "email": email, "password": password }),
        )
        .await
    }

    /// Registered, verified and logged in.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let email = self.verified(name).await;
        self.person_of(email).await
    }

    /// An administrator who is logged in.
    pub(crate) async fn administrator(&self) -> Person {
        let email = format!("admin-{}@example.org", Uuid::new_v4().simple());
        let hasher = PasswordHasher::start(&self.stage.settings().auth).expect("starts");
        let address = Email::parse(&email).expect("an address");
        let password = Password::parse(PASSWORD).expect("a password");
        Users::new(&self.stores)
            .ensure_administrator(&hasher, address, password)
            .await
            .expect("creates");
        self.person_of(email).await
    }

    /// The same person on another device.
    pub(crate) async fn elsewhere(&self, person: &Person) -> Person {
        self.person_of(person.email.clone()).await
    }

    /// What the owner was told of, the oldest first.
    pub(crate) async fn notices(&self, id: UserId) -> Vec<String> {
        let notices = "SELECT payload ->> 'notice' FROM jobs
                       WHERE kind = 'email.security_notice' AND payload ->> 'user_id' = $1 ORDER BY id";
        sqlx::query_scalar(notices)
            .bind(id.to_string())
            .fetch_all(&self.stores.db)
            .await
            .expect("reads")
    }

    async fn person_of(&self, email: String) -> Person {
        let tokens = self.log_in(&email, PASSWORD).await.expect(StatusCode::OK);
        Person {
            id: self.id_of(&email).await,
            email,
            access_token: text(&tokens["access_token"]),
            refresh_token: text(&tokens["refresh_token"]),
            session_id: text(&tokens["session_id"]).parse().expect("a uuid"),
        }
    }

    /// Gives somebody these roles and no others, which exist already.
    pub(crate) async fn assign(&self, admin: &Person, person: &Person, roles: &[&str]) {
        let path = format!("/v1/users/{}/roles", person.id);
        let assigned = admin
            .send(self, Method::PUT, &path, &json!({ "roles": roles }))
            .await;
        assert_eq!(
            assigned.expect(StatusCode::OK)["roles"]
                .as_array()
                .map(Vec::len),
            Some(roles.len())
        );
    }

    /// Somebody who is a member and has a role of his own with these permissions.
    pub(crate) async fn official(
        &self,
        admin: &Person,
        role: &str,
        permissions: &[&str],
    ) -> Person {
        let body = json!({ "name": role, "permissions": permissions });
        admin
            .post(self, "/v1/roles", &body)
            .await
            .expect(StatusCode::CREATED);
        let person = self.person(role).await;
        self.assign(admin, &person, &["member", role]).await;
        person
    }

    /// The person as the truth has it.
    pub(crate) async fn user(&self, id: UserId) -> plinth_domain::user::User {
        users::find(&self.stores, id)
            .await
            .expect("answers")
            .expect("exists")
    }

    /// The names of the actions in the audit log, the oldest first; without the first signing key's, which may be
    /// made at any moment of the start.
    pub(crate) async fn actions(&self) -> Vec<String> {
        let actions = "SELECT action || ':' || outcome FROM audit_events
                       WHERE action <> 'signing_key.created' ORDER BY id";
        sqlx::query_scalar(actions)
            .fetch_all(&self.stores.db)
            .await
            .expect("reads")
    }

    /// As if every hot copy had expired.
    pub(crate) async fn forget_copies(&self) {
        let mut connection = self.redis().await;
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{}:*", self.stores.redis.prefix()))
            .query_async(&mut connection)
            .await
            .expect("lists");
        for key in keys {
            let _: () = redis::cmd("UNLINK")
                .arg(key)
                .query_async(&mut connection)
                .await
                .expect("unlinks");
        }
    }

    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        self.stores
            .redis
            .client()
            .get_multiplexed_async_connection()
            .await
            .expect("Redis answers")
    }

    pub(crate) async fn count(&self, table: &'static str) -> i64 {
        let query = format!("SELECT count(*) FROM {table}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_one(&self.stores.db)
            .await
            .expect("counts")
    }
}

async fn serve(
    settings: &Settings,
    stores: &Stores,
    draining: &CancellationToken,
) -> (String, tokio::task::JoinHandle<()>) {
    let endpoint = app::endpoint(settings, stores, draining).expect("the settings are enough");
    let listener = server::listen(([127, 0, 0, 1], 0).into())
        .await
        .expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a TCP port"));
    let (limits, draining) = (app::server_limits(settings), draining.clone());
    let server = tokio::spawn(async move {
        server::serve(listener, Plain, endpoint, limits, draining.cancelled()).await;
    });
    (url, server)
}

impl Person {
    /// The same person with these tokens.
    pub(crate) fn with(&self, tokens: &Value) -> Self {
        Self {
            id: self.id,
            email: self.email.clone(),
            access_token: text(&tokens["access_token"]),
            refresh_token: text(&tokens["refresh_token"]),
            session_id: text(&tokens["session_id"]).parse().expect("a uuid"),
        }
    }

    pub(crate) async fn get(&self, house: &House, path: &str) -> Answer {
        Answer::of(self.request(house, Method::GET, path)).await
    }

    pub(crate) async fn post(&self, house: &House, path: &str, body: &Value) -> Answer {
        self.send(house, Method::POST, path, body).await
    }

    pub(crate) async fn send(
        &self,
        house: &House,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        Answer::of(self.request(house, method, path).json(body)).await
    }

    pub(crate) async fn delete(&self, house: &House, path: &str) -> Answer {
        Answer::of(self.request(house, Method::DELETE, path)).await
    }

    pub(crate) fn request(&self, house: &House, method: Method, path: &str) -> RequestBuilder {
        house.request(method, path).bearer_auth(&self.access_token)
    }

    /// Uploads and gives the file as the API describes it.
    pub(crate) async fn upload(&self, house: &House, name: &str, bytes: Vec<u8>) -> Value {
        self.try_upload(house, name, bytes)
            .await
            .expect(StatusCode::CREATED)
    }

    pub(crate) async fn try_upload(&self, house: &House, name: &str, bytes: Vec<u8>) -> Answer {
        let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        Answer::of(
            self.request(house, Method::POST, "/v1/files")
                .multipart(form),
        )
        .await
    }
}
