//! An authenticator app, a login and a step-up with its codes, and a login with a passkey alone.

use anyhow::{Result, ensure};
use reqwest::StatusCode;

use crate::door::{Account, Door, Tokens};
use crate::smoke::report::{Failed, Report};

pub(super) async fn steps(
    client: &Door,
    origin: &str,
    account: &Account,
    tokens: &Tokens,
    report: &mut Report,
) -> Result<(), Failed> {
    let add = client.add_app(&tokens.access_token);
    let app = report.step("add an authenticator app", add).await?;
    let log_in = async {
        let challenge = client.challenge(account).await?;
        client.prove(&challenge, &app.code()?).await
    };
    let tokens = report.step("log in with its code", log_in).await?;
    let step_up = async {
        let challenge = client.step_up(&account.password, &tokens.access_token);
        client.prove(&challenge.await?, &app.next_code()?).await
    };
    let fresh = report.step("step up", step_up).await?;
    let refused = client.is_refused("/v1/me", &tokens.access_token, StatusCode::UNAUTHORIZED);
    let name = "be refused with the token before it";
    report.step(name, refused).await?;
    let key = async {
        let key = client.create_api_key(&fresh.access_token).await?;
        client.get("/v1/me", &key).await
    };
    report.step("create an API key and use it", key).await?;
    let add = client.add_passkey(origin, &fresh.access_token);
    let passkey = report.step("add a passkey", add).await?;
    let log_in = async {
        let tokens = client.log_in_by_passkey(&passkey).await?;
        let me = client.get("/v1/me", &tokens.access_token).await?;
        let email = &me["email"];
        ensure!(email == account.email.as_str(), "it logs in {email}");
        Ok(())
    };
    report.step("log in with the passkey alone", log_in).await
}
