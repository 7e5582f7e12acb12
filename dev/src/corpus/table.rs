//! The results of a corpus: counts by format, and the files that differ from the reference.

use std::collections::BTreeMap;
use std::fmt;

use super::{Compared, MAX_DIFFERENCE, Outcome, Reading, Rendered};

/// The counts of one format.
#[derive(Debug, Default)]
struct Counts {
    files: usize,
    shown: usize,
    /// From the first reference that reads the file.
    differing: usize,
    differing_from_both: usize,
    /// By reason.
    refused: BTreeMap<String, usize>,
    refused_and_readable: usize,
    crashed: usize,
    unreadable: usize,
}

/// The outcomes of files. Displayed, it is a table and the lists that belong to it.
#[derive(Debug, Default)]
pub(super) struct Table {
    formats: BTreeMap<&'static str, Counts>,
    no_pictures: usize,
    differing: Vec<String>,
    refused_and_readable: Vec<String>,
    crashed: Vec<String>,
}

impl Table {
    /// Counts a file that is no picture by its first bytes.
    pub(super) fn count_no_picture(&mut self) {
        self.no_pictures += 1;
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        let Outcome {
            path,
            format,
            rendered,
            compared,
        } = outcome;
        let (path, counts) = (path.display(), self.formats.entry(format).or_default());
        counts.files += 1;
        counts.unreadable += usize::from(matches!(compared, Compared::Unreadable(_)));
        match rendered {
            Rendered::Shown { size, .. } => {
                counts.shown += 1;
                if let Compared::Readable(readings) = compared
                    && readings.iter().any(|reading| !reading.agree)
                {
                    counts.differing += 1;
                    counts.differing_from_both +=
                        usize::from(readings.iter().all(|reading| !reading.agree));
                    let readings: Vec<_> = readings.iter().map(Reading::to_string).collect();
                    self.differing.push(format!(
                        "{path} {}: {}",
                        pixels(size),
                        readings.join("; ")
                    ));
                }
            }
            Rendered::Refused(reason) => {
                if let Compared::Readable(readings) = compared {
                    counts.refused_and_readable += 1;
                    let readers: Vec<_> = readings
                        .iter()
                        .map(|reading| reading.reader.as_str())
                        .collect();
                    self.refused_and_readable
                        .push(format!("{path}: {reason} ({})", readers.join(", ")));
                }
                *counts.refused.entry(reason).or_default() += 1;
            }
            Rendered::Crashed(crash) => {
                counts.crashed += 1;
                self.crashed.push(format!("{path}: {crash}"));
            }
        }
    }

    pub(super) fn has_crashes(&self) -> bool {
        !self.crashed.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "format   files   shown  differ  from both  refused  of these readable  crashed  unreadable for both"
        )?;
        for (format, counts) in &self.formats {
            let refused: usize = counts.refused.values().sum();
            writeln!(
                f,
                "{format:<6} {:>7} {:>7} {:>7} {:>10} {refused:>8} {:>18} {:>8} {:>20}",
                counts.files,
                counts.shown,
                counts.differing,
                counts.differing_from_both,
                counts.refused_and_readable,
                counts.crashed,
                counts.unreadable,
            )?;
        }
        writeln!(f, "\nno picture by their first bytes: {}", self.no_pictures)?;
        writeln!(f, "\nrefused:")?;
        for (format, counts) in &self.formats {
            for (reason, count) in &counts.refused {
                writeln!(f, "  {format:<6} {count:>6}  {reason}")?;
            }
        }
        for (title, lines) in [
            (
                format!("differing by more than {MAX_DIFFERENCE} levels or in size"),
                &self.differing,
            ),
            (
                "refused, and readable for a reference".to_owned(),
                &self.refused_and_readable,
            ),
            ("crashed".to_owned(), &self.crashed),
        ] {
            writeln!(f, "\n{title}: {}", lines.len())?;
            let mut lines: Vec<_> = lines.iter().collect();
            lines.sort();
            for line in lines {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.reader, pixels(self.size))?;
        self.differences
            .iter()
            .try_for_each(|(preset, levels)| write!(f, ", {preset} {levels:.1}"))
    }
}

fn pixels([width, height]: [u32; 2]) -> String {
    format!("{width}x{height}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(size: [u32; 2]) -> Rendered {
        Rendered::Shown {
            size,
            images: BTreeMap::new(),
        }
    }

    fn reading(reader: &str, size: [u32; 2], levels: f64, agree: bool) -> Reading {
        let differences = [("large".to_owned(), 0.5), ("small".to_owned(), levels)].into();
        Reading {
            reader: reader.to_owned(),
            size,
            differences,
            agree,
        }
    }

    #[test]
    fn what_is_not_as_the_references_have_it_is_counted_and_named() {
        let refused = || Rendered::Refused("The image is damaged.".to_owned());
        let crashed = Rendered::Crashed("SIGSEGV".to_owned());
        let unreadable = || Compared::Unreadable("no".to_owned());
        let same = || reading("Pillow", [4, 2], 0.0, true);
        let other = reading("Vips", [4, 2], 5.1, false);
        let turned = || reading("Vips", [2, 4], 1.0, false);
        let mut table = Table::default();
        for (path, format, rendered, compared) in [
            (
                "same.png",
                "PNG",
                shown([4, 2]),
                Compared::Readable(vec![same()]),
            ),
            (
                "other.png",
                "PNG",
                shown([4, 2]),
                Compared::Readable(vec![other, same()]),
            ),
            (
                "turned.png",
                "PNG",
                shown([4, 2]),
                Compared::Readable(vec![turned(), turned()]),
            ),
            ("alone.png", "PNG", shown([4, 2]), unreadable()),
            (
                "cut.jpg",
                "JPEG",
                refused(),
                Compared::Readable(vec![same()]),
            ),
            ("bad.jpg", "JPEG", refused(), unreadable()),
        ] {
            table.add(Outcome {
                path: path.into(),
                format,
                rendered,
                compared,
            });
        }
        assert!(!table.has_crashes());
        table.add(Outcome {
            path: "fatal.jpg".into(),
            format: "JPEG",
            rendered: crashed,
            compared: unreadable(),
        });
        assert!(table.has_crashes());
        table.count_no_picture();
        let expected = [
            "format   files   shown  differ  from both  refused  of these readable  crashed  unreadable for both",
            "JPEG         3       0       0          0        2                  1        1                    2",
            "PNG          4       4       2          1        0                  0        0                    1",
            "",
            "no picture by their first bytes: 1",
            "",
            "refused:",
            "  JPEG        2  The image is damaged.",
            "",
            "differing by more than 5 levels or in size: 2",
            "  other.png 4x2: Vips 4x2, large 0.5, small 5.1; Pillow 4x2, large 0.5, small 0.0",
            "  turned.png 4x2: Vips 2x4, large 0.5, small 1.0; Vips 2x4, large 0.5, small 1.0",
            "",
            "refused, and readable for a reference: 1",
            "  cut.jpg: The image is damaged. (Pillow)",
            "",
            "crashed: 1",
            "  fatal.jpg: SIGSEGV",
            "",
        ];
        assert_eq!(table.to_string(), expected.join("\n"));
    }
}
