//! The words and the width of prose: comments, messages, templates and pages. CONTRIBUTING.md
//! explains the words.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::source_files;

/// Words that are not written, with what to write.
const WORDS: [(&str, &str); 12] = [
    ("anew", "again"),
    ("everybody", "every user, all callers"),
    ("his", "their"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("nobody", "no user, no caller"),
    ("of before", "previous"),
    ("so long", "a limit"),
    ("so many", "a number"),
    ("somebody", "the user, the caller"),
    ("where there is", "if"),
    ("whoever", "the user, the caller"),
];

/// Folders and files that are checked, from the root of the repository.
const CHECKED: [&str; 11] = [
    "README.md",
    "SECURITY.md",
    "api/src",
    "bench/src",
    "dev/src",
    "docs",
    "shared/object-store/src",
    "shared/pictures/src",
    "shared/platform/src",
    "shared/testkit/src",
    "worker/src",
];

/// Pages that are generated from texts of other folders, names that are no prose, and this list.
const EXEMPT: [&str; 5] = [
    // The account `nobody`.
    "bench/src/bin/authz.rs",
    "dev/src/process/account.rs",
    "dev/src/check/prose.rs",
    "docs/reference/audit.md",
    "docs/reference/settings.md",
];

/// Columns of a comment, as rustfmt uses them for code.
const MAX_COMMENT_COLUMNS: usize = 100;

/// Columns of a paragraph. Tables, links and code of a page may be wider.
const MAX_PAGE_COLUMNS: usize = 125;

pub(super) fn check(root: &Path) -> Result<String> {
    let mut faults = Vec::new();
    for name in CHECKED {
        let path = root.join(name);
        let files = if path.is_dir() {
            source_files::below(&path)?
        } else {
            vec![path]
        };
        for file in files {
            let name = file.strip_prefix(root)?.to_string_lossy();
            let Some(kind) = Kind::of(&name).filter(|_| !EXEMPT.contains(&&*name)) else {
                continue;
            };
            let text = fs::read_to_string(&file).with_context(|| format!("reading {name}"))?;
            let found = kind.faults(&text).into_iter();
            faults.extend(found.map(|(number, fault)| format!("{name}:{number}: {fault}")));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(String::new())
}

#[derive(Clone, Copy)]
enum Kind {
    Source,
    Page,
    Template,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "rs" => Some(Self::Source),
            "md" => Some(Self::Page),
            "txt" | "html" if name.contains("/templates/") => Some(Self::Template),
            _ => None,
        }
    }

    /// Returns the numbers of lines with what is wrong with them.
    fn faults(self, text: &str) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        let mut is_code = false;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let words = normalized(line);
            for (word, instead) in WORDS {
                if words.contains(&format!(" {word} ")) {
                    faults.push((number, format!("\"{word}\": write {instead}")));
                }
            }
            is_code ^= line.starts_with("```");
            let max = match self {
                Self::Source if line.trim_start().starts_with("//") => MAX_COMMENT_COLUMNS,
                Self::Page if !is_code && !line.starts_with('|') && !line.contains("](") => {
                    MAX_PAGE_COLUMNS
                }
                _ => usize::MAX,
            };
            let columns = line.chars().count();
            if columns > max {
                faults.push((number, format!("{columns} columns, of at most {max}")));
            }
        }
        faults
    }
}

/// Returns the words of a line in lower case, each between spaces.
fn normalized(line: &str) -> String {
    let words = line
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.fold(" ".to_owned(), |text, word| {
        text + &word.to_lowercase() + " "
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(kind: Kind, text: &str) -> Vec<usize> {
        kind.faults(text)
            .into_iter()
            .map(|(number, _)| number)
            .collect()
    }

    #[test]
    fn retired_words_are_found_between_any_characters() {
        let text = "a line\n// Nobody waits.\nlet whoever_comes = 1;\n\"keys of before, anew\"";
        assert_eq!(faults(Kind::Source, text), [2, 3, 4, 4]);
        assert_eq!(
            faults(Kind::Template, "This history mentions a mender."),
            [0; 0]
        );
    }

    #[test]
    fn comments_and_paragraphs_have_a_width() {
        let wide = "x ".repeat(70);
        assert_eq!(faults(Kind::Source, &format!("    // {wide}\n{wide}")), [1]);
        let page = format!("{wide}\n| {wide} |\n```\n{wide}\n```\n[{wide}](page.md)\n{wide}");
        assert_eq!(faults(Kind::Page, &page), [1, 7]);
    }
}
