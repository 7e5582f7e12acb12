//! Setting types of files: the table of presets, and media types.

use plinth_domain::media_type::{MediaTypes, MediaTypesError};
use plinth_domain::preset::{PresetError, Presets};

use super::value::Value;

impl Value for Presets {
    const KIND: &'static str = "list of name=recipe";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: PresetError| error.to_string())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for MediaTypes {
    const KIND: &'static str = "list of media types";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: MediaTypesError| error.to_string())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}
