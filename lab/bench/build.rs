//! Compiles the benchmark programs natively, once as clang likes it and once without vectors, and lists them.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const COMPILER: &str = "clang-19";
const USUAL_ARGS: &[&str] =
    &["-O2", "-std=gnu11", "-ffreestanding", "-fwrapv", "-fno-strict-aliasing", "-fPIC", "-c"];
/// What every x86-64 has.
const X86_ARGS: &[&str] = &["-march=x86-64"];
const VARIANTS: [(&str, &[&str]); 2] =
    [("vector", &[]), ("scalar", &["-fno-vectorize", "-fno-slp-vectorize"])];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let is_x86 = env::var("CARGO_CFG_TARGET_ARCH")? == "x86_64";
    let folder = skep_lab_programs::folder().join("c");
    println!("cargo::rerun-if-changed={}", folder.display());
    let (mut declarations, mut rows, mut objects) = (String::new(), String::new(), Vec::new());
    for program in skep_lab_programs::all()? {
        let mut functions = Vec::new();
        for (variant, more) in VARIANTS {
            let function = format!("skep_{variant}_{}", program.name);
            let object = out.join(format!("{function}.o"));
            let mut command = Command::new(COMPILER);
            command.args(USUAL_ARGS).args(if is_x86 { X86_ARGS } else { &[] }).args(more);
            command.arg(format!("-DPROG={function}")).arg(program.source()).arg("-o").arg(&object);
            run(&mut command)?;
            writeln!(declarations, "    fn {function}(memory: *mut u8, len: u64) -> u64;")?;
            functions.push(function);
            objects.push(object);
        }
        writeln!(rows, "    ({:?}, {}),", program.name, functions.join(", "))?;
    }
    archive(&out, &objects)?;
    let list = format!(
        "unsafe extern \"C\" {{\n{declarations}}}\n\nstatic PROGRAMS: &[(&str, Function, Function)] = &[\n{rows}];\n"
    );
    fs::write(out.join("native.rs"), list)?;
    Ok(())
}

fn archive(out: &Path, objects: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let library = out.join("libprograms.a");
    if library.exists() {
        fs::remove_file(&library)?;
    }
    run(Command::new("ar").arg("crs").arg(&library).args(objects))?;
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static=programs");
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
