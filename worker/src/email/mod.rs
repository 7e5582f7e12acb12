//! Queue `email`: one file a mail.

pub mod verification;

use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior, Value};
use plinth_core::auth::Verification;
use plinth_domain::id::JobId;
use plinth_platform::mailer::{Mail, MailError, Mailer};

use crate::outcome::Failure;

/// What the mails of this queue need.
pub struct Post {
    pub verification: Verification,
    pub mailer: Mailer,
    /// The base of the links.
    pub public_url: String,
}

/// Every template; an HTML one escapes what is put into it, and none takes a name that it was not given.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in [
        ("verification.txt", include_str!("templates/verification.txt")),
        ("verification.html", include_str!("templates/verification.html")),
    ] {
        templates.add_template(name, text).expect("a test renders every template");
    }
    templates
});

/// Writes the two parts of a mail. Every attempt of a job has the same Message-ID, so that a reader can tell a repetition.
fn compose(
    template: &str,
    job: JobId,
    to: &str,
    subject: &str,
    values: &Value,
) -> Result<Mail, minijinja::Error> {
    let part = |ending: &str| TEMPLATES.get_template(&format!("{template}.{ending}"))?.render(values);
    Ok(Mail {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: part("txt")?,
        html: part("html")?,
        id: job.to_string(),
    })
}

/// A refusal for good (5yz) goes to the dead letters; anything else is tried again.
fn not_sent(error: MailError) -> Failure {
    if error.is_permanent() { Failure::permanent(error) } else { error.into() }
}
