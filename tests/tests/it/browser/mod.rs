//! Pages in a real browser: upload clients, and passkeys with the virtual authenticator, from the
//! enrolment to a login without typing.

mod chromium;
mod site;
mod uploads;

use plinth_testkit::{Process, Services, Stage};

use self::chromium::Chromium;
use self::site::Site;
use crate::house::{Door, PASSWORD};

#[tokio::test]
async fn chromium_enrols_a_passkey_and_logs_in_with_it_alone() {
    let Some(program) = Services::get().chromium.as_deref() else {
        // `cargo dev test` installs Chromium if CI is set, and fails if it cannot.
        eprintln!("SKIPPED: chromium is not installed");
        return;
    };
    let (site, stranger) = (Site::open().await, Site::open().await);
    let stage = Stage::open()
        .await
        .with("PLINTH_AUTH_PASSKEY_DOMAIN", "localhost")
        .with("PLINTH_AUTH_PASSKEY_ORIGINS", &site.origin)
        .with(
            "PLINTH_API_CORS_ORIGINS",
            &format!("{},{}", site.origin, stranger.origin),
        );
    let api = Process::api(&stage).await;
    let person = Door::of(&api).administrator(&stage).await;

    let mut browser = Chromium::start(program).await;
    browser.add_authenticator().await;
    browser.open(&site.page(&api.url)).await;
    let enrolled = browser
        .evaluate(&format!("enrol({:?}, {PASSWORD:?})", person.email))
        .await;
    assert_eq!(
        enrolled.expect("the passkey is created and accepted"),
        "Chromium"
    );
    let entered = browser.evaluate("enter()").await;
    assert_eq!(entered.expect("the passkey logs in"), person.email.as_str());

    // The same browser with the same passkey, on a page that may call the API and may not use
    // passkeys.
    browser.open(&stranger.page(&api.url)).await;
    let refused = browser
        .evaluate("enter()")
        .await
        .expect_err("the answer is of another origin");
    assert!(
        refused.contains("401") && refused.contains("invalid_passkey"),
        "{refused}"
    );
}
