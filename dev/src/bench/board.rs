//! The figures: one JSON object a line on stdout as they come, and one table for
//! people on stderr at the end.

use std::io::Write as _;

use serde::Serialize;

use crate::console;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Below(limit) => value < limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::Below(limit) => format!("< {limit}"),
        }
    }
}

#[derive(Debug, Serialize)]
struct Figure {
    scenario: &'static str,
    #[serde(rename = "figure")]
    name: &'static str,
    value: f64,
    unit: &'static str,
    goal: Option<String>,
    met: Option<bool>,
}

/// Collects the figures of a run.
#[derive(Debug, Default)]
pub(super) struct Board {
    figures: Vec<Figure>,
}

impl Board {
    /// A figure without a goal.
    pub(super) fn note(
        &mut self,
        scenario: &'static str,
        name: &'static str,
        value: f64,
        unit: &'static str,
    ) {
        self.add(Figure {
            scenario,
            name,
            value: round(value),
            unit,
            goal: None,
            met: None,
        });
    }

    /// A figure with a goal.
    pub(super) fn judge(
        &mut self,
        scenario: &'static str,
        name: &'static str,
        value: f64,
        unit: &'static str,
        goal: Goal,
    ) {
        let (text, met) = (goal.text(), goal.is_met(value));
        self.add(Figure {
            scenario,
            name,
            value: round(value),
            unit,
            goal: Some(text),
            met: Some(met),
        });
    }

    /// The table.
    pub(super) fn show(&self) {
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(
            stderr,
            "{:<10} {:<70} {:>12} {:<8} {:>10}  met",
            "scenario", "figure", "value", "unit", "goal"
        );
        for figure in &self.figures {
            let met = figure.met.map_or("", |met| if met { "yes" } else { "NO" });
            let _ = writeln!(
                stderr,
                "{:<10} {:<70} {:>12} {:<8} {:>10}  {met}",
                figure.scenario,
                figure.name,
                figure.value,
                figure.unit,
                figure.goal.as_deref().unwrap_or_default(),
            );
        }
    }

    fn add(&mut self, figure: Figure) {
        if let Ok(line) = serde_json::to_string(&figure) {
            console::print(&line);
        }
        self.figures.push(figure);
    }
}

/// Three digits after the point are more than any of this is worth.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The middle value; of an even number the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The value that 99 of 100 do not exceed.
pub(super) fn p99(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
        .get((values.len() * 99).div_ceil(100).saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_and_told() {
        assert!(Goal::AtLeast(0.6).is_met(0.6));
        assert!(Goal::AtMost(2.0).is_met(2.0));
        assert!(!Goal::Below(50.0).is_met(50.0));
        assert_eq!(Goal::Below(50.0).text(), "< 50");
    }

    #[test]
    fn middles_and_tails() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((p99(&values) - 198.0).abs() < 1e-9);
    }
}
