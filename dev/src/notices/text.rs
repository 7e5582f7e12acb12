//! The text of THIRD-PARTY-NOTICES.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::licence;
use super::packages::Package;

const HEADER: &str = "\
Third-party notices of Plinth

Plinth itself is under the Apache License 2.0 (LICENSE). Its binaries link the
packages below. `cargo dev notices` writes this file from Cargo.lock, and
`cargo dev check` compares it.

If a package offers a choice that includes Apache-2.0, Plinth uses it under
Apache-2.0. For every other package the licence files of the package follow the
table. Packages under MPL-2.0 are used unmodified; the address in the list of
packages without a licence file is where their source code is.

Beyond these packages:

- The binaries contain the Rust standard library (MIT OR Apache-2.0).
- The binaries contain hashes of passwords from public lists.
  docs/explanation/accounts.md names the lists and their licences.
- The container images contain glibc (LGPL-2.1-or-later), libgcc
  (GPL-3.0-or-later WITH GCC-exception-3.1) and the certificates of Mozilla
  (MPL-2.0), unmodified, from Debian.
";
const RULE: &str =
    "================================================================================";

/// Returns the whole file. Reads the licence files of the packages.
pub(super) fn render(packages: &[Package]) -> Result<String> {
    let mut table = String::new();
    let mut bare = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let expression = package
            .license
            .as_deref()
            .with_context(|| format!("{} has no licence", package.name))?;
        let _ = writeln!(
            table,
            "{:<34} {:<20} {expression}",
            package.name, package.version
        );
        let folder = package
            .manifest_path
            .parent()
            .context("a manifest is in a folder")?;
        let under_apache = licence::offers_apache(expression);
        let files = licence::files(folder, under_apache)?;
        if files.is_empty() && !under_apache {
            bare.push_str(&without_file(package, expression));
        }
        for file in files {
            let source = format!(
                "{} {}: {}",
                package.name,
                package.version,
                relative(&file, folder)
            );
            texts.entry(read(&file)?).or_default().push(source);
        }
    }
    let mut whole = format!(
        "{HEADER}\n{RULE}\nPackages\n\n{table}\n{RULE}\nPackages without a licence file\n\n{bare}"
    );
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1));
    for (text, sources) in texts {
        let _ = write!(whole, "\n{RULE}\n{}\n\n{text}\n", sources.join("\n"));
    }
    Ok(whole)
}

fn without_file(package: &Package, expression: &str) -> String {
    let authors = if package.authors.is_empty() {
        "its authors".to_owned()
    } else {
        package.authors.join(", ")
    };
    let repository = package.repository.as_deref().unwrap_or("no address");
    format!(
        "{} {}: {expression}\n    {authors}\n    {repository}\n",
        package.name, package.version
    )
}

/// Reads a licence in one form: line feeds, no trailing blanks and no blank lines around it.
fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.replace('\u{c}', "").trim_end().to_owned())
        .collect();
    Ok(lines.join("\n").trim_matches('\n').to_owned())
}

fn relative(file: &Path, folder: &Path) -> String {
    file.strip_prefix(folder)
        .unwrap_or(file)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &Path, name: &str, license: &str, text: Option<&str>) -> Package {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        if let Some(text) = text {
            fs::write(folder.join("LICENSE"), text).unwrap();
        }
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: Some(license.to_owned()),
            repository: Some("https://example.org/source".to_owned()),
            authors: vec!["Ada".to_owned()],
            manifest_path: folder.join("Cargo.toml"),
        }
    }

    #[test]
    fn equal_texts_appear_once_and_a_missing_one_is_listed() {
        let root = tempfile::tempdir().unwrap();
        let packages = [
            package(root.path(), "one", "MIT", Some("Copyright Ada  \r\n")),
            package(root.path(), "two", "MIT", Some("\nCopyright Ada\n")),
            package(
                root.path(),
                "three",
                "MIT OR Apache-2.0",
                Some("Copyright Grace"),
            ),
            package(root.path(), "four", "MPL-2.0", None),
        ];
        let text = render(&packages).unwrap();
        assert_eq!(text.matches("Copyright Ada").count(), 1);
        assert!(text.contains("one 1.0.0: LICENSE\ntwo 1.0.0: LICENSE\n\nCopyright Ada\n"));
        assert!(
            !text.contains("Copyright Grace"),
            "it is used under Apache-2.0"
        );
        assert!(text.contains("four 1.0.0: MPL-2.0\n    Ada\n    https://example.org/source\n"));
    }
}
