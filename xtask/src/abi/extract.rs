//! A small BTF with some types of a large one.

use anyhow::{Context, Result, bail};
use skep_btf::{Btf, Kind, TypeId};
use std::collections::HashMap;

/// The bytes of a type's common part: name, kind and count, size or type.
const COMMON: usize = 12;
/// The bytes of `struct btf_header`.
const HEADER: u32 = 24;

/// Copies the types with these names, and all that they contain by value. Pointers to those point to them, others to
/// `void`.
///
/// The result depends on the types alone, not on where they lie in the large one.
pub(super) fn extract(btf: &Btf<'_>, roots: &[(Kind, &str)]) -> Result<Vec<u8>> {
    if u16::from_ne_bytes(btf.bytes()[..2].try_into()?) != 0xeb9f {
        bail!("the BTF is of the other byte order");
    }
    let mut copy = Copy {
        btf,
        ids: HashMap::new(),
        order: Vec::new(),
        roots: roots.len(),
        strings: vec![0],
        known: HashMap::new(),
    };
    for &(kind, name) in roots {
        let id = btf.find(name, kind).with_context(|| format!("the BTF has no {} {name}", kind.name()))?;
        copy.take(id)?;
    }
    let mut types = Vec::new();
    let mut at = 0;
    while at < copy.order.len() {
        let id = copy.order[at];
        types.extend(copy.record(id)?);
        at += 1;
    }
    copy.strings.resize(copy.strings.len().next_multiple_of(4), 0);
    let (type_len, string_len) = (u32::try_from(types.len())?, u32::try_from(copy.strings.len())?);
    let mut bytes = Vec::new();
    bytes.extend(0xeb9fu16.to_ne_bytes());
    bytes.extend([1, 0]);
    for word in [HEADER, 0, type_len, type_len, string_len] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(types);
    bytes.extend(copy.strings);
    Ok(bytes)
}

struct Copy<'b> {
    btf: &'b Btf<'b>,
    /// Where each type taken goes.
    ids: HashMap<TypeId, u32>,
    order: Vec<TypeId>,
    /// How many of them were asked for by name.
    roots: usize,
    strings: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Copy<'_> {
    fn take(&mut self, id: TypeId) -> Result<u32> {
        if id.is_void() {
            return Ok(0);
        }
        if let Some(&taken) = self.ids.get(&id) {
            return Ok(taken);
        }
        self.order.push(id);
        let new = u32::try_from(self.order.len())?;
        self.ids.insert(id, new);
        Ok(new)
    }

    fn record(&mut self, id: TypeId) -> Result<Vec<u8>> {
        let ty = self.btf.ty(id)?;
        let mut record = ty.bytes().to_vec();
        let kind = ty.kind().with_context(|| format!("type {} is of an unknown kind", id.0))?;
        self.name(&mut record, 0)?;
        match kind {
            Kind::Int | Kind::Float => {}
            Kind::Ptr => {
                let target = self.wanted(TypeId(word(&record, 8)?))?;
                record[8..COMMON].copy_from_slice(&target.to_ne_bytes());
            }
            Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                self.refer(&mut record, 8)?;
            }
            Kind::Array => {
                self.refer(&mut record, COMMON)?;
                self.refer(&mut record, COMMON + 4)?;
            }
            Kind::Struct | Kind::Union => {
                for member in (COMMON..record.len()).step_by(12) {
                    self.name(&mut record, member)?;
                    self.refer(&mut record, member + 4)?;
                }
            }
            Kind::Enum => {
                for value in (COMMON..record.len()).step_by(8) {
                    self.name(&mut record, value)?;
                }
            }
            Kind::Enum64 => {
                for value in (COMMON..record.len()).step_by(12) {
                    self.name(&mut record, value)?;
                }
            }
            other => bail!("type {} is a {}, which no struct contains by value", id.0, other.name()),
        }
        Ok(record)
    }

    /// Where what a pointer points to goes, if that is among the types with the names that were asked for.
    ///
    /// Those come first, so nothing depends on what else has been taken by now.
    fn wanted(&self, target: TypeId) -> Result<u32> {
        let is_record = matches!(self.btf.ty(target)?.kind(), Some(Kind::Struct | Kind::Union));
        let taken = self.ids.get(&target).copied();
        Ok(taken.filter(|&new| is_record && new as usize <= self.roots).unwrap_or(0))
    }

    fn refer(&mut self, record: &mut [u8], at: usize) -> Result<()> {
        let old = word(record, at)?;
        let new = self.take(TypeId(old))?;
        record[at..at + 4].copy_from_slice(&new.to_ne_bytes());
        Ok(())
    }

    fn name(&mut self, record: &mut [u8], at: usize) -> Result<()> {
        let old = skep_btf::StrOff(word(record, at)?);
        let text = self.btf.string(old).context("a name lies outside the strings")?.to_vec();
        let new = match self.known.get(&text) {
            _ if text.is_empty() => 0,
            Some(&new) => new,
            None => {
                let new = u32::try_from(self.strings.len())?;
                self.strings.extend(&text);
                self.strings.push(0);
                self.known.insert(text, new);
                new
            }
        };
        record[at..at + 4].copy_from_slice(&new.to_ne_bytes());
        Ok(())
    }
}

fn word(record: &[u8], at: usize) -> Result<u32> {
    let bytes = record.get(at..at + 4).context("a record is cut short")?;
    Ok(u32::from_ne_bytes(bytes.try_into()?))
}
