//! The kinds of BTF types: one table that parser, index, writer and messages read.

/// A kind of type (`BTF_KIND_*`, include/uapi/linux/btf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An integer, a character or a boolean.
    Int = 1,
    /// A pointer.
    Ptr = 2,
    /// An array.
    Array = 3,
    /// A struct.
    Struct = 4,
    /// A union.
    Union = 5,
    /// An enumeration of up to 32 bits.
    Enum = 6,
    /// A forward declaration of a struct or union.
    Fwd = 7,
    /// A typedef.
    Typedef = 8,
    /// The qualifier `volatile`.
    Volatile = 9,
    /// The qualifier `const`.
    Const = 10,
    /// The qualifier `restrict`.
    Restrict = 11,
    /// A function; not a type but an instance of a prototype.
    Func = 12,
    /// The prototype of a function.
    FuncProto = 13,
    /// A variable; not a type but an instance of one.
    Var = 14,
    /// A section of variables.
    Datasec = 15,
    /// A floating-point number.
    Float = 16,
    /// A tag on a declaration (`btf_decl_tag`).
    DeclTag = 17,
    /// A tag on a type (`btf_type_tag`).
    TypeTag = 18,
    /// An enumeration of up to 64 bits.
    Enum64 = 19,
}

/// The first kernel version that accepts a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Since(pub u8, pub u8);

/// What the third word of a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Third {
    /// The size in bytes.
    Size,
    /// A type.
    Type,
    /// Nothing; it is zero.
    Unused,
}

/// What a word of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Where a name is stored.
    Name,
    /// A type.
    Type,
    /// Anything else.
    Plain,
}

/// Words of the common record.
pub(crate) const HEAD_WORDS: usize = 3;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    kind: Kind,
    name: &'static str,
    since: Since,
    third: Third,
    /// Bytes after the common record.
    info_size: u8,
    /// Offsets of the types within those.
    info_types: &'static [u8],
    /// Bytes of each of the `vlen` elements after that.
    elem_size: u8,
    /// Offsets of the names within an element.
    elem_names: &'static [u8],
    /// Offsets of the types within an element.
    elem_types: &'static [u8],
}

const fn row(kind: Kind, name: &'static str, since: Since, third: Third) -> Row {
    Row {
        kind,
        name,
        since,
        third,
        info_size: 0,
        info_types: &[],
        elem_size: 0,
        elem_names: &[],
        elem_types: &[],
    }
}

impl Row {
    const fn info(self, info_size: u8, info_types: &'static [u8]) -> Row {
        Row { info_size, info_types, ..self }
    }

    const fn elems(self, elem_size: u8, elem_names: &'static [u8], elem_types: &'static [u8]) -> Row {
        Row { elem_size, elem_names, elem_types, ..self }
    }
}

/// Record shapes from include/uapi/linux/btf.h; versions from the kernel releases that added each kind.
static TABLE: [Row; 19] = [
    row(Kind::Int, "int", Since(4, 18), Third::Size).info(4, &[]),
    row(Kind::Ptr, "ptr", Since(4, 18), Third::Type),
    row(Kind::Array, "array", Since(4, 18), Third::Unused).info(12, &[0, 4]),
    row(Kind::Struct, "struct", Since(4, 18), Third::Size).elems(12, &[0], &[4]),
    row(Kind::Union, "union", Since(4, 18), Third::Size).elems(12, &[0], &[4]),
    row(Kind::Enum, "enum", Since(4, 18), Third::Size).elems(8, &[0], &[]),
    row(Kind::Fwd, "fwd", Since(4, 18), Third::Unused),
    row(Kind::Typedef, "typedef", Since(4, 18), Third::Type),
    row(Kind::Volatile, "volatile", Since(4, 18), Third::Type),
    row(Kind::Const, "const", Since(4, 18), Third::Type),
    row(Kind::Restrict, "restrict", Since(4, 18), Third::Type),
    row(Kind::Func, "func", Since(5, 0), Third::Type),
    row(Kind::FuncProto, "func_proto", Since(5, 0), Third::Type).elems(8, &[0], &[4]),
    row(Kind::Var, "var", Since(5, 2), Third::Type).info(4, &[]),
    row(Kind::Datasec, "datasec", Since(5, 2), Third::Size).elems(12, &[], &[0]),
    row(Kind::Float, "float", Since(5, 13), Third::Size),
    row(Kind::DeclTag, "decl_tag", Since(5, 16), Third::Type).info(4, &[]),
    row(Kind::TypeTag, "type_tag", Since(5, 17), Third::Type),
    row(Kind::Enum64, "enum64", Since(6, 0), Third::Size).elems(12, &[0], &[]),
];

/// The sizes of [`TABLE`] by number, close together: this is what every record is walked by.
static SIZES: [[u8; 2]; TABLE.len() + 1] = {
    let mut sizes = [[0; 2]; TABLE.len() + 1];
    let mut index = 0;
    while index < TABLE.len() {
        sizes[index + 1] = [TABLE[index].info_size, TABLE[index].elem_size];
        index += 1;
    }
    sizes
};

/// Bytes after the common record, and of each element, of the kind with that number.
#[inline]
pub(crate) fn sizes(number: u8) -> Option<(usize, usize)> {
    match SIZES.get(usize::from(number)) {
        Some([info, elem]) if number != 0 => Some((usize::from(*info), usize::from(*elem))),
        _ => None,
    }
}

impl Kind {
    /// The number of the last kind.
    pub const MAX: u8 = Kind::Enum64 as u8;

    /// The kind with that number, if there is one.
    #[inline]
    pub fn from_number(number: u8) -> Option<Kind> {
        TABLE.get(usize::from(number).checked_sub(1)?).map(|row| row.kind)
    }

    /// All kinds, in the order of their numbers.
    pub fn all() -> impl ExactSizeIterator<Item = Kind> {
        TABLE.iter().map(|row| row.kind)
    }

    /// The number in the record.
    #[inline]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name, as bpftool prints it in lower case.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The first kernel version that accepts it.
    pub fn since(self) -> Since {
        self.row().since
    }

    #[inline]
    fn row(self) -> &'static Row {
        &TABLE[usize::from(self as u8 - 1)]
    }

    #[inline]
    pub(crate) fn third(self) -> Third {
        self.row().third
    }

    #[inline]
    pub(crate) fn info_size(self) -> usize {
        usize::from(self.row().info_size)
    }

    #[inline]
    pub(crate) fn info_types(self) -> &'static [u8] {
        self.row().info_types
    }

    #[inline]
    pub(crate) fn elem_size(self) -> usize {
        usize::from(self.row().elem_size)
    }

    #[inline]
    pub(crate) fn elem_names(self) -> &'static [u8] {
        self.row().elem_names
    }

    #[inline]
    pub(crate) fn elem_types(self) -> &'static [u8] {
        self.row().elem_types
    }

    /// What the word at that position of a record says.
    #[inline]
    pub(crate) fn word(self, index: usize) -> Word {
        let row = self.row();
        let is_in = |list: &[u8], at: usize| list.iter().any(|&listed| usize::from(listed) == at);
        let Some(tail) = index.checked_sub(HEAD_WORDS) else {
            return match index {
                0 => Word::Name,
                2 if row.third == Third::Type => Word::Type,
                _ => Word::Plain,
            };
        };
        let Some(elem) = (tail * 4).checked_sub(usize::from(row.info_size)) else {
            return if is_in(row.info_types, tail * 4) { Word::Type } else { Word::Plain };
        };
        let at = elem.checked_rem(usize::from(row.elem_size)).unwrap_or(0);
        match row.elem_size {
            0 => Word::Plain,
            _ if is_in(row.elem_names, at) => Word::Name,
            _ if is_in(row.elem_types, at) => Word::Type,
            _ => Word::Plain,
        }
    }

    /// The positions of the words that are types, in a record of so many words.
    pub(crate) fn type_words(self, len: usize) -> impl Iterator<Item = usize> {
        let row = self.row();
        let head = (row.third == Third::Type).then_some(2);
        let info = row.info_types.iter().map(|&at| HEAD_WORDS + usize::from(at) / 4);
        let elems = HEAD_WORDS + usize::from(row.info_size) / 4;
        let stride = (usize::from(row.elem_size) / 4).max(1);
        // No kind's element has more than one.
        let at = row.elem_types.first().map(|&at| elems + usize::from(at) / 4);
        head.into_iter().chain(info).chain(at.into_iter().flat_map(move |at| (at..len).step_by(stride)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_the_order_of_the_numbers() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(row.kind.number()), index + 1);
            assert_eq!(Kind::from_number(row.kind.number()), Some(row.kind));
            assert_eq!(sizes(row.kind.number()), Some((row.kind.info_size(), row.kind.elem_size())));
        }
        assert_eq!((sizes(0), sizes(Kind::MAX + 1)), (None, None));
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(Kind::MAX + 1), None);
    }

    #[test]
    fn both_ways_to_find_types_agree() {
        for kind in Kind::all() {
            let row = kind.row();
            assert!(row.elem_types.len() <= 1);
            let len = HEAD_WORDS + (usize::from(row.info_size) + 3 * usize::from(row.elem_size)) / 4;
            let listed: alloc::vec::Vec<_> = kind.type_words(len).collect();
            let asked: alloc::vec::Vec<_> = (0..len).filter(|&at| kind.word(at) == Word::Type).collect();
            assert_eq!(listed, asked, "{}", kind.name());
        }
    }
}
