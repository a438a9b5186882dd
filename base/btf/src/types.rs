//! The typed meaning of a record.

use core::fmt;
use core::num::NonZeroU8;

use crate::btf::{Btf, RECORD, StrOff, TypeId, kind_number};
use crate::error::{Error, Problem};
use crate::kind::Kind;
use crate::list::{Item, KindFlag, List, sealed::Sealed};

/// A type of some BTF: its identifier, its name, and through [`Type::def`] its meaning.
#[derive(Clone, Copy)]
pub struct Type<'b> {
    btf: &'b Btf<'b>,
    id: TypeId,
    record: &'b [u8],
}

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
    bytes: &'b [u8],
    btf: &'b Btf<'b>,
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

impl<'b> Type<'b> {
    #[inline]
    pub(crate) fn new(btf: &'b Btf<'b>, id: TypeId, record: &'b [u8]) -> Type<'b> {
        Type { btf, id, record }
    }

    pub(crate) fn void(btf: &'b Btf<'b>) -> Type<'b> {
        Type { btf, id: TypeId::VOID, record: &[] }
    }

    /// Its identifier.
    #[inline]
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// The BTF it belongs to, or the base of the one it was asked of.
    pub fn btf(&self) -> &'b Btf<'b> {
        self.btf
    }

    /// Its name; empty where it has none.
    #[inline]
    pub fn name(&self) -> &'b str {
        self.btf.name(self.name_off())
    }

    /// Where its name is stored.
    #[inline]
    pub fn name_off(&self) -> StrOff {
        StrOff(self.word(0))
    }

    /// Its kind; `None` for `void` and for kinds that only the layout section knows.
    #[inline]
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number(kind_number(self.word(4)))
    }

    /// Its whole record.
    pub fn bytes(&self) -> &'b [u8] {
        self.record
    }

    /// What it is.
    pub fn def(&self) -> Def<'b> {
        let third = self.word(8);
        let target = TypeId(third);
        let Some(kind) = self.kind() else {
            return if self.id.is_void() { Def::Void } else { Def::Unknown(kind_number(self.word(4))) };
        };
        match kind {
            Kind::Int => Def::Int(self.int(third)),
            Kind::Ptr => Def::Ptr(target),
            Kind::Array => Def::Array(Array {
                elem: TypeId(self.word(RECORD)),
                index: TypeId(self.word(RECORD + 4)),
                len: self.word(RECORD + 8),
            }),
            Kind::Struct => Def::Struct(self.composite(third)),
            Kind::Union => Def::Union(self.composite(third)),
            Kind::Enum => Def::Enum(self.enumeration(third, EnumWidth::Bits32)),
            Kind::Enum64 => Def::Enum(self.enumeration(third, EnumWidth::Bits64)),
            Kind::Fwd => Def::Fwd(match self.flag() {
                KindFlag::Clear => FwdKind::Struct,
                KindFlag::Set => FwdKind::Union,
            }),
            Kind::Typedef => Def::Typedef(target),
            Kind::Volatile => Def::Volatile(target),
            Kind::Const => Def::Const(target),
            Kind::Restrict => Def::Restrict(target),
            // The linkage of a function stands where other kinds count elements.
            Kind::Func => Def::Func(Func {
                proto: target,
                linkage: FuncLinkage::from_number(crate::btf::vlen(self.word(4))),
            }),
            Kind::FuncProto => Def::FuncProto(FuncProto { ret: target, params: self.elems(kind) }),
            Kind::Var => {
                Def::Var(Var { type_id: target, linkage: VarLinkage::from_number(self.word(RECORD)) })
            }
            Kind::Datasec => Def::Datasec(Datasec { size: third, vars: self.elems(kind) }),
            Kind::Float => Def::Float(third),
            Kind::DeclTag => Def::DeclTag(DeclTag {
                target,
                component: Some(self.word(RECORD)).filter(|&index| index != u32::MAX),
                style: self.style(),
            }),
            Kind::TypeTag => Def::TypeTag(TypeTag { target, style: self.style() }),
        }
    }

    /// The struct or union it is.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is neither.
    pub fn as_composite(&self) -> Result<Composite<'b>, Error> {
        match self.def() {
            Def::Struct(composite) | Def::Union(composite) => Ok(composite),
            _ => Err(self.wrong_kind("struct or union")),
        }
    }

    /// The section of variables it is.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is none.
    pub fn as_datasec(&self) -> Result<Datasec<'b>, Error> {
        match self.def() {
            Def::Datasec(datasec) => Ok(datasec),
            _ => Err(self.wrong_kind("datasec")),
        }
    }

    /// The function prototype it is.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is none.
    pub fn as_func_proto(&self) -> Result<FuncProto<'b>, Error> {
        match self.def() {
            Def::FuncProto(proto) => Ok(proto),
            _ => Err(self.wrong_kind("func_proto")),
        }
    }

    /// The type that it is another form of: what a typedef, a qualifier or a type tag refers to.
    #[inline]
    pub fn modified(&self) -> Option<TypeId> {
        match self.kind()? {
            Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                Some(TypeId(self.word(8)))
            }
            _ => None,
        }
    }

    pub(crate) fn wrong_kind(&self, wanted: &'static str) -> Error {
        self.error(Problem::WrongKind { wanted, found: self.kind() })
    }

    /// An error at this type's record.
    pub(crate) fn error(&self, problem: Problem) -> Error {
        Error::of(self.id, self.btf.record_offset(self.id), problem)
    }

    /// The info word.
    pub(crate) fn info(&self) -> u32 {
        self.word(4)
    }

    /// The size, the type, or what stands where kinds that have neither would have them.
    pub(crate) fn third(&self) -> u32 {
        self.word(8)
    }

    /// The first word after the common record.
    pub(crate) fn tail_word(&self) -> u32 {
        self.word(RECORD)
    }

    /// Where the elements' names are stored.
    pub(crate) fn element_names(&self, kind: Kind) -> impl Iterator<Item = StrOff> + use<'b> {
        let endian = self.btf.endian();
        let at = kind.elem_names().first().map(|&at| usize::from(at));
        let elems = self.tail(kind).chunks_exact(kind.elem_size().max(1));
        at.into_iter().flat_map(move |at| elems.clone().map(move |elem| StrOff(endian.word(elem, at))))
    }

    #[inline]
    fn word(&self, at: usize) -> u32 {
        self.btf.endian().word(self.record, at)
    }

    fn flag(&self) -> KindFlag {
        if self.word(4) >> 31 == 0 { KindFlag::Clear } else { KindFlag::Set }
    }

    fn style(&self) -> TagStyle {
        match self.flag() {
            KindFlag::Clear => TagStyle::Tag,
            KindFlag::Set => TagStyle::Attribute,
        }
    }

    fn tail(&self, kind: Kind) -> &'b [u8] {
        self.record.get(RECORD + kind.info_size()..).unwrap_or(&[])
    }

    fn elems<T: Item<'b>>(&self, kind: Kind) -> List<'b, T> {
        List::new(self.btf, self.tail(kind), self.flag())
    }

    fn int(&self, size: u32) -> Int {
        let word = self.word(RECORD);
        Int { size, bits: word as u8, offset: (word >> 16) as u8, encoding: IntEncoding((word >> 24) as u8) }
    }

    fn composite(&self, size: u32) -> Composite<'b> {
        let packing = match self.flag() {
            KindFlag::Clear => Packing::Plain,
            KindFlag::Set => Packing::Bitfields,
        };
        Composite { size, packing, members: self.elems(Kind::Struct) }
    }

    fn enumeration(&self, size: u32, width: EnumWidth) -> Enum<'b> {
        let sign = match self.flag() {
            KindFlag::Clear => Sign::Unsigned,
            KindFlag::Set => Sign::Signed,
        };
        Enum { size, width, sign, bytes: self.tail(Kind::Enum), btf: self.btf }
    }
}

impl PartialEq for Type<'_> {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.btf, other.btf) && self.id == other.id
    }
}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Type")
            .field("id", &self.id)
            .field("name", &self.name())
            .field("def", &self.def())
            .finish()
    }
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

    /// Iterates over the named values.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Enumerator<'b>> + use<'b> {
        let (btf, width, sign) = (self.btf, self.width, self.sign);
        self.bytes.chunks_exact(self.stride()).map(move |bytes| {
            let word = |at| btf.endian().word(bytes, at);
            let value = match (width, sign) {
                (EnumWidth::Bits32, Sign::Unsigned) => i128::from(word(4)),
                (EnumWidth::Bits32, Sign::Signed) => i128::from(word(4) as i32),
                (EnumWidth::Bits64, Sign::Unsigned) => {
                    i128::from(u64::from(word(8)) << 32 | u64::from(word(4)))
                }
                (EnumWidth::Bits64, Sign::Signed) => {
                    i128::from((u64::from(word(8)) << 32 | u64::from(word(4))) as i64)
                }
            };
            Enumerator { name: btf.name(StrOff(word(0))), value }
        })
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

impl Sealed for Member<'_> {}

impl<'b> Item<'b> for Member<'b> {
    const SIZE: usize = 12;

    #[inline]
    fn read(btf: &'b Btf<'b>, flag: KindFlag, bytes: &'b [u8]) -> Self {
        let word = |at| btf.endian().word(bytes, at);
        let offset = word(8);
        let (bit_offset, bitfield) = match flag {
            KindFlag::Clear => (offset, None),
            KindFlag::Set => (offset & 0x00ff_ffff, NonZeroU8::new((offset >> 24) as u8)),
        };
        Member { name: btf.name(StrOff(word(0))), type_id: TypeId(word(4)), bit_offset, bitfield }
    }
}

impl Sealed for Param<'_> {}

impl<'b> Item<'b> for Param<'b> {
    const SIZE: usize = 8;

    fn read(btf: &'b Btf<'b>, _: KindFlag, bytes: &'b [u8]) -> Self {
        let word = |at| btf.endian().word(bytes, at);
        Param { name: btf.name(StrOff(word(0))), type_id: TypeId(word(4)) }
    }
}

impl Sealed for SecInfo {}

impl<'b> Item<'b> for SecInfo {
    const SIZE: usize = 12;

    fn read(btf: &'b Btf<'b>, _: KindFlag, bytes: &'b [u8]) -> Self {
        let word = |at| btf.endian().word(bytes, at);
        SecInfo { type_id: TypeId(word(0)), offset: word(4), size: word(8) }
    }
}
