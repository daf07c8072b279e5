//! Where an expression inside a template string ends.

use crate::lexer::{Lexer, TokenKind};
use crate::{Error, ErrorKind, Span};

/// The offset of the `}` that closes the `${` whose expression starts at `start`.
///
/// It is found by tokens: braces of map literals nest, those in strings and comments don't count. Nothing after the
/// closing brace is looked at. Spans of errors are offsets into `text`.
///
/// ```
/// let text = "a-${ {'}': 1}['}'] }-b";
/// assert_eq!(holdfast_expression::closing_brace(text, 4), Ok(19));
/// ```
///
/// # Errors
///
/// There is no closing brace, or a token before it can't be read.
pub fn closing_brace(text: &str, start: usize) -> Result<usize, Error> {
    let mut lexer = Lexer::new(text, start);
    let mut open: usize = 0;
    loop {
        let token = lexer.next()?;
        match token.kind {
            TokenKind::End => {
                let span = Span::new(start.saturating_sub(2), text.len());
                return Err(
                    Error::new(ErrorKind::Syntax, span, "this `${` has no closing `}`")
                        .with_hint("a literal `${` is written `$${`"),
                );
            }
            TokenKind::Symbol("{") => open = open.saturating_add(1),
            TokenKind::Symbol("}") => match open.checked_sub(1) {
                Some(left) => open = left,
                None => return Ok(token.span.start),
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::closing_brace;

    fn inside(text: &str) -> &str {
        let (before, _) = text.split_once("${").unwrap();
        let start = before.len().checked_add(2).unwrap();
        text.get(start..closing_brace(text, start).unwrap()).unwrap()
    }

    #[test]
    fn braces_of_maps_nest() {
        assert_eq!(inside("x${ {'a': {}}.a }}"), " {'a': {}}.a ");
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        assert_eq!(
            inside(r#"${ '}' + "}" + r'\}' + '''}'}''' + '\'}' }"#),
            r#" '}' + "}" + r'\}' + '''}'}''' + '\'}' "#
        );
    }

    #[test]
    fn braces_in_comments_do_not_count() {
        assert_eq!(inside("${a // }\n}"), "a // }\n");
    }

    #[test]
    fn what_follows_the_brace_is_not_looked_at() {
        assert_eq!(inside("${a} it's # fine"), "a");
    }

    #[test]
    fn a_brace_that_is_not_closed_is_an_error() {
        let error = closing_brace("ab${ c", 4).unwrap_err();
        assert_eq!((error.span.start, error.span.end), (2, 6));
        assert_eq!(error.message, "this `${` has no closing `}`");
        assert!(closing_brace("${'}", 2).is_err());
        assert!(closing_brace("${", 100).is_err());
    }
}
