//! The page that explains the error codes. The `type` of a problem is the URL of its section (RFC
//! 9457, section 3.1.1).

use std::fmt::Write as _;
use std::sync::Arc;

use plinth_domain::error_code::ErrorCode;

/// The path of the page.
pub(crate) const PATH: &str = "/errors";

/// The public URL of the page.
#[derive(Debug, Clone)]
pub struct ErrorPage(Arc<str>);

impl ErrorPage {
    /// Returns the page of the API at `public_url`.
    pub fn new(public_url: &str) -> Self {
        Self(format!("{}{PATH}", public_url.trim_end_matches('/')).into())
    }

    /// Returns the URL of the section about a code.
    pub(super) fn url(&self, code: ErrorCode) -> String {
        format!("{}#{code}", self.0)
    }
}

/// Returns the page in HTML: a section for each code, whose id is the code.
pub(crate) fn html() -> String {
    let mut page = "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Error codes</title></head>\n<body>\n\
        <h1>Error codes</h1>\n\
            <p>The <code>code</code> of a problem is stable and machine-readable. Later releases add \
            codes: handle an unknown code by its status.</p>\n"
        .to_owned();
    for code in ErrorCode::ALL {
        let statuses: Vec<_> = code.statuses().iter().map(u16::to_string).collect();
        write!(
            page,
            "<section id=\"{code}\">\n<h2><code>{code}</code></h2>\n<p>HTTP {}. {}</p>\n<p>{}</p>\n</section>\n",
            statuses.join(", "),
            from_markdown(code.meaning()),
            from_markdown(code.remedy()),
        )
        .expect("writing to a String never fails");
    }
    page + "</body>\n</html>\n"
}

/// Converts Markdown whose only markup is code in backticks to HTML.
fn from_markdown(text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let mut html = String::new();
    for (index, part) in escaped.split('`').enumerate() {
        html += match (index, index % 2) {
            (0, _) => "",
            (_, 1) => "<code>",
            _ => "</code>",
        };
        html += part;
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_section_that_its_problems_link_to() {
        let page = html();
        for code in ErrorCode::ALL {
            let url = ErrorPage::new("https://plinth.example/").url(*code);
            let (path, id) = url.split_once('#').expect("a fragment");
            assert_eq!(path, "https://plinth.example/errors");
            assert_eq!(page.matches(&format!("<section id=\"{id}\">")).count(), 1);
        }
    }

    #[test]
    fn code_in_backticks_becomes_an_element_and_markup_is_escaped() {
        assert_eq!(
            from_markdown("Send `A` & `<b>`."),
            "Send <code>A</code> &amp; <code>&lt;b&gt;</code>."
        );
        let page = html();
        assert_eq!(
            page.matches("<code>").count(),
            page.matches("</code>").count()
        );
    }
}
