//! Templates: literal text with operands in braces.

use crate::Field;

/// Is an operand of a template, and says which field of the slot holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hole {
    /// A register in whole, `r1`.
    Reg(Field),
    /// The lower half of a register, `w1`.
    Half(Field),
    /// A number in the immediate.
    Imm,
    /// A number in the immediate, unsigned.
    Unsigned,
    /// A number in both immediates.
    Imm64,
    /// A number in the second immediate, unsigned.
    NextUnsigned,
    /// A number in the second immediate.
    NextImm,
    /// A signed distance in the offset, `+ 4`.
    Offset,
    /// A signed distance in the immediate, `+ 4`, nothing for zero.
    ImmOffset,
    /// A number in the offset.
    Index,
    /// A jump target, as distance in the offset.
    Target,
    /// A jump target, as distance in the immediate.
    FarTarget,
    /// A function, as distance in the immediate.
    Function,
    /// Likewise where no helper can be meant, so that the sign may be left out.
    Callee,
    /// A helper's number in the immediate.
    Helper,
    /// The destination address space, in the upper half of the immediate.
    ToSpace,
    /// The source address space, in the lower half of the immediate.
    FromSpace,
}

/// Names the operands as templates write them.
const HOLES: [(&str, Hole); 19] = [
    ("rd", Hole::Reg(Field::Dst)),
    ("rs", Hole::Reg(Field::Src)),
    ("wd", Hole::Half(Field::Dst)),
    ("ws", Hole::Half(Field::Src)),
    ("i", Hole::Imm),
    ("u", Hole::Unsigned),
    ("q", Hole::Imm64),
    ("n", Hole::NextUnsigned),
    ("m", Hole::NextImm),
    ("o", Hole::Offset),
    ("j", Hole::ImmOffset),
    ("b", Hole::Index),
    ("l", Hole::Target),
    ("k", Hole::FarTarget),
    ("f", Hole::Function),
    ("c", Hole::Callee),
    ("h", Hole::Helper),
    ("ta", Hole::ToSpace),
    ("fa", Hole::FromSpace),
];

/// Is a part of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// Text as it stands.
    Text(&'static str),
    /// An operand.
    Hole(Hole),
}

/// Splits a template. The tables of this crate are its only source, and a test goes through all of them, so a name that is no
/// operand's just stays text.
pub(crate) fn pieces(template: &'static str) -> impl Iterator<Item = Piece> {
    let mut rest = template;
    core::iter::from_fn(move || {
        if let Some((hole, after)) = hole(rest) {
            rest = after;
            return Some(Piece::Hole(hole));
        }
        if rest.is_empty() {
            return None;
        }
        let end = rest[1..].find('{').map_or(rest.len(), |i| i + 1);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(text))
    })
}

fn hole(text: &'static str) -> Option<(Hole, &'static str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    HOLES.iter().find(|(known, _)| *known == name).map(|&(_, hole)| (hole, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ROWS;

    #[test]
    fn all_braces_of_the_table_are_operands() {
        for template in ROWS.iter().flat_map(|row| [row.linux, row.mnemonic]) {
            for piece in pieces(template) {
                if let Piece::Text(text) = piece {
                    assert!(!text.contains(['{', '}']), "{template}");
                }
            }
        }
    }
}
