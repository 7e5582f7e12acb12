//! `plinth-worker variants`: what operators do after they have changed the presets.

use clap::Subcommand;
use plinth_core::files::Processing;
use plinth_core::{Error, Stores};
use plinth_domain::preset::PresetName;
use plinth_platform::settings::Settings;

use crate::commands::APPLICATION;

/// Images derived from pictures.
#[derive(Debug, Subcommand)]
pub enum Variants {
    /// Ask the workers to make the images that the presets of the settings say and that are not there, and to remove
    /// those of presets that there are no more
    Regenerate {
        /// Make the images of this preset anew, also where they are there
        #[arg(long, value_name = "NAME")]
        preset: Option<PresetName>,
    },
}

/// Does it; what there is to print.
pub async fn run(settings: Settings, command: Variants) -> anyhow::Result<String> {
    let Variants::Regenerate { preset } = command;
    let processing = Processing::new(
        &Stores::new(&settings, APPLICATION)?,
        &settings.files.presets,
    );
    match processing.ask_for_all(preset).await {
        Ok(job) => Ok(format!("job {job} walks along all pictures\n")),
        Err(Error::NotFound) => {
            anyhow::bail!(
                "there is no such preset; there are {}",
                settings.files.presets
            )
        }
        Err(error) => Err(error.into()),
    }
}
