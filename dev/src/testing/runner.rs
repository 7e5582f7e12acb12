//! The command that runs the tests: nextest when it is installed, else cargo's
//! own runner.

use std::ffi::{OsStr, OsString};

use anyhow::Result;
use tokio::process::Command;

use crate::build;
use crate::layout::Layout;
use crate::process::foreground;

pub(crate) async fn command(layout: &Layout, args: &[OsString]) -> Result<Command> {
    let mut version = build::cargo(layout)?;
    let has_nextest = foreground::output(version.args(["nextest", "--version"]))
        .await?
        .status
        .success();
    let mut command = build::cargo(layout)?;
    if has_nextest {
        command
            .args(["nextest", "run", "--workspace"])
            .args(for_nextest(args));
    } else {
        command.arg("test");
        // Cargo ignores -p beside --workspace.
        if selection(args).packages.is_empty() {
            command.arg("--workspace");
        }
        command.args(args);
    }
    Ok(command)
}

/// `-p` becomes a filter: the workspace stays selected, so that dependencies keep
/// the features they were compiled with, and only those packages' tests run.
fn for_nextest(args: &[OsString]) -> Vec<OsString> {
    let Selection {
        packages,
        filters,
        rest,
    } = selection(args);
    let packages: Vec<_> = packages
        .iter()
        .map(|name| format!("package(={name})"))
        .collect();
    let packages = packages.join(" | ");
    let filter = match (packages.is_empty(), filters.is_empty()) {
        (true, true) => return rest,
        (true, false) => filters.join(" | "),
        (false, true) => packages,
        (false, false) => format!("({packages}) & ({})", filters.join(" | ")),
    };
    let mut args = vec![OsString::from("--filterset"), OsString::from(filter)];
    args.extend(rest);
    args
}

/// Arguments by what they select.
#[derive(Debug, Default, PartialEq, Eq)]
struct Selection {
    packages: Vec<String>,
    filters: Vec<String>,
    rest: Vec<OsString>,
}

fn selection(args: &[OsString]) -> Selection {
    let mut selection = Selection::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            selection.rest.push(arg.clone());
            break;
        }
        let Some((list, joined)) = selection.list_of(arg) else {
            selection.rest.push(arg.clone());
            continue;
        };
        match joined.or_else(|| {
            args.next()
                .and_then(|value| value.to_str().map(str::to_owned))
        }) {
            Some(value) => list.push(value),
            None => selection.rest.push(arg.clone()),
        }
    }
    selection.rest.extend(args.cloned());
    selection
}

impl Selection {
    /// The list that this option adds to, and its value where it is joined to it.
    fn list_of(&mut self, arg: &OsStr) -> Option<(&mut Vec<String>, Option<String>)> {
        let arg = arg.to_str()?;
        let options = [
            (&mut self.packages, ["--package", "-p"]),
            (&mut self.filters, ["--filterset", "-E"]),
        ];
        options.into_iter().find_map(|(list, [long, short])| {
            if arg == long || arg == short {
                return Some((list, None));
            }
            let joined = match arg.strip_prefix(long) {
                Some(rest) => rest.strip_prefix('=')?,
                None => arg
                    .strip_prefix(short)
                    .map(|rest| rest.strip_prefix('=').unwrap_or(rest))?,
            };
            Some((list, Some(joined.to_owned())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nextest(args: &[&str]) -> Vec<String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        for_nextest(&args)
            .into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect()
    }

    #[test]
    fn packages_become_a_filter_and_the_rest_is_left_alone() {
        assert_eq!(
            nextest(&["login", "--no-capture"]),
            ["login", "--no-capture"]
        );
        assert_eq!(
            nextest(&["-p", "plinth-api", "login", "--", "-p"]),
            ["--filterset", "package(=plinth-api)", "login", "--", "-p"]
        );
        assert_eq!(
            nextest(&["-pplinth-api", "--package=plinth-core", "-E", "test(a)"]),
            [
                "--filterset",
                "(package(=plinth-api) | package(=plinth-core)) & (test(a))"
            ]
        );
    }
}
