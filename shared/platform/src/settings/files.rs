//! What only files are told: the table of presets.

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
