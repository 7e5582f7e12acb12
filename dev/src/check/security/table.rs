//! The rows of docs/security/asvs.md: `| id | subject | status | proof or reason |`.

/// What is said of one requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row<'a> {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) id: &'a str,
    pub(super) status: &'a str,
    pub(super) proof: &'a str,
}

/// What a status word claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Met,
    /// Met with an exception that the row tells.
    Partly,
    /// Left to the issue of this number.
    Issue,
    Later,
    /// Met, or not, by whoever runs Plinth.
    Operator,
    NotApplicable,
}

impl Status {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "met" => Some(Self::Met),
            "partly" => Some(Self::Partly),
            "later" => Some(Self::Later),
            "operator" => Some(Self::Operator),
            "not applicable" => Some(Self::NotApplicable),
            other => other
                .strip_prefix("issue ")?
                .parse::<u32>()
                .ok()
                .map(|_| Self::Issue),
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Partly => "partly",
            Self::Issue => "in issues",
            Self::Later => "later",
            Self::Operator => "operator's",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// Reads every line that begins as a row of a requirement; a line that is none for
/// all that is handed back with its number.
pub(super) fn rows(text: &str) -> (Vec<Row<'_>>, Vec<usize>) {
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let Some(cells) = cells(line) else { continue };
        match cells[..] {
            [id, subject, status, proof] if !subject.is_empty() => {
                rows.push(Row {
                    line: number + 1,
                    id,
                    status,
                    proof,
                });
            }
            _ => broken.push(number + 1),
        }
    }
    (rows, broken)
}

/// The trimmed cells, if the first one begins as an id.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.trim().strip_prefix('|')?;
    let cells: Vec<_> = line
        .strip_suffix('|')
        .unwrap_or(line)
        .split('|')
        .map(str::trim)
        .collect();
    let number = cells.first()?.strip_prefix('V')?;
    number
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(cells)
}

/// The tests that a proof names: in the last column backticks are for nothing else.
pub(super) fn named(proof: &str) -> impl Iterator<Item = &str> {
    proof.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_other_lines() {
        let text = "| id | subject | status | proof or reason |\n| --- | --- | --- | --- |\n\
                    | V1.2.3 | a subject | met | `a_test`, and `another_one` |\n| setting | V |\nV1.2.3\n";
        let (rows, broken) = rows(text);
        assert_eq!(broken, [0; 0]);
        let proof = "`a_test`, and `another_one`";
        assert_eq!(
            rows,
            [Row {
                line: 3,
                id: "V1.2.3",
                status: "met",
                proof
            }]
        );
        assert_eq!(
            named(rows[0].proof).collect::<Vec<_>>(),
            ["a_test", "another_one"]
        );
        assert_eq!(named("no backticks").count(), 0);
    }

    #[test]
    fn a_row_without_its_four_cells_is_handed_back() {
        let text =
            "| V1.1.1 | subject | met |\n| V1.1.2 | a | b | c | d |\n| V1.2.1 |  | met | x |\n";
        assert_eq!(rows(text), (vec![], vec![1, 2, 3]));
    }

    #[test]
    fn only_documented_words_are_a_status() {
        assert_eq!(Status::parse("met"), Some(Status::Met));
        assert_eq!(Status::parse("issue 6"), Some(Status::Issue));
        for bad in ["", "Met", "done", "issue", "issue six", "n/a"] {
            assert_eq!(Status::parse(bad), None, "{bad}");
        }
    }
}
