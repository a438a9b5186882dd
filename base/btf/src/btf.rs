//! The checked view: every record, name and reference is looked at once, and found again by one offset per type.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::endian::Endian;
use crate::error::{Error, Problem, Section};
use crate::header::{self, Header};
use crate::record::Type;

/// Identifies a type within a BTF; 0 is `void`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

impl TypeId {
    /// The type `void`, which has no record.
    pub const VOID: TypeId = TypeId(0);

    /// Whether it is `void`.
    #[inline]
    pub const fn is_void(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// The offset of a string; in split BTF the strings of the base come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrOff(pub u32);

/// Bytes of the common record, `struct btf_type`.
pub(crate) const RECORD: usize = 12;

/// Bytes that the name of a type or a member may have: eight times the kernel's limit (`KSYM_NAME_LEN`), so that looking
/// at every name costs a time that its record, not a string that many records share, pays for. Other strings, such as
/// source lines, have no limit.
pub const MAX_NAME_LEN: usize = 4096;

/// BTF whose records, names and references have all been checked.
///
/// It borrows its bytes or owns them, and copies no names. Types may still be cyclic; whatever follows references
/// by value is bounded and says so ([`Problem::Loop`], [`Problem::TooDeep`]).
#[derive(Clone)]
pub struct Btf<'a> {
    data: Cow<'a, [u8]>,
    header: Header,
    /// Where each own type's record starts in the type section.
    offsets: Vec<u32>,
    base: Option<Arc<Btf<'a>>>,
    /// The identifier of the first own type.
    first: u32,
    /// The offset of the first own string.
    first_string: u32,
}

impl<'a> Btf<'a> {
    /// Reads and checks BTF.
    ///
    /// # Errors
    ///
    /// Says which record is malformed, and how.
    pub fn parse(bytes: &'a [u8]) -> Result<Btf<'a>, Error> {
        Btf::load(Cow::Borrowed(bytes), None)
    }

    /// Reads and checks split BTF, whose identifiers and strings continue those of `base` (as kernel modules' do).
    ///
    /// # Errors
    ///
    /// As [`Btf::parse`]; [`Problem::MixedEndian`] if the base has the other byte order.
    pub fn parse_split(bytes: &'a [u8], base: Arc<Btf<'a>>) -> Result<Btf<'a>, Error> {
        Btf::load(Cow::Borrowed(bytes), Some(base))
    }

    /// Reads and checks BTF that it then owns.
    ///
    /// # Errors
    ///
    /// As [`Btf::parse`].
    pub fn from_vec(bytes: Vec<u8>) -> Result<Btf<'static>, Error> {
        Btf::load(Cow::Owned(bytes), None)
    }

    /// Reads and checks split BTF that it then owns.
    ///
    /// # Errors
    ///
    /// As [`Btf::parse_split`].
    pub fn from_vec_split(bytes: Vec<u8>, base: Arc<Btf<'static>>) -> Result<Btf<'static>, Error> {
        Btf::load(Cow::Owned(bytes), Some(base))
    }

    fn load<'x>(data: Cow<'x, [u8]>, base: Option<Arc<Btf<'x>>>) -> Result<Btf<'x>, Error> {
        let header = header::parse(&data)?;
        let (mut first, mut first_string) = (1, 0);
        if let Some(base) = &base {
            if base.header.endian != header.endian {
                return Err(Error::at(Section::Header, 0, Problem::MixedEndian));
            }
            first = base.len();
            first_string = base.string_end().ok_or(Error::at(Section::Strings, 0, Problem::TooLong))?;
        }
        let mut btf = Btf { data, header, offsets: Vec::new(), base, first, first_string };
        btf.offsets = btf.check()?;
        Ok(btf)
    }

    /// The bytes it was read from.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The byte order of the records, and of the data they describe.
    #[inline]
    pub fn endian(&self) -> Endian {
        self.header.endian
    }

    /// The BTF that this one continues.
    pub fn base(&self) -> Option<&Btf<'a>> {
        self.base.as_deref()
    }

    /// The number of identifiers, `void` and those of the base included: the next identifier.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "void is always there")]
    pub fn len(&self) -> u32 {
        self.first + self.offsets.len() as u32
    }

    /// The identifier of the first type that is not the base's.
    #[inline]
    pub fn first_own(&self) -> TypeId {
        TypeId(self.first)
    }

    /// The type with that identifier; `void` is one.
    #[inline]
    pub fn get(&self, id: TypeId) -> Option<Type<'_>> {
        if id.is_void() {
            return Some(Type::void(self));
        }
        let Some(own) = id.0.checked_sub(self.first) else {
            return self.base.as_deref()?.get(id);
        };
        let start = *self.offsets.get(own as usize)? as usize;
        let end = self.offsets.get(own as usize + 1).map_or(self.header.types.len(), |&end| end as usize);
        Some(Type::new(self, id, self.types_bytes().get(start..end)?))
    }

    /// The type with that identifier.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`] if there is none.
    #[inline]
    pub fn ty(&self, id: TypeId) -> Result<Type<'_>, Error> {
        self.get(id).ok_or(Error::of(id, 0, Problem::UnknownType(id)))
    }

    /// All types but `void`, those of the base first.
    pub fn types(&self) -> Types<'_> {
        Types { btf: self, next: 1, end: self.len() }
    }

    /// The types that are not the base's.
    pub fn own_types(&self) -> Types<'_> {
        Types { btf: self, next: self.first, end: self.len() }
    }

    /// The bytes of a string, without its NUL.
    pub fn string(&self, off: StrOff) -> Option<&[u8]> {
        let tail = self.string_tail(off)?;
        tail.iter().position(|&byte| byte == 0).and_then(|len| tail.get(..len))
    }

    /// A string for display; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self, off: StrOff) -> Option<Cow<'_, str>> {
        self.string(off).map(alloc::string::String::from_utf8_lossy)
    }

    /// A name that was checked when its record was.
    #[inline]
    pub(crate) fn name(&self, off: StrOff) -> &str {
        if off.0 == 0 {
            return "";
        }
        self.string(off).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    /// The string section from `off` on.
    #[inline]
    pub(crate) fn string_tail(&self, off: StrOff) -> Option<&[u8]> {
        match off.0.checked_sub(self.first_string) {
            Some(own) => self.strings().get(own as usize..),
            None => self.base.as_deref()?.string_tail(off),
        }
    }

    /// Where a type's record starts in the type section.
    pub(crate) fn record_offset(&self, id: TypeId) -> usize {
        let own = id.0.checked_sub(self.first).and_then(|own| self.offsets.get(own as usize));
        own.map_or(0, |&offset| offset as usize)
    }

    pub(crate) fn types_bytes(&self) -> &[u8] {
        self.data.get(self.header.types.clone()).unwrap_or(&[])
    }

    pub(crate) fn strings(&self) -> &[u8] {
        self.data.get(self.header.strings.clone()).unwrap_or(&[])
    }

    pub(crate) fn layout_bytes(&self) -> &[u8] {
        self.data.get(self.header.layout.clone()).unwrap_or(&[])
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The offset of the first string that is not the base's.
    pub(crate) fn first_string(&self) -> u32 {
        self.first_string
    }

    /// Where each own record starts in the type section.
    pub(crate) fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    fn string_end(&self) -> Option<u32> {
        self.first_string.checked_add(self.header.strings.len() as u32)
    }
}

impl Btf<'_> {
    /// The same BTF, owning its bytes.
    pub fn into_owned(self) -> Btf<'static> {
        let base = self.base.map(|base| Arc::new(Arc::unwrap_or_clone(base).into_owned()));
        Btf {
            data: Cow::Owned(self.data.into_owned()),
            header: self.header,
            offsets: self.offsets,
            base,
            first: self.first,
            first_string: self.first_string,
        }
    }
}

impl fmt::Debug for Btf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf")
            .field("endian", &self.header.endian)
            .field("types", &self.len())
            .field("bytes", &self.data.len())
            .field("base", &self.base)
            .finish()
    }
}

/// `BTF_INFO_KIND`: seven bits, of which kernels before the layout section use five.
#[inline]
pub(crate) const fn kind_number(info: u32) -> u8 {
    (info >> 24) as u8 & 0x7f
}

/// `BTF_INFO_VLEN`: 24 bits, of which kernels before the layout section use sixteen and require the rest to be zero.
#[inline]
pub(crate) const fn vlen(info: u32) -> u32 {
    info & 0x00ff_ffff
}

/// Iterates over types; see [`Btf::types`].
#[derive(Clone, Debug)]
pub struct Types<'b> {
    btf: &'b Btf<'b>,
    next: u32,
    end: u32,
}

impl<'b> Iterator for Types<'b> {
    type Item = Type<'b>;

    #[inline]
    fn next(&mut self) -> Option<Type<'b>> {
        if self.next >= self.end {
            return None;
        }
        let item = self.btf.get(TypeId(self.next));
        self.next += 1;
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = (self.end - self.next) as usize;
        (len, Some(len))
    }
}

impl ExactSizeIterator for Types<'_> {}
