//! The one look at every record, name and reference that makes BTF a view.

use alloc::vec::Vec;

use crate::btf::{Btf, MAX_NAME_LEN, RECORD, StrOff, TypeId, kind_number, vlen};
use crate::endian::Endian;
use crate::error::{Error, Problem, Section};
use crate::kind::{Kind, Third, sizes};
use crate::look::Look;

impl Btf<'_> {
    /// Checks everything, and returns where each own record starts in the type section.
    pub(crate) fn check(&self) -> Result<Vec<u32>, Error> {
        self.check_strings()?;
        let mut extremes = Extremes::default();
        let offsets = self.walk(&mut extremes)?;
        let count = self.first_own().0 + offsets.len() as u32;
        // Most input is good, and shows it by its largest name and its largest reference; what is left is looked at
        // word by word, to say where it is bad.
        let text = self.text_kind();
        let is_alone = self.base().is_none();
        let names_fit = text == Text::Ascii && is_alone && (extremes.name as usize) < self.strings().len();
        if !names_fit || extremes.target >= count {
            self.check_records(&offsets, count, text)?;
        }
        Ok(offsets)
    }

    /// Finds where each `stride`th record starts, and how many there are, and looks for what is asked.
    pub(crate) fn skim_records(
        &self,
        stride: u32,
        look: &mut Look<'_, '_>,
    ) -> Result<(Vec<u32>, u32), Error> {
        self.check_strings()?;
        let (types, endian) = (self.types_bytes(), self.endian());
        let (mut every, mut count, mut at) = (Vec::new(), 0u32, 0);
        while at < types.len() {
            let id = self.first_own().0.checked_add(count).filter(|id| *id < u32::MAX);
            let id = TypeId(id.ok_or(Error::at(Section::Types, at, Problem::TooManyTypes))?);
            let rest = &types[at..];
            let size = self.record_size(rest).map_err(|problem| Error::of(id, at, problem))?;
            if size > rest.len() as u64 {
                let problem = Problem::Short { wanted: size, found: rest.len() as u64 };
                return Err(Error::of(id, at, problem));
            }
            look.see(self, id, endian.word(rest, 4), StrOff(endian.word(rest, 0)))?;
            if count % stride == 0 {
                every.try_reserve(1).map_err(|_| Error::of(id, at, Problem::NoMemory))?;
                every.push(at as u32);
            }
            count += 1;
            at += size as usize;
        }
        Ok((every, count))
    }

    /// The record that starts at an offset of the type section.
    #[inline]
    pub(crate) fn record_at(&self, at: usize) -> Option<&[u8]> {
        let rest = self.types_bytes().get(at..)?;
        rest.get(..usize::try_from(self.record_size(rest).ok()?).ok()?)
    }

    /// The first and the last string end where the section says (Documentation/bpf/btf.rst, 2.1); split BTF may
    /// have no strings of its own and need not begin with an empty one.
    fn check_strings(&self) -> Result<(), Error> {
        let strings = self.strings();
        let ends = match (strings, self.base().is_some()) {
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
            let id = u32::try_from(offsets.len()).ok().and_then(|own| self.first_own().0.checked_add(own));
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
            extremes.see(&rest[..size as usize], self.endian());
            at += size as usize;
        }
        let mut exact = Vec::new();
        let no_memory = |_| Error::at(Section::Types, at, Problem::NoMemory);
        exact.try_reserve_exact(offsets.len()).map_err(no_memory)?;
        exact.extend_from_slice(&offsets);
        Ok(exact)
    }

    /// The size that the record at the start of `bytes` says it has.
    #[inline]
    fn record_size(&self, bytes: &[u8]) -> Result<u64, Problem> {
        let Some(&[_, _, _, _, a, b, c, d, ..]) = bytes.first_chunk::<RECORD>() else {
            return Err(Problem::Short { wanted: RECORD as u64, found: bytes.len() as u64 });
        };
        let info = self.endian().u32([a, b, c, d]);
        let number = kind_number(info);
        let (info_size, elem_size) = match sizes(number) {
            Some(sizes) => sizes,
            None => self.described(number).ok_or(Problem::UnknownKind(number))?,
        };
        Ok((RECORD + info_size) as u64 + u64::from(vlen(info)) * elem_size as u64)
    }

    /// What the layout section says about a kind that this reader does not know: bytes after the common record, and
    /// bytes of each element (`struct btf_layout`, include/uapi/linux/btf.h).
    #[cold]
    fn described(&self, number: u8) -> Option<(usize, usize)> {
        let layouts = self.layout_bytes();
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
    fn check_records(&self, offsets: &[u32], count: u32, text: Text) -> Result<(), Error> {
        let (types, endian) = (self.types_bytes(), self.endian());
        for (index, &start) in offsets.iter().enumerate() {
            let id = TypeId(self.first_own().0 + index as u32);
            let start = start as usize;
            let end = offsets.get(index + 1).map_or(types.len(), |&end| end as usize);
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
        let own = off.0.checked_sub(self.first_string());
        let text = if own.is_some() { text } else { Text::Bytes };
        match (text, own) {
            (Text::Ascii, Some(own)) if (own as usize) < self.strings().len() => Ok(()),
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

/// What is known about the bytes of the string section as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    /// ASCII, and no string is too long for a name.
    Ascii,
    /// UTF-8, and no string is too long for a name.
    Utf8,
    Bytes,
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
