//! Writes records: one method for each kind.

use alloc::vec::Vec;

use super::strings::Strings;
use crate::btf::{Btf, StrOff, TypeId};
use crate::endian::Endian;
use crate::error::{Error, Problem, Section};
use crate::header;
use crate::kind::{Kind, Word};
use crate::record::Type;
use crate::types::{
    Array, DeclTag, EnumWidth, Enumerator, Func, FwdKind, Int, Member, Packing, Param, SecInfo, Sign,
    TagStyle, TypeTag, Var,
};

/// Bits for an element count: 16 until the layout section (`BTF_MAX_VLEN`), 24 since.
const MAX_VLEN: usize = 0x00ff_ffff;

/// Builds BTF, type by type.
///
/// Each method appends a type and returns its identifier. Types may refer to ones that follow; names are stored
/// once. What does not fit, and memory that is refused, is reported by [`Builder::finish`].
///
/// # Examples
///
/// ```
/// use skep_btf::{Btf, Builder, Endian, Int, IntEncoding, Kind, Member};
///
/// let mut b = Builder::new(Endian::Little);
/// let u32_id = b.int("u32", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::UNSIGNED });
/// let member = |name, bit_offset| Member { name, type_id: u32_id, bit_offset, bitfield: None };
/// b.structure("point", 8, &[member("x", 0), member("y", 32)]);
///
/// let btf = Btf::from_vec(b.finish()?)?;
/// let point = btf.find("point", Kind::Struct).expect("it was just added");
/// assert_eq!(btf.value(point, &[1, 0, 0, 0, 2, 0, 0, 0]).to_string(), "{x: 1, y: 2}");
/// # Ok::<(), skep_btf::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) endian: Endian,
    pub(super) types: Vec<u8>,
    /// Where each own record starts.
    pub(super) offsets: Vec<u32>,
    pub(super) strings: Strings,
    /// The identifier of the first own type.
    pub(super) first: u32,
    /// The first thing that did not fit.
    pub(super) error: Option<Error>,
}

impl Builder {
    /// Starts without types.
    pub fn new(endian: Endian) -> Builder {
        let mut builder = Builder {
            endian,
            types: Vec::new(),
            offsets: Vec::new(),
            strings: Strings::continuing(Vec::new(), 0),
            first: 1,
            error: None,
        };
        // The empty string comes first.
        match copied(&[0]) {
            Ok(bytes) => builder.strings = Strings::continuing(bytes, 0),
            Err(problem) => builder.fail(problem),
        }
        builder
    }

    /// Starts without types, in split BTF that continues `base`.
    pub fn split(base: &Btf<'_>) -> Builder {
        let strings = Strings::continuing(Vec::new(), base.first_string() + base.strings().len() as u32);
        Builder { strings, first: base.len(), ..Builder::new(base.endian()) }
    }

    /// Starts with the own types and strings of `btf`, each byte as it is.
    pub fn from_btf(btf: &Btf<'_>) -> Builder {
        let mut builder = Builder {
            endian: btf.endian(),
            types: Vec::new(),
            offsets: Vec::new(),
            strings: Strings::continuing(Vec::new(), btf.first_string()),
            first: btf.first_own().0,
            error: None,
        };
        match (copied(btf.types_bytes()), copied(&btf.offsets()), copied(btf.strings())) {
            (Ok(types), Ok(offsets), Ok(strings)) => {
                (builder.types, builder.offsets) = (types, offsets);
                builder.strings = Strings::continuing(strings, btf.first_string());
            }
            _ => builder.fail(Problem::NoMemory),
        }
        builder
    }

    /// The identifier that the next type will have.
    pub fn next_id(&self) -> TypeId {
        TypeId(self.first + self.offsets.len() as u32)
    }

    /// The byte order of the records.
    pub(crate) fn endian(&self) -> Endian {
        self.endian
    }

    /// Whether identifiers and strings of the base are those of `btf`'s.
    pub(crate) fn continues_as(&self, btf: &Btf<'_>) -> bool {
        self.first == btf.first_own().0 && self.strings.first() == btf.first_string()
    }

    /// The bytes of the whole: header, types, strings.
    ///
    /// # Errors
    ///
    /// The first thing that did not fit: [`Problem::TooManyElements`], [`Problem::BadName`], [`Problem::TooLong`],
    /// [`Problem::BadOffset`], [`Problem::BadValue`], [`Problem::NoMemory`].
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let (types, strings) = (&self.types, self.strings.bytes());
        let total = header::SIZE as u64 + types.len() as u64 + strings.len() as u64;
        if total > u64::from(u32::MAX) {
            return Err(Error::at(Section::Header, 0, Problem::TooLong));
        }
        let no_memory = |_| Error::at(Section::Header, 0, Problem::NoMemory);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(total as usize).map_err(no_memory)?;
        bytes.extend(self.endian.bytes16(header::MAGIC));
        bytes.extend([1, 0]);
        for word in [header::SIZE, 0, types.len(), types.len(), strings.len()] {
            bytes.extend(self.endian.bytes32(word as u32));
        }
        bytes.extend_from_slice(types);
        bytes.extend_from_slice(strings);
        Ok(bytes)
    }

    /// Appends an integer, a character or a boolean.
    pub fn int(&mut self, name: &str, int: Int) -> TypeId {
        let word = u32::from(int.encoding.0) << 24 | u32::from(int.offset) << 16 | u32::from(int.bits);
        self.record(name, Kind::Int, 0, 0, int.size, [word])
    }

    /// Appends a pointer.
    pub fn ptr(&mut self, target: TypeId) -> TypeId {
        self.reference("", Kind::Ptr, target)
    }

    /// Appends an array.
    pub fn array(&mut self, array: Array) -> TypeId {
        self.record("", Kind::Array, 0, 0, 0, [array.elem.0, array.index.0, array.len])
    }

    /// Appends a struct, with bitfield widths beside the offsets if a member has one.
    pub fn structure(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> TypeId {
        self.composite(Kind::Struct, name, size, packing(members), members)
    }

    /// Appends a union, with bitfield widths beside the offsets if a member has one.
    pub fn union(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> TypeId {
        self.composite(Kind::Union, name, size, packing(members), members)
    }

    /// Appends an enumeration.
    pub fn enumeration(
        &mut self,
        name: &str,
        size: u32,
        width: EnumWidth,
        sign: Sign,
        values: &[Enumerator<'_>],
    ) -> TypeId {
        let kind = match width {
            EnumWidth::Bits32 => Kind::Enum,
            EnumWidth::Bits64 => Kind::Enum64,
        };
        let id = self.record(name, kind, u32::from(sign == Sign::Signed), values.len(), size, []);
        for item in values {
            let fits = match (width, sign) {
                (EnumWidth::Bits32, Sign::Unsigned) => u32::try_from(item.value).is_ok(),
                (EnumWidth::Bits32, Sign::Signed) => i32::try_from(item.value).is_ok(),
                (EnumWidth::Bits64, Sign::Unsigned) => u64::try_from(item.value).is_ok(),
                (EnumWidth::Bits64, Sign::Signed) => i64::try_from(item.value).is_ok(),
            };
            if !fits {
                self.fail(Problem::BadValue);
            }
            let name = self.name(item.name);
            self.words([name, item.value as u32]);
            if width == EnumWidth::Bits64 {
                self.words([(item.value >> 32) as u32]);
            }
        }
        id
    }

    /// Appends a forward declaration.
    pub fn fwd(&mut self, name: &str, kind: FwdKind) -> TypeId {
        let flag = u32::from(kind == FwdKind::Union);
        self.record(name, Kind::Fwd, flag, 0, 0, [])
    }

    /// Appends a typedef.
    pub fn typedef(&mut self, name: &str, target: TypeId) -> TypeId {
        self.reference(name, Kind::Typedef, target)
    }

    /// Appends the qualifier `volatile`.
    pub fn volatile(&mut self, target: TypeId) -> TypeId {
        self.reference("", Kind::Volatile, target)
    }

    /// Appends the qualifier `const`.
    pub fn constant(&mut self, target: TypeId) -> TypeId {
        self.reference("", Kind::Const, target)
    }

    /// Appends the qualifier `restrict`.
    pub fn restrict(&mut self, target: TypeId) -> TypeId {
        self.reference("", Kind::Restrict, target)
    }

    /// Appends a function.
    pub fn func(&mut self, name: &str, func: Func) -> TypeId {
        self.record(name, Kind::Func, 0, func.linkage.number() as usize, func.proto.0, [])
    }

    /// Appends the prototype of a function.
    pub fn func_proto(&mut self, ret: TypeId, params: &[Param<'_>]) -> TypeId {
        let id = self.record("", Kind::FuncProto, 0, params.len(), ret.0, []);
        for param in params {
            let name = self.name(param.name);
            self.words([name, param.type_id.0]);
        }
        id
    }

    /// Appends a variable.
    pub fn var(&mut self, name: &str, var: Var) -> TypeId {
        self.record(name, Kind::Var, 0, 0, var.type_id.0, [var.linkage.number()])
    }

    /// Appends a section of variables.
    pub fn datasec(&mut self, name: &str, size: u32, vars: &[SecInfo]) -> TypeId {
        let tail = vars.iter().flat_map(|var| [var.type_id.0, var.offset, var.size]);
        self.record(name, Kind::Datasec, 0, vars.len(), size, tail)
    }

    /// Appends a floating-point number.
    pub fn float(&mut self, name: &str, size: u32) -> TypeId {
        self.record(name, Kind::Float, 0, 0, size, [])
    }

    /// Appends a tag on a declaration.
    pub fn decl_tag(&mut self, tag: &str, place: DeclTag) -> TypeId {
        let component = place.component.unwrap_or(u32::MAX);
        self.record(tag, Kind::DeclTag, style(place.style), 0, place.target.0, [component])
    }

    /// Appends a tag on a type.
    pub fn type_tag(&mut self, tag: &str, place: TypeTag) -> TypeId {
        self.record(tag, Kind::TypeTag, style(place.style), 0, place.target.0, [])
    }

    /// Appends a type of some other BTF, with `map` giving the identifiers that its references have here. Every bit
    /// of the record is kept; a kind that only a layout section knows is refused, since where it refers to types is
    /// not known.
    pub fn copy(&mut self, ty: Type<'_>, mut map: impl FnMut(TypeId) -> TypeId) -> TypeId {
        let id = self.next_id();
        let Some(kind) = ty.kind() else {
            self.fail(Problem::WrongKind { wanted: "a known kind", found: None });
            return id;
        };
        let from = ty.btf();
        for (index, word) in ty.bytes().chunks_exact(4).enumerate() {
            let word = from.endian().word(word, 0);
            let word = match kind.word(index) {
                Word::Name => self.name(from.name(StrOff(word))),
                Word::Type => map(TypeId(word)).0,
                Word::Plain => word,
            };
            match index {
                0 => self.begin([word]),
                _ => self.words([word]),
            }
        }
        id
    }

    /// Stores a string that no type has, such as a line of `.BTF.ext`, and returns where.
    pub fn string(&mut self, text: &[u8]) -> StrOff {
        self.strings.intern(text).unwrap_or_else(|problem| {
            self.fail(problem);
            StrOff(0)
        })
    }

    fn composite(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        packing: Packing,
        members: &[Member<'_>],
    ) -> TypeId {
        let flag = u32::from(packing == Packing::Bitfields);
        let id = self.record(name, kind, flag, members.len(), size, []);
        for member in members {
            let width = member.bitfield.map_or(0, |width| u32::from(width.get()));
            let offset = match packing {
                Packing::Plain => member.bit_offset,
                Packing::Bitfields => member.bit_offset | width << 24,
            };
            if packing == Packing::Bitfields && member.bit_offset > 0x00ff_ffff {
                self.fail(Problem::BadOffset(member.bit_offset));
            }
            let name = self.name(member.name);
            self.words([name, member.type_id.0, offset]);
        }
        id
    }

    fn reference(&mut self, name: &str, kind: Kind, target: TypeId) -> TypeId {
        self.record(name, kind, 0, 0, target.0, [])
    }

    fn record(
        &mut self,
        name: &str,
        kind: Kind,
        flag: u32,
        vlen: usize,
        third: u32,
        tail: impl IntoIterator<Item = u32>,
    ) -> TypeId {
        let id = self.next_id();
        if vlen > MAX_VLEN {
            self.fail(Problem::TooManyElements(vlen as u64));
            return id;
        }
        let name = self.name(name);
        let info = flag << 31 | u32::from(kind.number()) << 24 | vlen as u32;
        self.begin([name, info, third]);
        self.words(tail);
        id
    }

    /// Appends a record as it is.
    pub(crate) fn raw_record(&mut self, words: impl IntoIterator<Item = u32>) -> TypeId {
        let id = self.next_id();
        self.begin(words);
        id
    }

    /// Starts a record with its first words.
    fn begin(&mut self, words: impl IntoIterator<Item = u32>) {
        let Ok(offset) = u32::try_from(self.types.len()) else {
            self.fail(Problem::TooLong);
            return;
        };
        if self.offsets.try_reserve(1).is_err() {
            self.fail(Problem::NoMemory);
            return;
        }
        self.offsets.push(offset);
        self.words(words);
    }

    /// Goes on with the record.
    fn words(&mut self, words: impl IntoIterator<Item = u32>) {
        for word in words {
            if self.types.try_reserve(4).is_err() {
                self.fail(Problem::NoMemory);
                return;
            }
            self.types.extend_from_slice(&self.endian.bytes32(word));
        }
    }

    /// The offset of a name.
    pub(super) fn name(&mut self, name: &str) -> u32 {
        self.string(name.as_bytes()).0
    }

    pub(super) fn fail(&mut self, problem: Problem) {
        let error = Error::of(self.next_id(), self.types.len(), problem);
        self.error.get_or_insert(error);
    }
}

/// A copy, if there is memory for it.
fn copied<T: Copy>(items: &[T]) -> Result<Vec<T>, Problem> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(items.len()).map_err(|_| Problem::NoMemory)?;
    copy.extend_from_slice(items);
    Ok(copy)
}

fn packing(members: &[Member<'_>]) -> Packing {
    match members.iter().any(|member| member.bitfield.is_some()) {
        true => Packing::Bitfields,
        false => Packing::Plain,
    }
}

fn style(style: TagStyle) -> u32 {
    u32::from(style == TagStyle::Attribute)
}
