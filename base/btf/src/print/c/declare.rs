//! Declarations: a name in the midst of its type, as C has it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use crate::btf::TypeId;
use crate::error::{Error, Problem};
use crate::record::Type;
use crate::types::{Def, FuncProto, FwdKind, TagStyle};

use super::names::{Form, TagKind};
use super::words::{self, Spelling};
use super::{CPrinter, MAX_INLINE};

/// What stands beside a type: qualifiers before a name and behind a star, attributes always behind.
#[derive(Default)]
struct Beside {
    is_const: bool,
    is_volatile: bool,
    is_restrict: bool,
    attributes: String,
}

impl Beside {
    /// The qualifiers, each with a space behind it. Only pointers are restricted.
    fn qualifiers(&self, of_pointer: bool) -> String {
        let words = [
            (self.is_const, "const "),
            (self.is_volatile, "volatile "),
            (self.is_restrict && of_pointer, "restrict "),
        ];
        words.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect()
    }
}

/// The attribute that a tag stands for, with a space before it; nothing for one that is the compiler's own and whose text
/// would end the attribute.
pub(super) fn attribute(kind: &str, name: &str, style: TagStyle) -> String {
    match style {
        TagStyle::Tag => format!(" __attribute__(({kind}({})))", Quoted(name)),
        TagStyle::Attribute if is_contained(name) => format!(" __attribute__(({name}))"),
        TagStyle::Attribute => String::new(),
    }
}

/// Whether text is words, numbers and balanced parentheses.
fn is_contained(text: &str) -> bool {
    let mut open: u32 = 0;
    let goes_on = text.bytes().all(|byte| match byte {
        b'(' => {
            open += 1;
            true
        }
        b')' => match open.checked_sub(1) {
            Some(fewer) => {
                open = fewer;
                true
            }
            None => false,
        },
        _ => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b' '),
    });
    goes_on && open == 0
}

/// Text as a string literal.
pub(super) struct Quoted<'t>(pub(super) &'t str);

impl core::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_char('"')?;
        for byte in self.0.bytes() {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\{byte:03o}")?,
            }
        }
        f.write_char('"')
    }
}

impl<'b> CPrinter<'b> {
    /// The declaration of `name` as a thing of that type, without a semicolon. `depth` counts the structs and prototypes around it.
    pub(super) fn declaration(&mut self, id: TypeId, name: &str, depth: usize) -> Result<String, Error> {
        let mut inner = name.to_owned();
        let mut beside = Beside::default();
        let mut ty = self.btf.ty(id)?;
        loop {
            self.spend(ty)?;
            if inner.len() > MAX_DECLARATOR {
                return Err(ty.error(Problem::TooComplex));
            }
            let next = match ty.def() {
                Def::Ptr(target) => {
                    inner = pointer(&beside, &inner);
                    beside = Beside::default();
                    target
                }
                Def::Const(target) => {
                    beside.is_const = true;
                    target
                }
                Def::Volatile(target) => {
                    beside.is_volatile = true;
                    target
                }
                Def::Restrict(target) => {
                    beside.is_restrict = true;
                    target
                }
                Def::TypeTag(tag) => {
                    beside.attributes.push_str(&attribute("btf_type_tag", ty.name(), tag.style));
                    tag.target
                }
                Def::Array(array) => {
                    inner = format!("{}[{}]", in_parentheses(inner), array.len);
                    array.elem
                }
                // A prototype may be its own parameter.
                Def::FuncProto(_) if depth > MAX_INLINE => return Err(ty.error(Problem::TooDeep)),
                Def::FuncProto(proto) => {
                    inner = format!("{}({})", in_parentheses(inner), self.parameters(proto, depth)?);
                    // Functions have no qualifiers, and their attributes are not BTF's.
                    beside = Beside::default();
                    proto.ret
                }
                _ => break,
            };
            ty = self.btf.ty(next)?;
        }
        let base = self.base(ty, depth)?;
        let space = if inner.is_empty() { "" } else { " " };
        Ok(format!("{}{base}{}{space}{inner}", beside.qualifiers(false), beside.attributes))
    }

    fn parameters(&mut self, proto: FuncProto<'b>, depth: usize) -> Result<String, Error> {
        if proto.params.is_empty() {
            return Ok("void".to_owned());
        }
        let last = proto.params.len() - 1;
        let mut text = String::new();
        for (index, param) in proto.params.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            match param.type_id.is_void() && param.name.is_empty() && index == last {
                // C before C23 has no function whose only parameter is that.
                true if index == 0 => {}
                true => text.push_str("..."),
                false => {
                    let name = match param.name {
                        "" => "".into(),
                        name => words::identifier(name),
                    };
                    text.push_str(&self.declaration(param.type_id, &name, depth + 1)?);
                }
            }
        }
        Ok(text)
    }

    /// What stands at the left of a declaration.
    fn base(&mut self, ty: Type<'b>, depth: usize) -> Result<String, Error> {
        let (kind, form) = match ty.def() {
            Def::Void => return Ok("void".to_owned()),
            Def::Int(int) => return Ok(self.number(ty, words::integer(ty.name(), int))),
            Def::Float(size) => return Ok(self.number(ty, words::float(size))),
            Def::Typedef(_) if self.is_defined(ty.id()) => {
                return Ok(self.names.ident(ty.id(), ty.name()).into_owned());
            }
            // It needs itself.
            Def::Typedef(_) => return Err(ty.error(Problem::Loop)),
            Def::Struct(_) => (TagKind::Struct, Form::Defined),
            Def::Union(_) => (TagKind::Union, Form::Defined),
            Def::Enum(_) => (TagKind::Enum, Form::Defined),
            Def::Fwd(FwdKind::Struct) => (TagKind::Struct, Form::Forward),
            Def::Fwd(FwdKind::Union) => (TagKind::Union, Form::Forward),
            _ => return Err(ty.wrong_kind("a type that a variable may have")),
        };
        if !ty.name().is_empty() {
            return Ok(format!("{} {}", kind.word(), self.names.tag(ty.id(), ty.name(), kind, form)));
        }
        if depth > MAX_INLINE {
            return Err(ty.error(Problem::TooDeep));
        }
        self.body(ty, "", depth)
    }

    fn number(&mut self, ty: Type<'b>, spelling: Spelling<'b>) -> String {
        match spelling {
            Spelling::Words(words) => words.to_owned(),
            Spelling::Named(_) | Spelling::Bytes => self.names.ident(ty.id(), ty.name()).into_owned(),
        }
    }
}

/// How long the part of a declaration around its name may get.
const MAX_DECLARATOR: usize = 1 << 16;

fn pointer(beside: &Beside, inner: &str) -> String {
    let qualifiers = beside.qualifiers(true);
    match beside.attributes.as_str() {
        "" if inner.is_empty() => format!("*{}", qualifiers.trim_end()),
        "" => format!("*{qualifiers}{inner}"),
        attributes => format!("*{}{attributes} {inner}", qualifiers.trim_end()),
    }
}

/// Arrays and functions bind more tightly than stars.
fn in_parentheses(inner: String) -> String {
    if inner.starts_with('*') { format!("({inner})") } else { inner }
}
