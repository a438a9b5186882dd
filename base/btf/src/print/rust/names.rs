//! Which name each type goes by: Rust has one place for structs, unions and aliases, and keywords of its own.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::btf::TypeId;

/// The keywords that may stand behind `r#` (Rust reference, "Keywords").
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Words that mean something else wherever they stand, or that this printer writes itself.
const TAKEN: [&str; 24] = [
    "self", "Self", "super", "crate", "_", "core", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32",
    "u64", "u128", "f32", "f64", "bool", "char", "str", "usize", "isize", "assert",
];

/// Makes a name an identifier of Rust.
pub(super) fn identifier(name: &str) -> String {
    if KEYWORDS.contains(&name) {
        return format!("r#{name}");
    }
    if TAKEN.contains(&name) {
        return format!("{name}_");
    }
    let mut clean = String::new();
    if name.bytes().next().is_none_or(|byte| byte.is_ascii_digit()) {
        clean.push('_');
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    clean.extend(name.bytes().map(|byte| if is_word(byte) { char::from(byte) } else { '_' }));
    if clean == "_" { "__".to_owned() } else { clean }
}

/// The names that are taken, and by what.
#[derive(Default)]
pub(super) struct Names {
    of: BTreeMap<TypeId, String>,
    last: BTreeMap<String, u32>,
}

impl Names {
    /// The name of a type that has one already.
    pub(super) fn known(&self, id: TypeId) -> Option<&str> {
        self.of.get(&id).map(String::as_str)
    }

    /// The name of a type; `wanted` the first time, if it is free.
    pub(super) fn name(&mut self, id: TypeId, wanted: &str) -> String {
        if let Some(name) = self.of.get(&id) {
            return name.clone();
        }
        let name = self.claim(wanted);
        self.of.insert(id, name.clone());
        name
    }

    /// Takes a name that no type has, such as a constant's.
    pub(super) fn claim(&mut self, wanted: &str) -> String {
        let clean = identifier(wanted);
        let Some(&last) = self.last.get(&clean) else {
            self.last.insert(clean.clone(), 1);
            return clean;
        };
        let plain = clean.trim_start_matches("r#").to_owned();
        let mut number = last + 1;
        while self.last.contains_key(&format!("{plain}___{number}")) {
            number += 1;
        }
        let name = format!("{plain}___{number}");
        self.last.insert(name.clone(), 1);
        self.last.insert(clean, number);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_and_each_is_there_once() {
        let mut names = Names::default();
        assert_eq!(names.name(TypeId(1), "type"), "r#type");
        assert_eq!(names.name(TypeId(2), "type"), "type___2");
        assert_eq!(names.name(TypeId(1), "type"), "r#type");
        assert_eq!(names.name(TypeId(3), "u32"), "u32_");
        assert_eq!(names.name(TypeId(4), "a.b<c>"), "a_b_c_");
        assert_eq!(names.claim("9p"), "_9p");
        assert_eq!((identifier("_"), identifier("self")), ("__".to_owned(), "self_".to_owned()));
    }
}
