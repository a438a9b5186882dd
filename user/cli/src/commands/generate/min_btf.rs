//! `skep gen min-btf`: what of a kernel's types some objects need.

use crate::args::GenMinBtfArgs;
use crate::failure::{Failure, Place};
use crate::object;
use crate::output::Report;
use crate::types::{self, Source};
use serde_json::{Value, json};
use skep_btf::core::{Candidates, Request, Used};
use skep_btf::{Btf, CoreRelocKind, TypeId};
use skep_elf::ObjectSpec;
use skep_model::RelocTarget;
use std::io::{self, Write};
use std::path::Path;

/// Answers every relocation of every object, and writes the types that the answers rest on.
///
/// # Errors
/// Says which file is malformed, or which relocation has no single answer.
pub(super) fn run(args: &GenMinBtfArgs) -> Result<Box<dyn Report>, Failure> {
    let target = types::read(&Source::File { path: &args.input, base: None })?;
    let mut used = Used::new();
    let mut answered = 0;
    for path in &args.objects {
        answered += add(&mut used, &object::open(path)?, path, &target)?;
    }
    let bytes = target.minimal(&used).map_err(|error| bad(&args.input, error))?;
    std::fs::write(&args.output, &bytes).map_err(|error| Failure::file(&args.output, &error))?;
    Ok(Box::new(Written {
        output: args.output.display().to_string(),
        bytes: bytes.len(),
        types: used.types().count(),
        relocations: answered,
    }))
}

/// Adds what the relocations of an object rest on; gives how many there are.
fn add(used: &mut Used, spec: &ObjectSpec, path: &Path, target: &Btf<'_>) -> Result<usize, Failure> {
    let Some(local) = &spec.btf else { return Ok(0) };
    let relocations = spec.programs.iter().flat_map(|program| &program.relocations);
    let requests: Vec<_> = relocations
        .filter_map(|relocation| match &relocation.target {
            RelocTarget::Core(core) => Some((TypeId(core.type_id.0), &core.access, core.kind)),
            _ => None,
        })
        .collect();
    let mut candidates = Candidates::new(local, requests.iter().map(|(id, ..)| *id))
        .and_then(|mut candidates| candidates.search(0, target).map(|()| candidates))
        .map_err(|error| bad(path, error))?;
    for (type_id, access, kind) in &requests {
        let kind = CoreRelocKind::from_number(*kind)
            .ok_or_else(|| bad(path, format_args!("CO-RE relocation of unknown kind {kind}")))?;
        let request = Request { type_id: *type_id, access, kind };
        let answer = candidates.resolve(&request, &[target]).map_err(|error| bad(path, error))?;
        used.add(&answer, 0, target).map_err(|error| bad(path, error))?;
    }
    Ok(requests.len())
}

fn bad(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::bad("btf", error).at(Place::file(path))
}

/// What was written.
struct Written {
    output: String,
    bytes: usize,
    types: usize,
    relocations: usize,
}

impl Report for Written {
    fn human(&self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn json(&self) -> Value {
        json!({ "output": self.output, "bytes": self.bytes, "types": self.types, "relocations": self.relocations })
    }
}
