//! Reading files: whole ones, objects, and what of an object the command line names.

use crate::failure::{Failure, Place};
use skep_elf::ObjectSpec;
use skep_model::ProgramSpec;
use std::io::Read;
use std::path::Path;

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// Says which file, and why.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let result = if is_stdin(path) {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    result.map_err(|error| Failure::file(path, &error))
}

/// Says whether a path stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads an object.
///
/// # Errors
/// Says which file, section, symbol and instruction is at fault.
pub(crate) fn open(path: &Path) -> Result<ObjectSpec, Failure> {
    let bytes = read(path)?;
    Ok(ObjectSpec::parse(&path.display().to_string(), &bytes)?)
}

/// Finds the program that the command line names.
///
/// # Errors
/// Lists the programs there are.
pub(crate) fn program<'o>(object: &'o ObjectSpec, name: &str) -> Result<&'o ProgramSpec, Failure> {
    object.program(name).ok_or_else(|| {
        let names: Vec<&str> = object.programs.iter().map(|program| program.name.as_str()).collect();
        let help = match names.as_slice() {
            [] => "the object has no programs".to_owned(),
            names => format!("its programs are {}", names.join(", ")),
        };
        let place = Place { file: Some(object.file.clone()), ..Place::default() };
        Failure::usage(format_args!("there is no program called {name}")).at(place).help(help)
    })
}
