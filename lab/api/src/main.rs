//! Writes what is public in a crate down in lines: `skep-lab-api JSON...`, each a crate as rustdoc describes it.
//!
//! The lines of `PATH.json` go to `PATH.txt`. What every type has (blanket and auto trait implementations) is left out,
//! and so is what a derive adds for the compiler's own use.

use anyhow::Context;
use std::path::PathBuf;

/// What a derive adds for the compiler's own use.
const COMPILERS_OWN: &str = "impl core::marker::StructuralPartialEq for ";

fn main() -> anyhow::Result<()> {
    for json in std::env::args_os().skip(1).map(PathBuf::from) {
        let api = public_api::Builder::from_rustdoc_json(&json)
            .omit_blanket_impls(true)
            .omit_auto_trait_impls(true)
            .build()
            .with_context(|| json.display().to_string())?;
        let mut text = String::new();
        for line in api.items().map(ToString::to_string).filter(|line| !line.starts_with(COMPILERS_OWN)) {
            text += &line;
            text.push('\n');
        }
        let txt = json.with_extension("txt");
        std::fs::write(&txt, text).with_context(|| txt.display().to_string())?;
    }
    Ok(())
}
