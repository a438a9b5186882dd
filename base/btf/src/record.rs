//! Records to meanings: a type of some BTF, and the elements that follow it.

use core::fmt;
use core::num::NonZeroU8;

use crate::btf::{Btf, RECORD, StrOff, TypeId, kind_number};
use crate::error::{Error, Problem};
use crate::kind::Kind;
use crate::list::{Item, KindFlag, List, sealed::Sealed};
use crate::types::{
    Array, Composite, Datasec, DeclTag, Def, Enum, EnumWidth, Func, FuncLinkage, FuncProto, FwdKind, Int,
    IntEncoding, Member, Packing, Param, SecInfo, Sign, TagStyle, TypeTag, Var, VarLinkage,
};

/// A type of some BTF: its identifier, its name, and through [`Type::def`] its meaning.
#[derive(Clone, Copy)]
pub struct Type<'b> {
    btf: &'b Btf<'b>,
    id: TypeId,
    record: &'b [u8],
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

    /// The types that its record refers to, `void` too, in the order in which they stand there.
    pub fn references(&self) -> impl Iterator<Item = TypeId> + use<'b> {
        let (record, endian) = (self.record, self.btf.endian());
        let positions = self.kind().map(|kind| kind.type_words(record.len() / 4));
        positions.into_iter().flatten().map(move |at| TypeId(endian.word(record, at * 4)))
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

    /// The error that its kind is one that only the layout section knows.
    pub(crate) fn unknown_kind(&self) -> Error {
        self.error(Problem::UnknownKind(kind_number(self.word(4))))
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
