//! C types of arguments, as far as helpers and tracepoints have them.

/// The type of an argument or of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CType {
    /// Nothing.
    Void,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `unsigned int`.
    UnsignedInt,
    /// `long`.
    Long,
    /// `unsigned long`.
    UnsignedLong,
    /// `u32`.
    U32,
    /// `u64`.
    U64,
    /// A pointer to what may be written.
    Pointer(Pointee),
    /// A pointer to what is read only.
    ConstPointer(Pointee),
}

/// What a pointer points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pointee {
    /// Bytes.
    Void,
    /// Text up to a NUL.
    Char,
    /// The struct of this name.
    Struct(&'static str),
}
