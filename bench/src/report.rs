//! The figures of a run: one JSON object a line on stdout as they come, and a table on stderr at
//! the end.

use serde::Serialize;

use plinth_dev::console;

/// The value that a figure should have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
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
pub(crate) struct Report {
    scenario: &'static str,
    figures: Vec<Figure>,
}

impl Report {
    /// Begins a scenario, to which the next figures belong.
    pub(crate) fn begin(&mut self, scenario: &'static str) {
        self.scenario = scenario;
    }

    /// Adds a figure without a goal.
    pub(crate) fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.add(name, value, unit, None);
    }

    /// Adds a figure with a goal.
    pub(crate) fn goal(&mut self, name: &'static str, value: f64, unit: &'static str, goal: Goal) {
        self.add(name, value, unit, Some(goal));
    }

    pub(crate) fn print_table(&self) {
        eprintln!(
            "{:<10} {:<70} {:>12} {:<8} {:>10}  met",
            "scenario", "figure", "value", "unit", "goal"
        );
        for figure in &self.figures {
            let met = figure.met.map_or("", |met| if met { "yes" } else { "NO" });
            eprintln!(
                "{:<10} {:<70} {:>12} {:<8} {:>10}  {met}",
                figure.scenario,
                figure.name,
                figure.value,
                figure.unit,
                figure.goal.as_deref().unwrap_or_default(),
            );
        }
    }

    fn add(&mut self, name: &'static str, value: f64, unit: &'static str, goal: Option<Goal>) {
        let figure = Figure {
            scenario: self.scenario,
            name,
            // More digits would only be noise.
            value: (value * 1000.0).round() / 1000.0,
            unit,
            goal: goal.map(Goal::text),
            met: goal.map(|goal| goal.is_met(value)),
        };
        if let Ok(line) = serde_json::to_string(&figure) {
            console::print(&line);
        }
        self.figures.push(figure);
    }
}

/// Returns the middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Returns the value that 99 of 100 do not exceed.
pub(crate) fn p99(values: &[f64]) -> f64 {
    let index = (values.len() * 99).div_ceil(100).saturating_sub(1);
    sorted(values).get(index).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_compared_with_its_goal() {
        assert!(Goal::AtLeast(0.6).is_met(0.6));
        assert!(Goal::AtMost(2.0).is_met(2.0));
        assert!(!Goal::Below(50.0).is_met(50.0));
        assert_eq!(Goal::Below(50.0).text(), "< 50");
    }

    #[test]
    fn medians_and_percentiles() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((p99(&values) - 198.0).abs() < 1e-9);
    }
}
