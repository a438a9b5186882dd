//! The words of C: its keywords, its numbers and their sizes on the BPF target.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use crate::types::{Int, IntEncoding};

/// The keywords of C17 and of the GNU dialect (ISO/IEC 9899:2018, 6.4.1; clang's `TokenKinds.def`), in order. Those that C23
/// adds are none here: kernels have types and values of these names.
const KEYWORDS: [&str; 50] = [
    "_Alignas",
    "_Alignof",
    "_Atomic",
    "_Bool",
    "_Complex",
    "_Generic",
    "_Imaginary",
    "_Noreturn",
    "_Static_assert",
    "_Thread_local",
    "__int128",
    "asm",
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "typeof",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
    "__attribute__",
    "__extension__",
    "__typeof__",
];

/// The suffix that CO-RE leaves out of a type's name, with which names that C cannot have are told apart.
pub(super) const FLAVOUR: &str = "___";

/// What is the compiler's own: kernels have a `__builtin_va_list` that is laid out as on their machine, not as on the BPF target.
const BUILTIN: &str = "__builtin_";

/// Makes a name an identifier of C: other bytes become `_`, keywords get a flavour.
pub(super) fn identifier(name: &str) -> Cow<'_, str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    let starts = name.as_bytes().first().is_some_and(|byte| !byte.is_ascii_digit());
    if KEYWORDS.contains(&name) || name.starts_with(BUILTIN) {
        return Cow::Owned(format!("{name}{FLAVOUR}1"));
    }
    if starts && name.bytes().all(is_word) {
        return Cow::Borrowed(name);
    }
    let mut clean = String::from(if starts { "" } else { "_" });
    clean.extend(name.bytes().map(|byte| if is_word(byte) { char::from(byte) } else { '_' }));
    Cow::Owned(clean)
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling<'b> {
    /// In words of C.
    Words(&'b str),
    /// By a name that a typedef has to give, in these words.
    Named(&'static str),
    /// By a name that a typedef has to give, as so many bytes.
    Bytes,
}

/// Says how an integer is written: the name that BTF has, if it is C's and means that size.
pub(super) fn integer<'b>(name: &'b str, int: Int) -> Spelling<'b> {
    let known = by_size(int.size, int.encoding);
    match (size_of_words(name), known) {
        (Some(size), _) if size == int.size => Spelling::Words(name),
        (_, None) => Spelling::Bytes,
        (Some(_), Some(words)) => Spelling::Words(words),
        (None, Some(words)) if name.is_empty() => Spelling::Words(words),
        (None, Some(words)) => Spelling::Named(words),
    }
}

/// Says how a floating-point number is written. The BPF target has no others than these; a `long double` of x86 is 16 bytes
/// there, and takes as many.
pub(super) fn float(size: u32) -> Spelling<'static> {
    match size {
        4 => Spelling::Words("float"),
        8 => Spelling::Words("double"),
        16 => Spelling::Words("__int128"),
        2 => Spelling::Words("unsigned short"),
        _ => Spelling::Bytes,
    }
}

fn by_size(size: u32, encoding: IntEncoding) -> Option<&'static str> {
    let (signed, unsigned) = match size {
        1 if encoding.is_bool() => ("_Bool", "_Bool"),
        1 => ("signed char", "unsigned char"),
        2 => ("short", "unsigned short"),
        4 => ("int", "unsigned int"),
        8 => ("long long", "unsigned long long"),
        16 => ("__int128", "unsigned __int128"),
        _ => return None,
    };
    Some(if encoding.is_signed() { signed } else { unsigned })
}

/// The size on the BPF target of a type whose name is made of C's words only.
fn size_of_words(name: &str) -> Option<u32> {
    const SIZES: [(&str, u32); 7] =
        [("char", 1), ("_Bool", 1), ("short", 2), ("__int128", 16), ("long", 8), ("int", 4), ("signed", 4)];
    let has = |wanted: &str| name.split(' ').any(|word| word == wanted);
    let only_words = name
        .split(' ')
        .all(|word| matches!(word, "unsigned") || SIZES.iter().any(|(known, _)| *known == word));
    let size = SIZES.iter().find(|(word, _)| has(word)).map_or(4, |(_, size)| *size);
    only_words.then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(size: u32, encoding: IntEncoding) -> Int {
        Int { size, bits: 0, offset: 0, encoding }
    }

    #[test]
    fn names_become_identifiers() {
        assert_eq!(identifier("task_struct"), "task_struct");
        assert_eq!(identifier("int"), "int___1");
        assert_eq!(identifier("Option<u8>"), "Option_u8_");
        assert_eq!(identifier("9p"), "_9p");
        assert_eq!(identifier(""), "_");
        assert_eq!(identifier("größe"), "gr____e");
    }

    #[test]
    fn integers_keep_their_names_if_c_has_them_in_that_size() {
        let unsigned = |size| int(size, IntEncoding::UNSIGNED);
        assert_eq!(integer("long unsigned int", unsigned(8)), Spelling::Words("long unsigned int"));
        assert_eq!(integer("long unsigned int", unsigned(4)), Spelling::Words("unsigned int"));
        assert_eq!(integer("unsigned", unsigned(4)), Spelling::Words("unsigned"));
        assert_eq!(integer("__int128 unsigned", unsigned(16)), Spelling::Words("__int128 unsigned"));
        assert_eq!(integer("u8", unsigned(1)), Spelling::Named("unsigned char"));
        assert_eq!(integer("ssizetype", int(8, IntEncoding::SIGNED)), Spelling::Named("long long"));
        assert_eq!(integer("bool", int(1, IntEncoding::BOOL)), Spelling::Named("_Bool"));
        assert_eq!(integer("u24", unsigned(3)), Spelling::Bytes);
    }
}
