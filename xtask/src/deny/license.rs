//! SPDX expressions, as far as Cargo's `license` field goes: `AND`, `OR`, `WITH`, parentheses, and `/` for `OR` of old.

/// Whether an expression can be met by the licences of a list; `Err` says why it is no expression.
pub(super) fn is_allowed(expression: &str, allow: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words { rest: spaced.split_whitespace().collect(), allow };
    let allowed = words.either()?;
    match words.rest.first() {
        None => Ok(allowed),
        Some(word) => Err(format!("`{word}` after the end of `{expression}`")),
    }
}

struct Words<'a> {
    rest: Vec<&'a str>,
    allow: &'a [String],
}

impl<'a> Words<'a> {
    fn take(&mut self, word: &str) -> Option<&'a str> {
        (self.rest.first() == Some(&word)).then(|| self.rest.remove(0))
    }

    fn next(&mut self) -> Result<&'a str, String> {
        if self.rest.is_empty() {
            return Err("a licence is missing at the end".to_owned());
        }
        Ok(self.rest.remove(0))
    }

    fn either(&mut self) -> Result<bool, String> {
        let mut allowed = self.both()?;
        while self.take("OR").is_some() {
            allowed |= self.both()?;
        }
        Ok(allowed)
    }

    fn both(&mut self) -> Result<bool, String> {
        let mut allowed = self.one()?;
        while self.take("AND").is_some() {
            allowed &= self.one()?;
        }
        Ok(allowed)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(").is_some() {
            let allowed = self.either()?;
            return self.take(")").map(|_| allowed).ok_or_else(|| "a `)` is missing".to_owned());
        }
        let mut name = self.next()?.to_owned();
        if ["AND", "OR", "WITH", ")"].contains(&name.as_str()) {
            return Err(format!("a licence is missing before `{name}`"));
        }
        if self.take("WITH").is_some() {
            name = format!("{name} WITH {}", self.next()?);
        }
        Ok(self.allow.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_met_by_what_is_allowed() {
        let allow = ["MIT", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for (expression, allowed) in [
            ("MIT", true),
            ("GPL-2.0-only", false),
            ("GPL-2.0-only OR MIT", true),
            ("GPL-2.0-only AND MIT", false),
            ("GPL-2.0-only/MIT", true),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("(MIT OR GPL-2.0-only) AND Zlib", false),
            ("MIT OR GPL-2.0-only AND Zlib", true),
            ("Zlib AND (MIT OR GPL-2.0-only) OR MIT", true),
        ] {
            assert_eq!(is_allowed(expression, &allow), Ok(allowed), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for expression in ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT MIT", "MIT WITH"] {
            assert!(is_allowed(expression, &[]).is_err(), "{expression}");
        }
    }
}
