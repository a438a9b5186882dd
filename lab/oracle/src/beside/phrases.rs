//! The words that Linux refuses programs with, by the formats of its log.

use std::collections::BTreeMap;

/// Puts `N` in the place of each run of digits, so that the same words are counted together.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut is_in_number = false;
    for letter in text.chars() {
        let is_hex_sign = letter == 'x' && out.ends_with('N');
        if letter.is_ascii_digit() || (is_in_number && (letter.is_ascii_hexdigit() || is_hex_sign)) {
            if !is_in_number {
                // A sign belongs to its number.
                if out.ends_with('-') {
                    out.pop();
                }
                out.push('N');
            }
            is_in_number = true;
        } else {
            is_in_number = false;
            out.push(letter);
        }
    }
    out
}

/// Counts what was heard of each phrase; what is like none of them is named as it is.
pub(crate) fn heard(formats: &str, causes: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut all: BTreeMap<String, u64> = formats.lines().map(|line| (line.trim().to_owned(), 0)).collect();
    all.remove("");
    let known: Vec<(String, Vec<String>)> =
        all.keys().map(|format| (format.clone(), pieces(format))).collect();
    for (cause, count) in causes {
        let fits = known.iter().filter(|(_, pieces)| is_like(cause, pieces));
        // The one that says most.
        let best = fits.max_by_key(|(_, pieces)| pieces.iter().map(String::len).sum::<usize>());
        let name = best.map_or_else(|| format!("(not a format) {cause}"), |(format, _)| format.clone());
        *all.entry(name).or_default() += count;
    }
    all
}

/// What stands between the conversions of a format.
fn pieces(format: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            pieces.last_mut().expect("there is one always").push(letter);
            continue;
        }
        while letters.peek().is_some_and(|next| "-+ #0123456789.*lhzj".contains(*next)) {
            letters.next();
        }
        letters.next();
        pieces.push(String::new());
    }
    pieces.iter().map(|piece| without_numbers(piece)).collect()
}

/// Whether all pieces are there, one behind the other, and the first at the beginning.
fn is_like(cause: &str, pieces: &[String]) -> bool {
    let mut rest = cause;
    for (at, piece) in pieces.iter().enumerate() {
        match rest.find(piece.as_str()) {
            Some(found) if at > 0 || found == 0 => rest = &rest[found + piece.len()..],
            _ => return false,
        }
    }
    pieces.iter().any(|piece| piece.len() > 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_tell_phrases_apart() {
        assert_eq!(without_numbers("R1 off=-8 size=16 0xff42 x"), "RN off=N size=N N x");
    }

    #[test]
    fn phrases_are_known_by_what_stands_between_numbers() {
        let causes = BTreeMap::from([
            (without_numbers("R1 invalid mem access 'scalar'"), 3),
            (without_numbers("something else"), 1),
        ]);
        let heard = heard("R%d invalid mem access '%s'\nR%d !read_ok\n", &causes);
        assert_eq!(heard["R%d invalid mem access '%s'"], 3);
        assert_eq!(heard["R%d !read_ok"], 0);
        assert_eq!(heard["(not a format) something else"], 1);
    }
}
