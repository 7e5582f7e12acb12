//! CPU time to check an access token and a permission, without any store.

use anyhow::Result;
use serde::Deserialize;

use super::program;
use super::report::{Goal, Report};

/// The output of `bench-authz`, in microseconds of CPU.
#[derive(Debug, Deserialize)]
struct Cost {
    first: f64,
    again: f64,
}

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let cost: Cost = program::json(&mut program::sibling("bench-authz")?).await?;
    let first = "JWT and permission, CPU, token seen first";
    report.goal(first, cost.first, "us", Goal::Below(60.0));
    report.figure("the same, token seen before", cost.again, "us");
    Ok(())
}
