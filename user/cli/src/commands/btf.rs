//! `skep btf`: types as text.

use crate::args::{BtfCommand, BtfDumpArgs, TypeFormat};
use crate::failure::Failure;
use crate::output::{self, Report};
use crate::types::{self, Source};
use serde_json::{Value, json};
use skep_btf::{Btf, CPrinter, Def, PrintError, RustPrinter, Type, TypeId};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Does what is to be done with types.
///
/// # Errors
/// Says where they are malformed, or cannot be written.
pub(crate) fn run(command: &BtfCommand) -> Result<Box<dyn Report>, Failure> {
    match command {
        BtfCommand::Dump(args) => dump(args),
        BtfCommand::List(args) => super::inspect::btf_list(args),
        BtfCommand::Show(args) => super::inspect::btf_show(args),
    }
}

fn dump(args: &BtfDumpArgs) -> Result<Box<dyn Report>, Failure> {
    let format = match (args.format, args.json) {
        (None, true) => TypeFormat::Json,
        (None, false) => TypeFormat::Raw,
        (Some(format), true) if format != TypeFormat::Json => {
            return Err(Failure::usage("--json is --format json, and no other format"));
        }
        (Some(format), _) => format,
    };
    let file = args.file.as_deref().unwrap_or(Path::new("-"));
    let source = match (args.id, &args.module) {
        _ if args.kernel => Source::Kernel,
        (Some(id), _) => Source::Id(id),
        (None, Some(module)) => Source::Module(module),
        (None, None) => Source::File { path: file, base: args.base.as_deref() },
    };
    let btf = types::read(&source)?;
    let roots = types::roots(&btf, &args.root)?;
    match format {
        TypeFormat::C => Ok(Box::new(Text(header(&btf, &roots)?))),
        TypeFormat::Rust => Ok(Box::new(Text(rust(&btf, &roots)?))),
        TypeFormat::Raw | TypeFormat::Json => Ok(Box::new(Stored { btf, roots })),
    }
}

/// Writes a header: of these types, or of all.
///
/// # Errors
/// Says which type cannot be written.
pub(crate) fn header(btf: &Btf<'_>, roots: &[TypeId]) -> Result<String, Failure> {
    let bad = |error: PrintError| Failure::bad("btf", error);
    let mut printer = CPrinter::new(btf).map_err(|error| bad(error.into()))?;
    let mut text = String::new();
    match roots {
        [] => printer.header(&mut text).map_err(bad)?,
        roots => printer.header_of(roots, &mut text).map_err(bad)?,
    }
    Ok(text)
}

/// Writes a file of Rust: of these types, or of all.
fn rust(btf: &Btf<'_>, roots: &[TypeId]) -> Result<String, Failure> {
    let bad = |error: PrintError| Failure::bad("btf", error);
    let mut text = String::new();
    let mut printer = RustPrinter::new(btf).map_err(|error| bad(error.into()))?;
    printer.file(roots, &mut text).map_err(bad)?;
    Ok(text)
}

/// Text in some language.
struct Text(String);

impl Report for Text {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.0.as_bytes())
    }

    fn json(&self) -> Value {
        json!({ "text": self.0 })
    }
}

/// Types as they are stored.
struct Stored {
    btf: Arc<Btf<'static>>,
    roots: Vec<TypeId>,
}

impl Stored {
    fn types(&self) -> Box<dyn Iterator<Item = Type<'_>> + '_> {
        match self.roots.as_slice() {
            [] => Box::new(self.btf.own_types()),
            roots => Box::new(roots.iter().filter_map(|&id| self.btf.get(id))),
        }
    }
}

impl Report for Stored {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        self.types().try_for_each(|ty| writeln!(out, "{}", ty.raw()))
    }

    fn json(&self) -> Value {
        json!({ "types": self.types().map(|ty| stored(&ty)).collect::<Vec<_>>() })
    }

    /// A kernel has hundreds of thousands of types and members: they are written one by one.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"skep\":{},\"types\":[", output::SHAPES)?;
        for (index, ty) in self.types().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            serde_json::to_writer(&mut *out, &stored(&ty))?;
        }
        out.write_all(b"]}\n")
    }
}

/// A type with the members that `bpftool -j btf dump` has.
fn stored(ty: &Type<'_>) -> Value {
    let named = |name: &str| if name.is_empty() { "(anon)".to_owned() } else { name.to_owned() };
    let kind = ty.kind().map_or("UNKN".to_owned(), |kind| kind.name().to_ascii_uppercase());
    let mut members = json!({ "id": ty.id().0, "kind": kind, "name": named(ty.name()) });
    let mut add = |name: &str, value: Value| members[name] = value;
    match ty.def() {
        Def::Int(int) => {
            add("size", json!(int.size));
            add("bits_offset", json!(int.offset));
            add("nr_bits", json!(int.bits));
            add("encoding", json!(int.encoding.to_string()));
        }
        Def::Ptr(of) | Def::Typedef(of) | Def::Const(of) | Def::Volatile(of) | Def::Restrict(of) => {
            add("type_id", json!(of.0));
        }
        Def::TypeTag(tag) => add("type_id", json!(tag.target.0)),
        Def::Array(array) => {
            add("type_id", json!(array.elem.0));
            add("index_type_id", json!(array.index.0));
            add("nr_elems", json!(array.len));
        }
        Def::Struct(composite) | Def::Union(composite) => {
            add("size", json!(composite.size));
            add("vlen", json!(composite.members.len()));
            let each = composite.members.iter().map(|member| {
                let mut entry = json!({
                    "name": named(member.name),
                    "type_id": member.type_id.0,
                    "bits_offset": member.bit_offset,
                });
                if let Some(width) = member.bitfield {
                    entry["bitfield_size"] = json!(width.get());
                }
                entry
            });
            add("members", each.collect());
        }
        Def::Enum(item) => {
            add("encoding", json!(item.sign.to_string()));
            add("size", json!(item.size));
            add("vlen", json!(item.len()));
            let each = item
                .values()
                .map(|each| json!({ "name": named(each.name), "val": crate::json::integer(each.value) }));
            add("values", each.collect());
        }
        Def::Fwd(kind) => add("fwd_kind", json!(kind.to_string())),
        Def::Func(func) => {
            add("type_id", json!(func.proto.0));
            add("linkage", json!(func.linkage.to_string()));
        }
        Def::FuncProto(proto) => {
            add("ret_type_id", json!(proto.ret.0));
            add("vlen", json!(proto.params.len()));
            let each = proto
                .params
                .iter()
                .map(|param| json!({ "name": named(param.name), "type_id": param.type_id.0 }));
            add("params", each.collect());
        }
        Def::Var(var) => {
            add("type_id", json!(var.type_id.0));
            add("linkage", json!(var.linkage.to_string()));
        }
        Def::Datasec(datasec) => {
            add("size", json!(datasec.size));
            add("vlen", json!(datasec.vars.len()));
            let each = datasec
                .vars
                .iter()
                .map(|info| json!({ "type_id": info.type_id.0, "offset": info.offset, "size": info.size }));
            add("vars", each.collect());
        }
        Def::Float(size) => add("size", json!(size)),
        Def::DeclTag(tag) => {
            add("type_id", json!(tag.target.0));
            add("component_idx", tag.component.map_or(json!(-1), |index| json!(index)));
        }
        _ => {}
    }
    members
}
