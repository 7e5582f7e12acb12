//! `plinth-worker variants`: for operators who have changed the presets.

use clap::Subcommand;
use plinth_core::files::Processing;
use plinth_core::{Error, Stores};
use plinth_domain::preset::PresetName;
use plinth_platform::settings::Settings;

use crate::commands::APPLICATION;

/// Commands for the variants of images.
#[derive(Debug, Subcommand)]
pub enum Variants {
    /// Enqueue a job that makes the missing variants of all images, and removes those of presets
    /// that no longer exist
    Regenerate {
        /// Make the variants of this preset again even if they exist
        #[arg(long, value_name = "NAME")]
        preset: Option<PresetName>,
    },
}

/// Runs the command and returns the text to print.
pub async fn run(settings: Settings, command: Variants) -> anyhow::Result<String> {
    let Variants::Regenerate { preset } = command;
    let processing = Processing::new(
        &Stores::new(&settings, APPLICATION)?,
        &settings.files.presets,
    );
    match processing.ask_for_all(preset).await {
        Ok(job) => Ok(format!(
            "job {job} regenerates the variants of all images\n"
        )),
        Err(Error::NotFound) => {
            anyhow::bail!(
                "preset not found; the presets are {}",
                settings.files.presets
            )
        }
        Err(error) => Err(error.into()),
    }
}
