//! Renders the text of an e-mail as its two parts.

use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior, context};
use plinth_domain::id::JobId;
use plinth_platform::mailer::Mail;

use super::texts::{self, MailText};

/// The templates. The HTML one escapes its values, and neither accepts an undefined value.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in [
        ("mail.txt", include_str!("templates/mail.txt")),
        ("mail.html", include_str!("templates/mail.html")),
    ] {
        templates
            .add_template(name, source)
            .expect("the tests render every template");
    }
    templates
});

/// Renders an e-mail. Every attempt of a job has the same Message-ID, so that mail readers
/// recognize a repetition.
pub(super) fn render(
    product: &str,
    job: JobId,
    to: &str,
    text: MailText,
    link: &str,
) -> Result<Mail, minijinja::Error> {
    let values = context! {
        language => texts::LANGUAGE,
        subject => text.subject,
        greeting => text.greeting,
        paragraphs => text.paragraphs,
        action => text.action,
        link,
        copy_link => texts::COPY_LINK,
        notes => text.notes,
        sign_off => texts::SIGN_OFF,
        product,
    };
    let part = |name| TEMPLATES.get_template(name)?.render(&values);
    Ok(Mail {
        to: to.to_owned(),
        subject: text.subject.to_owned(),
        text: part("mail.txt")?,
        html: part("mail.html")?,
        id: job.to_string(),
    })
}
