//! Makes inputs for the fuzz target `verify` of the cases of the verifier's rules:
//! `cargo run -p skep-lab-filetests --example seeds -- target/fuzz/found/verify`.

use skep_abi::{AttachType, ProgType};
use skep_lab_filetests::{RuleCase, Which, parse_rules};
use skep_lab_world::{Function, Linkage, Parameter, kernel};
use skep_model::platform::helper::Licence;
use skep_model::platform::helpers::HELPERS;
use skep_verifier::{Alignment, Sleep};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("wanted a folder")?);
    fs::create_dir_all(&dir)?;
    let mut count = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"))? {
        let path = entry?.path();
        let file = path.file_stem().ok_or("a file without a name")?.to_string_lossy().into_owned();
        for case in parse_rules(&file, &fs::read_to_string(&path)?)? {
            for (which, name) in [(Which::Broken, "broken"), (Which::Twin, "twin")] {
                let Some(seed) = seed(&case, which)? else { continue };
                count += 1;
                fs::write(dir.join(format!("rule-{count}-{name}")), seed)?;
            }
        }
    }
    println!("{count} inputs");
    Ok(())
}

/// The input that is one of a case's programs (`lab/replay/src/verify.rs`), if one can be: of a type that there is, and not long.
fn seed(case: &RuleCase, which: Which) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let types = |name: &str| kernel().find(name).map(|id| id.0);
    let kind = ProgType::ALL.iter().position(|kind| *kind == case.kind(which));
    let Some(kind) = kind.filter(|_| case.program(which, &types).is_ok_and(|it| it.slots.len() < 5000))
    else {
        return Ok(None);
    };
    let attach = AttachType::ALL.iter().position(|attach| *attach == case.attach).ok_or("no such type")?;
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let how = 1
        | flag(case.sleep == Sleep::Allowed, 2)
        | flag(case.alignment == Alignment::Strict, 4)
        | flag(case.licence == Licence::Gpl, 8);
    let mut text = String::new();
    for function in case.functions(which) {
        text += &format!("function {}\n", written(&function));
    }
    if let Some(target) = case.target(which) {
        text += &format!("target {target}\n");
    }
    for value in &case.values {
        text += &format!("value {}\n", value.text);
    }
    for line in case.text(which, &types)?.lines() {
        match line.split_once("call bpf_") {
            Some((before, name)) => {
                let helper = HELPERS.iter().find(|helper| helper.name == name.trim());
                text += &format!("{before}call {}\n", helper.ok_or("no such helper")?.id.0);
            }
            None => text += &format!("{line}\n"),
        }
    }
    let mut input = vec![u8::try_from(kind)?, how, u8::try_from(attach)?];
    input.extend_from_slice(text.as_bytes());
    Ok(Some(input))
}

/// A function as [`Function::parse`] reads it.
fn written(function: &Function) -> String {
    let linkage = if function.linkage == Linkage::Global { "global" } else { "static" };
    let void = if function.is_void { " void" } else { "" };
    let parameters = function.parameters.iter().map(|parameter| match parameter {
        Parameter::Number => "int",
        Parameter::Choice => "enum",
        Parameter::Context => "ctx",
        Parameter::Memory => "memory",
        Parameter::There => "nonnull memory",
        Parameter::Nothing => "void",
        Parameter::Struct => "struct",
        Parameter::Tagged => "trusted",
        Parameter::Dynptr => "dynptr",
    });
    format!("{linkage}{void}({})", parameters.collect::<Vec<_>>().join(", "))
}
