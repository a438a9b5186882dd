//! The name of a type, as a C declaration without its variable has it.

use skep_btf::{Btf, Def, FwdKind, MAX_DEPTH, TypeId};

/// How many types one name may mention; prototypes of prototypes could go on for long.
const MOST_PARTS: u32 = 64;

/// Gives the name of a type: `struct tally`, `const char *`, `unsigned int[8]`.
pub(crate) fn name(btf: &Btf<'_>, id: TypeId) -> String {
    Namer { btf, parts: MOST_PARTS }.within(id, 0)
}

struct Namer<'b> {
    btf: &'b Btf<'b>,
    parts: u32,
}

impl<'b> Namer<'b> {
    fn within(&mut self, id: TypeId, depth: usize) -> String {
        let Some(ty) = self.btf.get(id).filter(|_| depth < MAX_DEPTH && self.parts > 0) else {
            return "…".to_owned();
        };
        self.parts -= 1;
        let depth = depth + 1;
        match ty.def() {
            Def::Void => "void".to_owned(),
            Def::Ptr(of) => self.pointer(of, depth),
            Def::Array(array) => {
                // Of `int[2][3]` the outer array has two elements.
                let elem = self.within(array.elem, depth);
                let at = elem.find('[').unwrap_or(elem.len());
                format!("{}[{}]{}", &elem[..at], array.len, &elem[at..])
            }
            Def::Struct(_) | Def::Fwd(FwdKind::Struct) => tagged("struct", ty.name()),
            Def::Union(_) | Def::Fwd(FwdKind::Union) => tagged("union", ty.name()),
            Def::Enum(_) => tagged("enum", ty.name()),
            Def::Const(of) => qualified("const", self.within(of, depth)),
            Def::Volatile(of) => qualified("volatile", self.within(of, depth)),
            Def::Restrict(of) => qualified("restrict", self.within(of, depth)),
            Def::TypeTag(tag) => self.within(tag.target, depth),
            Def::Var(var) => self.within(var.type_id, depth),
            Def::FuncProto(_) => self.prototype(id, "", depth),
            _ => ty.name().to_owned(),
        }
    }

    fn pointer(&mut self, of: TypeId, depth: usize) -> String {
        if let Some(Def::FuncProto(_)) = self.btf.get(of).map(|ty| ty.def()) {
            return self.prototype(of, "(*)", depth);
        }
        let of = self.within(of, depth);
        let space = if of.ends_with('*') { "" } else { " " };
        format!("{of}{space}*")
    }

    fn prototype(&mut self, id: TypeId, name: &str, depth: usize) -> String {
        let Some(Def::FuncProto(proto)) = self.btf.get(id).map(|ty| ty.def()) else {
            return "…".to_owned();
        };
        let ret = self.within(proto.ret, depth);
        let mut params = Vec::new();
        for param in proto.params {
            params.push(self.within(param.type_id, depth));
            if self.parts == 0 {
                break;
            }
        }
        format!("{ret} {name}({})", params.join(", "))
    }
}

fn tagged(keyword: &str, name: &str) -> String {
    match name {
        "" => format!("{keyword} {{…}}"),
        name => format!("{keyword} {name}"),
    }
}

/// Puts a qualifier before a type, and behind a pointer.
fn qualified(word: &str, of: String) -> String {
    if of.ends_with('*') { format!("{of} {word}") } else { format!("{word} {of}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_elf::ObjectSpec;

    #[test]
    fn names_read_like_declarations() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/xdp-firewall/xdp_firewall.bpf.o");
        let object = ObjectSpec::parse("firewall", &std::fs::read(path).unwrap()).unwrap();
        let btf = object.btf.unwrap();
        let of = |variable| name(&btf, btf.locate(variable).unwrap().variable.type_id);
        assert_eq!(of("skep_now_ns"), "volatile __u64");
        assert_eq!(of("blocked_default"), "const volatile __u32[8]");
        assert_eq!(name(&btf, TypeId(u32::MAX)), "…");
    }
}
