//! The checked view: every record, name and reference is looked at once, and found again by one offset per type.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::data::{Data, SharedBytes};
use crate::endian::Endian;
use crate::error::{Error, Problem, Section};
use crate::header::{self, Header};
use crate::look::Look;
use crate::pointer::Pointers;
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
    data: Data<'a>,
    header: Header,
    index: Index,
    base: Option<Arc<Btf<'a>>>,
    /// The identifier of the first own type.
    first: u32,
    /// The offset of the first own string.
    first_string: u32,
    pub(crate) pointers: Pointers,
}

/// Where own types' records start in the type section.
#[derive(Clone)]
enum Index {
    /// Of each.
    Each(Vec<u32>),
    /// Of each [`STRIDE`]th; from there one walks.
    Sparse { every: Vec<u32>, count: u32 },
}

/// How many records a sparse index steps over.
const STRIDE: u32 = 32;

/// How much of BTF is checked before it is used.
enum Depth<'k, 'x, 'l> {
    /// Every record, name and reference.
    Whole,
    /// Where records start; meanwhile something is looked for.
    Skim(&'k mut Look<'x, 'l>),
}

impl<'a> Btf<'a> {
    /// Reads and checks BTF.
    ///
    /// # Errors
    ///
    /// Says which record is malformed, and how.
    pub fn parse(bytes: &'a [u8]) -> Result<Btf<'a>, Error> {
        Btf::load(Data::Borrowed(bytes), None, Depth::Whole)
    }

    /// Reads and checks split BTF, whose identifiers and strings continue those of `base` (as kernel modules' do).
    ///
    /// # Errors
    ///
    /// As [`Btf::parse`]; [`Problem::MixedEndian`] if the base has the other byte order.
    pub fn parse_split(bytes: &'a [u8], base: Arc<Btf<'a>>) -> Result<Btf<'a>, Error> {
        Btf::load(Data::Borrowed(bytes), Some(base), Depth::Whole)
    }

    /// Reads and checks BTF that it then owns.
    ///
    /// # Errors
    ///
    /// As [`Btf::parse`].
    pub fn from_vec(bytes: Vec<u8>) -> Result<Btf<'static>, Error> {
        Btf::load(Data::Owned(bytes), None, Depth::Whole)
    }

    /// Reads and checks split BTF that it then owns.
    ///
    /// # Errors
    ///
    /// As [`Btf::parse_split`].
    pub fn from_vec_split(bytes: Vec<u8>, base: Arc<Btf<'static>>) -> Result<Btf<'static>, Error> {
        Btf::load(Data::Owned(bytes), Some(base), Depth::Whole)
    }

    /// Takes BTF of which little will be asked, such as a kernel's: only its header and where its records start are looked
    /// at, and one offset for every 32 types is kept.
    ///
    /// What is malformed behind that is found when it is asked for: a name that is none reads as empty, and a reference
    /// that leads nowhere is [`Problem::UnknownType`].
    ///
    /// # Errors
    ///
    /// As [`Btf::parse`], of header and lengths.
    pub fn skim(bytes: Vec<u8>) -> Result<Btf<'static>, Error> {
        Btf::load(Data::Owned(bytes), None, Depth::Skim(&mut Look::nothing()))
    }

    /// Takes split BTF of which little will be asked.
    ///
    /// # Errors
    ///
    /// As [`Btf::skim`] and [`Btf::parse_split`].
    pub fn skim_split(bytes: Vec<u8>, base: Arc<Btf<'static>>) -> Result<Btf<'static>, Error> {
        Btf::load(Data::Owned(bytes), Some(base), Depth::Skim(&mut Look::nothing()))
    }

    /// Takes BTF of which little will be asked, and looks for something while it finds where its records start. Where this
    /// fails, what was found so far is of no use.
    ///
    /// # Errors
    ///
    /// As [`Btf::skim`]; [`Problem::NoMemory`].
    pub fn skim_for(bytes: SharedBytes, look: &mut Look<'_, '_>) -> Result<Btf<'static>, Error> {
        Btf::load(Data::Shared(bytes), None, Depth::Skim(look))
    }

    fn load<'x>(
        data: Data<'x>,
        base: Option<Arc<Btf<'x>>>,
        depth: Depth<'_, '_, '_>,
    ) -> Result<Btf<'x>, Error> {
        let header = header::parse(data.bytes())?;
        let (mut first, mut first_string) = (1, 0);
        if let Some(base) = &base {
            if base.header.endian != header.endian {
                return Err(Error::at(Section::Header, 0, Problem::MixedEndian));
            }
            first = base.len();
            first_string = base.string_end().ok_or(Error::at(Section::Strings, 0, Problem::TooLong))?;
        }
        let pointers = Pointers::default();
        let mut btf =
            Btf { data, header, index: Index::Each(Vec::new()), base, first, first_string, pointers };
        btf.index = match depth {
            Depth::Whole => Index::Each(btf.check()?),
            Depth::Skim(look) => {
                let (every, count) = btf.skim_records(STRIDE, look)?;
                Index::Sparse { every, count }
            }
        };
        Ok(btf)
    }

    /// The bytes it was read from.
    pub fn bytes(&self) -> &[u8] {
        self.data.bytes()
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
        self.first + self.own_count()
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
        let record = match &self.index {
            Index::Each(offsets) => {
                let start = *offsets.get(own as usize)? as usize;
                let end = offsets.get(own as usize + 1).map_or(self.header.types.len(), |&end| end as usize);
                self.types_bytes().get(start..end)?
            }
            Index::Sparse { .. } => self.record_at(self.start_of(own)?)?,
        };
        Some(Type::new(self, id, record))
    }

    /// Where an own type's record starts, by its number among those.
    fn start_of(&self, own: u32) -> Option<usize> {
        match &self.index {
            Index::Each(offsets) => offsets.get(own as usize).map(|&offset| offset as usize),
            Index::Sparse { every, count } => {
                let mut at = *every.get((own / STRIDE) as usize).filter(|_| own < *count)? as usize;
                for _ in 0..own % STRIDE {
                    at += self.record_at(at)?.len();
                }
                Some(at)
            }
        }
    }

    fn own_count(&self) -> u32 {
        match &self.index {
            Index::Each(offsets) => offsets.len() as u32,
            Index::Sparse { count, .. } => *count,
        }
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
        Types { btf: self, next: 1, end: self.len(), at: None }
    }

    /// The types that are not the base's.
    pub fn own_types(&self) -> Types<'_> {
        Types { btf: self, next: self.first, end: self.len(), at: Some(0) }
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

    /// A name; empty where it is none, which only BTF that was not checked as a whole has.
    #[inline]
    pub(crate) fn name(&self, off: StrOff) -> &str {
        if off.0 == 0 {
            return "";
        }
        let Some(tail) = self.string_tail(off) else { return "" };
        let end = tail.iter().take(MAX_NAME_LEN + 1).position(|&byte| byte == 0);
        let name = end.and_then(|end| tail.get(..end));
        name.and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
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
        id.0.checked_sub(self.first).and_then(|own| self.start_of(own)).unwrap_or(0)
    }

    /// Whether a string, or its end, starts at an offset.
    #[inline]
    pub(crate) fn has_string(&self, off: StrOff) -> bool {
        match off.0.checked_sub(self.first_string) {
            Some(own) => (own as usize) < self.header.strings.len(),
            None => self.base.as_deref().is_some_and(|base| base.has_string(off)),
        }
    }

    #[inline]
    pub(crate) fn types_bytes(&self) -> &[u8] {
        self.data.bytes().get(self.header.types.clone()).unwrap_or(&[])
    }

    /// Writes words into the type section of BTF that owns its bytes.
    pub(crate) fn write(&mut self, words: &[(usize, u32)]) {
        let endian = self.endian();
        if let (Data::Owned(bytes), types) = (&mut self.data, self.header.types.clone()) {
            let types = bytes.get_mut(types).unwrap_or(&mut []);
            words.iter().for_each(|(at, word)| endian.put(types, *at, *word));
        }
    }

    #[inline]
    pub(crate) fn strings(&self) -> &[u8] {
        self.data.bytes().get(self.header.strings.clone()).unwrap_or(&[])
    }

    pub(crate) fn layout_bytes(&self) -> &[u8] {
        self.data.bytes().get(self.header.layout.clone()).unwrap_or(&[])
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The offset of the first string that is not the base's.
    pub(crate) fn first_string(&self) -> u32 {
        self.first_string
    }

    /// Where each own record starts in the type section, if that is kept.
    pub(crate) fn starts(&self) -> Option<&[u32]> {
        match &self.index {
            Index::Each(offsets) => Some(offsets),
            Index::Sparse { .. } => None,
        }
    }

    /// Where each own record starts in the type section.
    pub(crate) fn offsets(&self) -> Cow<'_, [u32]> {
        match &self.index {
            Index::Each(offsets) => Cow::Borrowed(offsets),
            Index::Sparse { count, .. } => {
                (0..*count).filter_map(|own| self.start_of(own)).map(|at| at as u32).collect()
            }
        }
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
            data: self.data.into_owned(),
            header: self.header,
            index: self.index,
            base,
            first: self.first,
            first_string: self.first_string,
            pointers: self.pointers,
        }
    }
}

impl fmt::Debug for Btf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf")
            .field("endian", &self.header.endian)
            .field("types", &self.len())
            .field("bytes", &self.data.bytes().len())
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
    /// Where the next record starts, if it is an own one and the one before it has been seen.
    at: Option<usize>,
}

impl<'b> Iterator for Types<'b> {
    type Item = Type<'b>;

    #[inline]
    fn next(&mut self) -> Option<Type<'b>> {
        if self.next >= self.end {
            return None;
        }
        let id = TypeId(self.next);
        self.next += 1;
        let Some(own) = id.0.checked_sub(self.btf.first) else { return self.btf.get(id) };
        if let Index::Each(_) = self.btf.index {
            return self.btf.get(id);
        }
        let start = match self.at {
            Some(start) => start,
            None => self.btf.start_of(own)?,
        };
        let record = self.btf.record_at(start)?;
        self.at = Some(start + record.len());
        Some(Type::new(self.btf, id, record))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = (self.end - self.next) as usize;
        (len, Some(len))
    }
}

impl ExactSizeIterator for Types<'_> {}
