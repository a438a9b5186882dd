//! Types of maps' values, in text.

use crate::kernel;
use crate::maps::map;
use skep_abi::MapType;
use skep_btf::{
    Array, Btf, Builder, Endian, Int, IntEncoding, Member, SecInfo, TagStyle, TypeId, TypeTag, Var,
    VarLinkage,
};
use skep_verifier::{MapProto, Special, SpecialError, special_fields};

/// How deep a text may nest.
const DEPTH: u32 = 100;

/// The type of a map's values.
///
/// | text | says |
/// | --- | --- |
/// | `int:4` | a number of four bytes |
/// | `bpf_timer:16` | a struct of that name and size, without members |
/// | `3x TYPE` | an array |
/// | `*TYPE`, `*kptr TYPE`, `*kptr.user TYPE` | a pointer, with tags |
/// | `volatile TYPE` | what may change |
/// | `{0 TYPE, 8 TYPE}:16` | a struct of 16 bytes with members at these offsets; `4.3` is three bits further |
/// | `section {0+4 TYPE}:16` | a section with a variable of four bytes at its start |
#[derive(Clone, Debug)]
pub struct ValueType {
    /// The text.
    pub text: String,
    /// The types, as bytes.
    pub bytes: Vec<u8>,
    /// The value's.
    pub id: TypeId,
    /// A key's: a number of four bytes.
    pub key: TypeId,
    /// The bytes of the value.
    pub size: u32,
    /// Whether the values are sections of variables, of which an array has one.
    pub is_section: bool,
}

impl ValueType {
    /// Reads a text.
    ///
    /// # Errors
    /// What was wanted, and what was found.
    pub fn parse(text: &str) -> Result<ValueType, String> {
        let mut builder = Builder::new(Endian::NATIVE);
        let key = number(&mut builder, 4);
        let mut reader = Reader { rest: text.trim_start(), builder, key, depth: 0, names: 0 };
        let is_section = reader.eats("section");
        let (id, size) = if is_section { reader.members(true) } else { reader.ty() }?;
        if !reader.rest.is_empty() {
            return Err(format!("wanted the end, found `{}`", reader.rest));
        }
        let bytes = reader.builder.finish().map_err(|error| error.to_string())?;
        Btf::parse(&bytes).map_err(|error| error.to_string())?;
        Ok(ValueType { text: text.to_owned(), bytes, id, key, size, is_section })
    }

    /// What of the value is not the program's own, by the types of the small kernel.
    ///
    /// # Errors
    /// Why nothing of it can be used.
    pub fn special(&self) -> Result<Vec<Special>, SpecialError> {
        special_fields(&Btf::parse(&self.bytes)?, self.id, Some(&kernel().types))
    }

    /// A map of such values, with what is special in them: a hash by numbers of four bytes, or an array of one section.
    pub fn map<'a>(&self, special: &'a [Special]) -> MapProto<'a> {
        let (kind, max_entries) = if self.is_section { (MapType::ARRAY, 1) } else { (MapType::HASH, 16) };
        MapProto { special, max_entries, ..map(kind, 4, self.size) }
    }
}

fn number(builder: &mut Builder, bytes: u32) -> TypeId {
    let bits = u8::try_from(bytes.saturating_mul(8)).unwrap_or(u8::MAX);
    builder.int("int", Int { size: bytes, bits, offset: 0, encoding: IntEncoding::UNSIGNED })
}

struct Reader<'t> {
    rest: &'t str,
    builder: Builder,
    key: TypeId,
    depth: u32,
    /// How many variables have a name already.
    names: u32,
}

/// A type, and its bytes.
type Sized = (TypeId, u32);

impl<'t> Reader<'t> {
    fn eats(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(word) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn wants(&mut self, word: &str) -> Result<(), String> {
        if self.eats(word) { Ok(()) } else { Err(format!("wanted `{word}`, found `{}`", self.rest)) }
    }

    /// Takes what belongs to a word, or to a number.
    fn take(&mut self, belongs: fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn number(&mut self) -> Result<u32, String> {
        let digits = self.take(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| format!("wanted a number, found `{digits}{}`", self.rest))
    }

    fn ty(&mut self) -> Result<Sized, String> {
        if self.depth == DEPTH {
            return Err("it nests too deep".to_owned());
        }
        self.depth += 1;
        let found = self.any();
        self.depth -= 1;
        found
    }

    fn any(&mut self) -> Result<Sized, String> {
        if self.rest.starts_with('{') {
            return self.members(false);
        }
        if self.eats("*") {
            let tags = self.tags();
            let (mut target, _) = self.ty()?;
            for tag in tags.split('.').filter(|tag| !tag.is_empty()) {
                target = self.builder.type_tag(tag, TypeTag { target, style: TagStyle::Tag });
            }
            return Ok((self.builder.ptr(target), 8));
        }
        if self.eats("volatile ") {
            let (target, size) = self.ty()?;
            return Ok((self.builder.volatile(target), size));
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let len = self.number()?;
            self.wants("x")?;
            let (elem, size) = self.ty()?;
            let array = self.builder.array(Array { elem, index: self.key, len });
            return Ok((array, size.saturating_mul(len)));
        }
        let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
        self.wants(":")?;
        let size = self.number()?;
        let id = match name {
            "int" => number(&mut self.builder, size),
            name => self.builder.structure(name, size, &[]),
        };
        Ok((id, size))
    }

    /// Takes the words between a `*` and the type that has them for tags: no `:` follows them.
    fn tags(&mut self) -> &'t str {
        let before = self.rest;
        let tags = self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let is_type = self.rest.starts_with(':') || tags.starts_with(|c: char| c.is_ascii_digit());
        if is_type || tags == "volatile" {
            self.rest = before;
            return "";
        }
        tags
    }

    /// Reads a struct, or a section.
    fn members(&mut self, is_section: bool) -> Result<Sized, String> {
        self.wants("{")?;
        let (mut members, mut vars) = (Vec::new(), Vec::new());
        while !self.eats("}") {
            let offset = self.number()?;
            let bit = if self.eats(".") { self.number()? } else { 0 };
            let wanted = if self.eats("+") { Some(self.number()?) } else { None };
            let (type_id, size) = self.ty()?;
            if is_section {
                self.names += 1;
                let linkage = VarLinkage::Static;
                let var = self.builder.var(&format!("v{}", self.names), Var { type_id, linkage });
                vars.push(SecInfo { type_id: var, offset, size: wanted.unwrap_or(size) });
            }
            let bit_offset = offset.saturating_mul(8).saturating_add(bit);
            members.push(Member { name: "", type_id, bit_offset, bitfield: None });
            if !self.eats(",") && !self.rest.starts_with('}') {
                return Err(format!("wanted `,` or `}}`, found `{}`", self.rest));
            }
        }
        self.wants(":")?;
        let size = self.number()?;
        let id = match is_section {
            true => self.builder.datasec(".data.A", size, &vars),
            false => self.builder.structure("", size, &members),
        };
        Ok((id, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_verifier::SpecialKind;

    #[test]
    fn texts_are_types() {
        for (text, wanted) in [
            ("{0 bpf_spin_lock:4, 8 bpf_timer:16}:24", Ok(vec![0, 8])),
            ("{0 int:4, 8 {8 bpf_timer:16}:24}:32", Ok(vec![16])),
            ("{0 2x *kptr task_struct:0, 16 *volatile int:4}:24", Ok(vec![0, 8])),
            ("{0 *kptr.kptr task_struct:0}:8", Err(SpecialError::Misplaced { offset: 0 })),
            ("{0.3 int:4}:8", Err(SpecialError::Misplaced { offset: 0 })),
            ("section {4+4 bpf_spin_lock:4}:8", Ok(vec![4])),
            ("int:4", Err(SpecialError::NoStruct)),
        ] {
            let found = ValueType::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).special();
            let found = found.map(|fields| fields.iter().map(|field| field.offset).collect::<Vec<_>>());
            assert_eq!(found, wanted, "{text}");
        }
        let task = ValueType::parse("{0 *kptr task_struct:0}:8").unwrap().special().unwrap();
        assert!(matches!(task[0].kind, SpecialKind::Kptr { .. }), "{task:?}");
    }

    #[test]
    fn what_is_no_type_is_said() {
        for (text, wanted) in [
            ("int", "wanted `:`, found ``"),
            ("int:4 int:4", "wanted the end, found `int:4`"),
            ("{0 int:4 4 int:4}:8", "wanted `,` or `}`, found `4 int:4}:8`"),
            ("{int:4}:4", "wanted a number, found `int:4}:4`"),
            ("section int:4", "wanted `{`, found `int:4`"),
        ] {
            assert_eq!(ValueType::parse(text).unwrap_err(), wanted, "{text}");
        }
        assert!(ValueType::parse(&"*".repeat(1000)).is_err());
    }
}
