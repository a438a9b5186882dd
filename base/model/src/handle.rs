//! The numbers that programs see of what is no memory, the same in every engine.
//!
//! A function of a program is named by its position among the program's functions, in the order of their first slots, the
//! main one first. Its number is no address: nothing can be reached through it, and only a call leads there.

/// Holds the upper half of the numbers of functions.
const FUNCTIONS: u64 = 2;
/// Holds the lower half of the first function's number, so that neither half is ever zero.
const FIRST: u64 = 0x1000_0000;
/// Counts the numbers from one function to the next.
const STRIDE: u64 = 8;

/// Gives the number of the function of number zero; those of the others follow, [`SHIFT`] bits apart.
pub const FIRST_FUNCTION: u64 = FUNCTIONS << 32 | FIRST;

/// Says how far a function's position is shifted left in its number.
pub const SHIFT: u32 = STRIDE.trailing_zeros();

/// Gives the number that a program sees of one of its functions.
///
/// ```
/// use skep_model::handle;
///
/// assert_eq!(handle::function_of(handle::function(3)), Some(3));
/// assert_eq!(handle::function_of(handle::function(3) + 1), None);
/// assert_eq!(handle::function_of(3), None);
/// ```
pub const fn function(position: u32) -> u64 {
    FIRST_FUNCTION + STRIDE * position as u64
}

/// Gives the position of the function that a number names; nothing if it names none, though there may be no such function.
pub const fn function_of(number: u64) -> Option<u32> {
    let position = number.wrapping_sub(FIRST_FUNCTION).rotate_right(SHIFT);
    if position <= u32::MAX as u64 { Some(position as u32) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for position in [0, 1, 2, 1 << 20, u32::MAX] {
            assert_eq!(function_of(function(position)), Some(position));
            for near in 1..STRIDE {
                assert_eq!(function_of(function(position) + near), None);
            }
        }
        for number in [0, 1, FIRST_FUNCTION - 1, FIRST_FUNCTION - 8, function(u32::MAX) + 8, u64::MAX] {
            assert_eq!(function_of(number), None, "{number:#x}");
        }
    }
}
