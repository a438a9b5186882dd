//! What stands between braces: members with what pads them, and enumerators.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use crate::error::{Error, Problem};
use crate::record::Type;
use crate::types::{Composite, Def, Enum};

use super::shape::{Form, Shape, Slot};
use super::{CPrinter, words};

/// The longest gap in bits that is filled with unnamed bitfields, line by line.
const MOST_BITFIELDS: u64 = 64 * 128;

/// Types of unnamed bitfields, by their bits.
const FILLERS: [(u64, &str); 4] = [(64, "long"), (32, "int"), (16, "short"), (8, "char")];

impl<'b> CPrinter<'b> {
    /// The definition of a struct, union or enumeration under that tag, without a semicolon.
    pub(super) fn body(&mut self, ty: Type<'b>, tag: &str, depth: usize) -> Result<String, Error> {
        let space = if tag.is_empty() { "" } else { " " };
        match ty.def() {
            Def::Struct(composite) => {
                let inside = self.members(ty, composite, depth)?;
                Ok(format!("struct{space}{tag} {inside}"))
            }
            Def::Union(composite) => {
                let inside = self.members(ty, composite, depth)?;
                Ok(format!("union{space}{tag} {inside}"))
            }
            Def::Enum(item) => {
                let inside = self.enumerators(ty, item, depth)?;
                Ok(format!("enum{space}{tag} {inside}"))
            }
            _ => Err(ty.wrong_kind("struct, union or enum")),
        }
    }

    fn members(&mut self, ty: Type<'b>, composite: Composite<'b>, depth: usize) -> Result<String, Error> {
        let shape = self.shapes.shape(ty)?;
        let slots = self.shapes.slots(composite)?;
        let size = u64::from(composite.size) * 8;
        let indent = "\t".repeat(depth + 1);
        let mut text = String::from("{\n");
        match (shape.form, ty.def()) {
            (Form::Bytes, _) => {
                // Writing to a String does not fail, here and below.
                let _ = writeln!(text, "{indent}/* C cannot lay out its members */");
                let _ = writeln!(text, "{indent}unsigned char __bytes[{}];", composite.size);
            }
            (_, Def::Union(_)) => {
                for slot in &slots {
                    self.member(&mut text, ty, slot, depth)?;
                }
                let most = slots.iter().map(|slot| slot.len.next_multiple_of(8)).max().unwrap_or(0);
                if shape.form == Form::Packed && most < size {
                    let _ = writeln!(text, "{indent}unsigned char __pad[{}];", composite.size);
                }
            }
            _ => {
                let mut at = 0;
                for slot in &slots {
                    if place(shape, slot, at) != slot.start {
                        pad(&mut text, &indent, at, slot.start);
                    }
                    self.member(&mut text, ty, slot, depth)?;
                    at = slot.end();
                }
                if at.next_multiple_of(u64::from(shape.align) * 8) != size {
                    pad(&mut text, &indent, at, size);
                }
            }
        }
        let _ = write!(text, "{}}}", "\t".repeat(depth));
        match shape.form {
            Form::Packed => text.push_str(" __attribute__((packed))"),
            Form::Aligned(align) => {
                let _ = write!(text, " __attribute__((aligned({align})))");
            }
            Form::Natural | Form::Bytes => {}
        }
        text.push_str(&self.tags.attributes(ty.id(), None));
        Ok(text)
    }

    fn member(
        &mut self,
        text: &mut String,
        of: Type<'b>,
        slot: &Slot<'b>,
        depth: usize,
    ) -> Result<(), Error> {
        self.spend(of)?;
        let member = slot.member;
        let declaration = match member.name {
            // A struct that is a member without a name of its own brings its members along, under whatever tag.
            "" => {
                let inner = self.btf.resolve(member.type_id)?;
                if depth >= super::MAX_INLINE {
                    return Err(inner.error(Problem::TooDeep));
                }
                self.body(inner, "", depth + 1)?
            }
            name => {
                let name = match words::identifier(name) {
                    clean if clean == name => clean,
                    // It must not meet another member's.
                    clean => format!("{clean}_{}", slot.start).into(),
                };
                self.declaration(member.type_id, &name, depth + 1)?
            }
        };
        let _ = write!(text, "{}{declaration}", "\t".repeat(depth + 1));
        if slot.unit.is_some() {
            let _ = write!(text, ": {}", slot.len);
        }
        text.push_str(&self.tags.attributes(of.id(), Some(slot.index)));
        text.push_str(";\n");
        Ok(())
    }

    fn enumerators(&mut self, ty: Type<'b>, item: Enum<'b>, depth: usize) -> Result<String, Error> {
        let indent = "\t".repeat(depth + 1);
        let mut text = String::from("{\n");
        let (mut least, mut most) = (0, 0);
        for each in item.values() {
            self.spend(ty)?;
            let name = self.names.enumerator(each.name);
            let _ = writeln!(text, "{indent}{name} = {},", Number(each.value));
            (least, most) = (each.value.min(least), each.value.max(most));
        }
        if item.is_empty() {
            // C has no enumeration without values, and BTF has no other declaration of one than that.
            let _ = writeln!(text, "{indent}__unknown_enumerator_{} = 0,", ty.id().0);
        }
        let _ = write!(text, "{}}}", "\t".repeat(depth));
        text.push_str(mode(item.size, least, most));
        text.push_str(&self.tags.attributes(ty.id(), None));
        Ok(text)
    }
}

/// Where the compiler puts a member, having come to the bit `at`.
fn place(shape: Shape, slot: &Slot<'_>, at: u64) -> u64 {
    match (shape.form, slot.unit) {
        (Form::Packed, Some(_)) => at,
        (Form::Packed, None) => at.next_multiple_of(8),
        _ => slot.natural_start(at),
    }
}

/// Fills the bits between two members. Unnamed bitfields are no members for BTF, and align nothing.
fn pad(text: &mut String, indent: &str, mut at: u64, end: u64) {
    if end - at > MOST_BITFIELDS {
        if at % 8 != 0 {
            let _ = writeln!(text, "{indent}char: {};", 8 - at % 8);
            at = at.next_multiple_of(8);
        }
        let _ = writeln!(text, "{indent}unsigned char __pad{}[{}];", at / 8, (end - at) / 8);
        at += (end - at) / 8 * 8;
    }
    while at < end {
        let fits = |bits: u64| at % bits == 0 && bits <= end - at;
        let (bits, word) = match FILLERS.iter().find(|(bits, _)| fits(*bits)) {
            Some(&filler) => filler,
            None => ((8 - at % 8).min(end - at), "char"),
        };
        let _ = writeln!(text, "{indent}{word}: {bits};");
        at += bits;
    }
}

/// The attribute that gives an enumeration its size, where its values alone would not: clang takes 32 bits, or 64 if they
/// do not fit.
fn mode(size: u32, least: i128, most: i128) -> &'static str {
    let is_wide = least < i128::from(i32::MIN)
        || most > i128::from(u32::MAX)
        || (least < 0 && most > i128::from(i32::MAX));
    match (size, is_wide) {
        (1, _) => " __attribute__((mode(byte)))",
        (2, _) => " __attribute__((mode(HI)))",
        (4, true) => " __attribute__((mode(SI)))",
        (8, false) => " __attribute__((mode(DI)))",
        _ => "",
    }
}

/// An integer as a literal that has its value in C.
struct Number(i128);

impl core::fmt::Display for Number {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let value = self.0;
        if value == i128::from(i64::MIN) {
            return f.write_str("(-9223372036854775807LL - 1)");
        }
        let suffix = match value {
            _ if value > i128::from(u32::MAX) => "ULL",
            _ if value < i128::from(i32::MIN) => "LL",
            _ => "",
        };
        write!(f, "{value}{suffix}")
    }
}
