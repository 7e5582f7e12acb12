//! The reference page of every setting.

use std::fmt::Write as _;

use super::Settings;

/// The page in Markdown, as committed in docs/reference/settings.md.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Made by `plinth-api config --reference` from the declaration of the settings; do not edit.\n\n\
         A setting comes from its default, then from the TOML file that `PLINTH_CONFIG` names (the key in the second \
         column: `group.name` stands for `name` in `[group]`), then from its environment variable. A secret can also be \
         read from a mounted file: append `_FILE` to the variable and give the path. An unknown `PLINTH_*` variable, an \
         unknown key or an invalid value stops the start with one message that lists every problem. \
         `plinth-api config` prints what is in force, secrets redacted.\n\n\
         | variable | key | type | default | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for variable in Settings::variables() {
        let default = match variable.default {
            None => "**required**".to_owned(),
            Some("") => "none".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        let doc = variable
            .doc
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        writeln!(
            page,
            "| `{}` | `{}` | {} | {default} | {doc} |",
            variable.env, variable.key, variable.kind
        )
        .expect("a String takes every write");
    }
    page
}
