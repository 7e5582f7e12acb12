//! `plinth-worker periodic`: the table of periodic tasks.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use plinth_core::Stores;
use plinth_core::jobs::{Line, Periodic};
use plinth_platform::settings::Settings;
use plinth_platform::telemetry;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::SERVICE;

/// The arguments of `periodic`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Prints each task with its last and its next tick, in UTC.
pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, settings)?;
    let stores = Stores::new(settings, SERVICE)?;
    let lines = Periodic::new(&stores, settings.worker.schedule.clone())
        .lines()
        .await?;
    let shown = if arguments.json {
        as_json(&lines)?
    } else {
        as_table(&lines)?
    };
    Ok(std::io::stdout().write_all(shown.as_bytes())?)
}

fn as_json(lines: &[Line]) -> anyhow::Result<String> {
    let mut items = Vec::new();
    for line in lines {
        items.push(json!({
            "task": line.task.as_str(),
            "cron": line.cron,
            "last_tick": format_tick(line.last_tick)?,
            "next_tick": format_tick(line.next_tick)?,
        }));
    }
    Ok(format!("{}\n", serde_json::Value::from(items)))
}

fn as_table(lines: &[Line]) -> anyhow::Result<String> {
    let mut table = format!(
        "{:<12}{:<20}{:<22}{}\n",
        "task", "cron (UTC)", "last tick", "next tick"
    );
    for line in lines {
        let never = || "never".to_owned();
        let (last, next) = (
            format_tick(line.last_tick)?.unwrap_or_else(never),
            format_tick(line.next_tick)?.unwrap_or_else(never),
        );
        writeln!(
            table,
            "{:<12}{:<20}{last:<22}{next}",
            line.task.as_str(),
            line.cron
        )?;
    }
    Ok(table)
}

fn format_tick(tick: Option<OffsetDateTime>) -> anyhow::Result<Option<String>> {
    Ok(tick.map(|tick| tick.format(&Rfc3339)).transpose()?)
}
