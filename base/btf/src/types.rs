//! What a type is: one value for each kind.

use core::fmt;
use core::num::NonZeroU8;

use crate::btf::{Btf, StrOff, TypeId};
use crate::kind::Kind;
use crate::list::List;

/// What a type is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Def<'b> {
    /// `void`, which has no record.
    Void,
    /// An integer, a character or a boolean.
    Int(Int),
    /// A pointer to that type.
    Ptr(TypeId),
    /// An array.
    Array(Array),
    /// A struct.
    Struct(Composite<'b>),
    /// A union.
    Union(Composite<'b>),
    /// An enumeration of either width.
    Enum(Enum<'b>),
    /// A forward declaration.
    Fwd(FwdKind),
    /// Another name for that type.
    Typedef(TypeId),
    /// That type, volatile.
    Volatile(TypeId),
    /// That type, constant.
    Const(TypeId),
    /// That type, restricted.
    Restrict(TypeId),
    /// A function.
    Func(Func),
    /// The prototype of a function.
    FuncProto(FuncProto<'b>),
    /// A variable.
    Var(Var),
    /// A section of variables.
    Datasec(Datasec<'b>),
    /// A floating-point number of that many bytes.
    Float(u32),
    /// A tag on a declaration.
    DeclTag(DeclTag),
    /// A tag on a type.
    TypeTag(TypeTag),
    /// A kind with that number, which only the layout section knows.
    Unknown(u8),
}

/// An integer, a character or a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    /// The size in bytes of what holds it.
    pub size: u32,
    /// The number of bits that count.
    pub bits: u8,
    /// The bit at which they start; every compiler writes 0.
    pub offset: u8,
    /// How the bits are read.
    pub encoding: IntEncoding,
}

/// How the bits of an integer are read (`BTF_INT_SIGNED`, `_CHAR`, `_BOOL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IntEncoding(pub u8);

impl IntEncoding {
    /// An unsigned number.
    pub const UNSIGNED: IntEncoding = IntEncoding(0);
    /// A signed number in two's complement.
    pub const SIGNED: IntEncoding = IntEncoding(1);
    /// A character.
    pub const CHAR: IntEncoding = IntEncoding(2);
    /// A boolean.
    pub const BOOL: IntEncoding = IntEncoding(4);

    /// Whether the number is signed.
    pub const fn is_signed(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it is a character.
    pub const fn is_char(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether it is a boolean.
    pub const fn is_bool(self) -> bool {
        self.0 & 4 != 0
    }
}

/// An array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// The type of an element.
    pub elem: TypeId,
    /// The type of an index.
    pub index: TypeId,
    /// The number of elements.
    pub len: u32,
}

/// Whether members may be bitfields whose width stands beside their offset (`kind_flag` of struct and union).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Offsets are bits; a bitfield's width is that of its integer type.
    Plain,
    /// Offsets are 24 bits, with the bitfield's width above them.
    Bitfields,
}

/// A struct or a union.
#[derive(Clone, Copy, Debug)]
pub struct Composite<'b> {
    /// The size in bytes.
    pub size: u32,
    /// How the members' offsets are stored.
    pub packing: Packing,
    /// The members.
    pub members: List<'b, Member<'b>>,
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'b> {
    /// The name; empty for an anonymous struct or union.
    pub name: &'b str,
    /// The type.
    pub type_id: TypeId,
    /// The offset in bits from the start of the struct.
    pub bit_offset: u32,
    /// The width of a bitfield in bits.
    pub bitfield: Option<NonZeroU8>,
}

/// The record that stores an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnumWidth {
    /// `BTF_KIND_ENUM`: values of 32 bits.
    Bits32,
    /// `BTF_KIND_ENUM64`: values of 64 bits.
    Bits64,
}

/// Whether numbers are signed (`kind_flag` of an enumeration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// No number is below zero.
    Unsigned,
    /// Numbers are in two's complement.
    Signed,
}

/// An enumeration of either width.
#[derive(Clone, Copy)]
pub struct Enum<'b> {
    /// The size in bytes of what holds it.
    pub size: u32,
    /// The record that stores it.
    pub width: EnumWidth,
    /// Whether its values are signed.
    pub sign: Sign,
    pub(crate) bytes: &'b [u8],
    pub(crate) btf: &'b Btf<'b>,
}

/// A named value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator<'b> {
    /// The name.
    pub name: &'b str,
    /// The value.
    pub value: i128,
}

/// What a forward declaration declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FwdKind {
    /// A struct.
    Struct,
    /// A union.
    Union,
}

/// The linkage of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FuncLinkage {
    /// Visible in its file only.
    Static,
    /// Visible everywhere; the kernel verifies it by itself.
    Global,
    /// Defined elsewhere: a kfunc.
    Extern,
    /// A number without a meaning.
    Other(u32),
}

impl FuncLinkage {
    /// The linkage that a number stands for (`BTF_FUNC_*`).
    pub const fn from_number(number: u32) -> FuncLinkage {
        match number {
            0 => FuncLinkage::Static,
            1 => FuncLinkage::Global,
            2 => FuncLinkage::Extern,
            other => FuncLinkage::Other(other),
        }
    }

    /// The number that stands for it.
    pub const fn number(self) -> u32 {
        match self {
            FuncLinkage::Static => 0,
            FuncLinkage::Global => 1,
            FuncLinkage::Extern => 2,
            FuncLinkage::Other(other) => other,
        }
    }
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Func {
    /// Its prototype.
    pub proto: TypeId,
    /// Its linkage.
    pub linkage: FuncLinkage,
}

/// The prototype of a function.
#[derive(Clone, Copy, Debug)]
pub struct FuncProto<'b> {
    /// What it returns.
    pub ret: TypeId,
    /// Its parameters; a last one without name and type stands for `...`.
    pub params: List<'b, Param<'b>>,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'b> {
    /// The name.
    pub name: &'b str,
    /// The type.
    pub type_id: TypeId,
}

/// The linkage of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VarLinkage {
    /// Visible in its file only.
    Static,
    /// Defined here and visible everywhere.
    Global,
    /// Defined elsewhere.
    Extern,
    /// A number without a meaning.
    Other(u32),
}

impl VarLinkage {
    /// The linkage that a number stands for (`BTF_VAR_*`).
    pub const fn from_number(number: u32) -> VarLinkage {
        match number {
            0 => VarLinkage::Static,
            1 => VarLinkage::Global,
            2 => VarLinkage::Extern,
            other => VarLinkage::Other(other),
        }
    }

    /// The number that stands for it.
    pub const fn number(self) -> u32 {
        match self {
            VarLinkage::Static => 0,
            VarLinkage::Global => 1,
            VarLinkage::Extern => 2,
            VarLinkage::Other(other) => other,
        }
    }
}

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var {
    /// Its type.
    pub type_id: TypeId,
    /// Its linkage.
    pub linkage: VarLinkage,
}

/// A section of variables.
#[derive(Clone, Copy, Debug)]
pub struct Datasec<'b> {
    /// The size in bytes; clang writes 0 and leaves it to the loader.
    pub size: u32,
    /// The variables (or, in `.ksyms`, functions) within it.
    pub vars: List<'b, SecInfo>,
}

/// The place of a variable in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecInfo {
    /// The variable.
    pub type_id: TypeId,
    /// The offset in bytes; clang writes 0 and leaves it to the loader.
    pub offset: u32,
    /// The size in bytes.
    pub size: u32,
}

/// Whether a tag came from `btf_type_tag`/`btf_decl_tag` or is an attribute of the compiler's (`kind_flag` of tags).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagStyle {
    /// The tag is BTF's own.
    Tag,
    /// The name is a compiler attribute, since Linux 6.15.
    Attribute,
}

/// A tag on a declaration; the tag itself is the type's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclTag {
    /// The struct, union, variable, typedef or function that carries it.
    pub target: TypeId,
    /// The member or parameter that carries it, or else the whole.
    pub component: Option<u32>,
    /// Where it came from.
    pub style: TagStyle,
}

/// A tag on a type; the tag itself is the type's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeTag {
    /// The type that carries it.
    pub target: TypeId,
    /// Where it came from.
    pub style: TagStyle,
}

impl<'b> Enum<'b> {
    /// The number of named values.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.stride()
    }

    /// Whether no value has a name.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The named value at `index`.
    pub fn value(&self, index: usize) -> Option<Enumerator<'b>> {
        let start = index.checked_mul(self.stride())?;
        self.bytes.get(start..start.checked_add(self.stride())?).map(|bytes| self.read(bytes))
    }

    /// Iterates over the named values.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Enumerator<'b>> + use<'b> {
        let this = *self;
        self.bytes.chunks_exact(self.stride()).map(move |bytes| this.read(bytes))
    }

    fn read(&self, bytes: &'b [u8]) -> Enumerator<'b> {
        let word = |at| self.btf.endian().word(bytes, at);
        let value = match (self.width, self.sign) {
            (EnumWidth::Bits32, Sign::Unsigned) => i128::from(word(4)),
            (EnumWidth::Bits32, Sign::Signed) => i128::from(word(4) as i32),
            (EnumWidth::Bits64, Sign::Unsigned) => i128::from(u64::from(word(8)) << 32 | u64::from(word(4))),
            (EnumWidth::Bits64, Sign::Signed) => {
                i128::from((u64::from(word(8)) << 32 | u64::from(word(4))) as i64)
            }
        };
        Enumerator { name: self.btf.name(StrOff(word(0))), value }
    }

    fn stride(&self) -> usize {
        match self.width {
            EnumWidth::Bits32 => Kind::Enum.elem_size(),
            EnumWidth::Bits64 => Kind::Enum64.elem_size(),
        }
    }
}

impl fmt::Debug for Enum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enum ")?;
        f.debug_map().entries(self.values().map(|item| (item.name, item.value))).finish()
    }
}
