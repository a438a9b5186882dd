//! The checked view: every record, name and reference is looked at once, and found again by one offset per type.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::endian::Endian;
use crate::error::{Error, Problem, Section};
use crate::header::{self, Header};
use crate::kind::{Kind, Third};
use crate::types::Type;

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

/// What is known about the bytes of the string section as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    /// ASCII, and no string is too long for a name.
    Ascii,
    /// UTF-8, and no string is too long for a name.
    Utf8,
    Bytes,
}

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

/// The largest name and the largest reference seen.
#[derive(Default)]
struct Extremes {
    name: u32,
    target: u32,
}

impl Extremes {
    /// Looks at one record whose length has been checked.
    #[inline]
    fn see(&mut self, record: &[u8], endian: Endian) {
        self.name = self.name.max(endian.word(record, 0));
        let Some(kind) = Kind::from_number(kind_number(endian.word(record, 4))) else { return };
        if kind.third() == Third::Type {
            self.target = self.target.max(endian.word(record, 8));
        }
        for &at in kind.info_types() {
            self.target = self.target.max(endian.word(record, RECORD + usize::from(at)));
        }
        let elems = record.get(RECORD + kind.info_size()..).unwrap_or(&[]);
        if kind.elem_size() == 0 {
            return;
        }
        for &at in kind.elem_names() {
            self.name = self.name.max(largest(elems, at, kind, endian));
        }
        for &at in kind.elem_types() {
            self.target = self.target.max(largest(elems, at, kind, endian));
        }
    }
}

/// The largest word at byte `at` of the elements.
#[inline]
fn largest(elems: &[u8], at: u8, kind: Kind, endian: Endian) -> u32 {
    let column = elems.get(usize::from(at)..).unwrap_or(&[]).chunks(kind.elem_size());
    column.fold(0, |most, elem| most.max(endian.word(elem, 0)))
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
        btf.check_strings()?;
        let mut extremes = Extremes::default();
        btf.offsets = btf.walk(&mut extremes)?;
        // Most input is good, and shows it by its largest name and its largest reference; what is left is looked at
        // word by word, to say where it is bad.
        let text = btf.text_kind();
        let names_fit =
            text == Text::Ascii && first_string == 0 && (extremes.name as usize) < btf.strings().len();
        if !names_fit || extremes.target >= btf.len() {
            btf.check_records(text)?;
        }
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

    /// The first and the last string end where the section says (Documentation/bpf/btf.rst, 2.1); split BTF may
    /// have no strings of its own and need not begin with an empty one.
    fn check_strings(&self) -> Result<(), Error> {
        let strings = self.strings();
        let ends = match (strings, self.base.is_some()) {
            ([], split) => split,
            ([.., last], true) => *last == 0,
            ([first, .., last], false) => *first == 0 && *last == 0,
            ([only], false) => *only == 0,
        };
        match ends {
            true => Ok(()),
            false => Err(Error::at(Section::Strings, strings.len().saturating_sub(1), Problem::Unterminated)),
        }
    }

    /// Finds where each record starts. Memory grows with records that are there, never with a number they state.
    fn walk(&self, extremes: &mut Extremes) -> Result<Vec<u32>, Error> {
        let types = self.types_bytes();
        let mut offsets: Vec<u32> = Vec::new();
        let mut at = 0;
        while at < types.len() {
            let id = u32::try_from(offsets.len()).ok().and_then(|own| self.first.checked_add(own));
            // One identifier stays free, so that `len` fits.
            let id = match id {
                Some(id) if id < u32::MAX => TypeId(id),
                _ => return Err(Error::at(Section::Types, at, Problem::TooManyTypes)),
            };
            let rest = &types[at..];
            let size = self.record_size(rest).map_err(|problem| Error::of(id, at, problem))?;
            if size > rest.len() as u64 {
                let problem = Problem::Short { wanted: size, found: rest.len() as u64 };
                return Err(Error::of(id, at, problem));
            }
            offsets.try_reserve(1).map_err(|_| Error::of(id, at, Problem::NoMemory))?;
            offsets.push(at as u32);
            extremes.see(&rest[..size as usize], self.header.endian);
            at += size as usize;
        }
        Ok(offsets)
    }

    /// The size that the record at the start of `bytes` says it has.
    fn record_size(&self, bytes: &[u8]) -> Result<u64, Problem> {
        let short = Problem::Short { wanted: RECORD as u64, found: bytes.len() as u64 };
        let info = self.header.endian.u32_at(bytes, 4).filter(|_| bytes.len() >= RECORD).ok_or(short)?;
        let number = kind_number(info);
        let (info_size, elem_size) = match Kind::from_number(number) {
            Some(kind) => (kind.info_size(), kind.elem_size()),
            None => self.described(number).ok_or(Problem::UnknownKind(number))?,
        };
        Ok((RECORD + info_size) as u64 + u64::from(vlen(info)) * elem_size as u64)
    }

    /// What the layout section says about a kind that this reader does not know: bytes after the common record, and
    /// bytes of each element (`struct btf_layout`, include/uapi/linux/btf.h).
    fn described(&self, number: u8) -> Option<(usize, usize)> {
        let layouts = self.data.get(self.header.layout.clone())?;
        let &[info_size, elem_size, ..] = layouts.chunks_exact(4).nth(usize::from(number))? else {
            return None;
        };
        // Records stay multiples of four; kind 0 is no kind.
        (number != 0 && info_size % 4 == 0 && elem_size % 4 == 0)
            .then_some((usize::from(info_size), usize::from(elem_size)))
    }

    fn text_kind(&self) -> Text {
        match self.strings() {
            strings if has_long_string(strings) => Text::Bytes,
            strings if strings.is_ascii() => Text::Ascii,
            strings if core::str::from_utf8(strings).is_ok() => Text::Utf8,
            _ => Text::Bytes,
        }
    }

    /// Checks every name and every reference of every record.
    fn check_records(&self, text: Text) -> Result<(), Error> {
        let (types, endian, count) = (self.types_bytes(), self.header.endian, self.len());
        for (index, &start) in self.offsets.iter().enumerate() {
            let id = TypeId(self.first + index as u32);
            let start = start as usize;
            let end = self.offsets.get(index + 1).map_or(types.len(), |&end| end as usize);
            let record = &types[start..end];
            let refers = |at: usize| match endian.word(record, at) {
                target if target < count => Ok(()),
                target => Err(Error::of(id, start + at, Problem::UnknownType(TypeId(target)))),
            };
            let named = |at: usize| {
                let name = StrOff(endian.word(record, at));
                self.check_name(name, text).map_err(|problem| Error::of(id, start + at, problem))
            };
            named(0)?;
            let Some(kind) = Kind::from_number(kind_number(endian.word(record, 4))) else { continue };
            if kind.third() == Third::Type {
                refers(8)?;
            }
            for &at in kind.info_types() {
                refers(RECORD + usize::from(at))?;
            }
            if kind.elem_size() == 0 {
                continue;
            }
            for elem in (RECORD + kind.info_size()..record.len()).step_by(kind.elem_size()) {
                for &at in kind.elem_names() {
                    named(elem + usize::from(at))?;
                }
                for &at in kind.elem_types() {
                    refers(elem + usize::from(at))?;
                }
            }
        }
        Ok(())
    }

    /// Every string ends within its section, so a name is good if it starts within one and is UTF-8.
    #[inline]
    fn check_name(&self, off: StrOff, text: Text) -> Result<(), Problem> {
        if off.0 == 0 {
            return Ok(());
        }
        let own = off.0.checked_sub(self.first_string);
        let text = if own.is_some() { text } else { Text::Bytes };
        match (text, own) {
            (Text::Ascii, Some(own)) if (own as usize) < self.header.strings.len() => Ok(()),
            // In UTF-8 as a whole, a name may only start between two characters.
            (Text::Utf8, Some(own)) => match self.strings().get(own as usize) {
                None => Err(Problem::NameOutside(off.0)),
                Some(0x80..=0xbf) => Err(Problem::NameNotUtf8(off.0)),
                Some(_) => Ok(()),
            },
            (Text::Bytes, _) => {
                let tail = self.string_tail(off).filter(|tail| !tail.is_empty());
                let tail = tail.ok_or(Problem::NameOutside(off.0))?;
                let len = tail.iter().take(MAX_NAME_LEN + 1).position(|&byte| byte == 0);
                let name = tail.get(..len.ok_or(Problem::NameTooLong(off.0))?).unwrap_or(&[]);
                core::str::from_utf8(name).map(drop).map_err(|_| Problem::NameNotUtf8(off.0))
            }
            _ => Err(Problem::NameOutside(off.0)),
        }
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

/// Whether a string has more bytes than a name may have. It looks at the end of each stretch only.
fn has_long_string(mut strings: &[u8]) -> bool {
    while let Some(stretch) = strings.get(..=MAX_NAME_LEN) {
        match stretch.iter().rposition(|&byte| byte == 0) {
            Some(end) => strings = &strings[end + 1..],
            None => return true,
        }
    }
    false
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
