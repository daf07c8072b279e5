//! String and bytes literals: quotes, prefixes and escapes.

use crate::lexer::{Lexer, TokenKind};
use crate::{Error, ErrorKind, Span};

/// What one letter or escape of a literal stands for.
enum Piece {
    Letter(char),
    /// A numbered escape: a code point in a string, a byte in bytes.
    Number(u32),
}

impl Lexer<'_> {
    /// Whether a string or bytes literal with a prefix comes next: `r'`, `b'`, `br'`.
    pub(crate) fn starts_literal(&self) -> bool {
        let mut letters = self.rest().chars();
        let mut next = letters.next();
        if matches!(next, Some('b' | 'B')) {
            next = letters.next();
        }
        if matches!(next, Some('r' | 'R')) {
            next = letters.next();
        }
        matches!(next, Some('"' | '\''))
    }

    /// A string or bytes literal, from its prefix to its closing quotes.
    pub(crate) fn literal(&mut self, start: usize) -> Result<TokenKind, Error> {
        let is_bytes = self.eat("b") || self.eat("B");
        let is_raw = self.eat("r") || self.eat("R");
        let quotes = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quotes| self.eat(quotes))
            .unwrap_or("'");
        let mut text = String::new();
        let mut bytes = Vec::new();
        while !self.eat(quotes) {
            let from = self.at;
            let letter = match self.bump() {
                None => return Err(unterminated(start, self.at)),
                Some('\n' | '\r') if quotes.len() == 1 => return Err(unterminated(start, from)),
                Some(letter) => letter,
            };
            let piece = if letter == '\\' && !is_raw {
                self.escape(from, is_bytes)?
            } else {
                Piece::Letter(letter)
            };
            match (is_bytes, piece) {
                (false, Piece::Letter(letter)) => text.push(letter),
                (false, Piece::Number(code)) => {
                    text.push(char::from_u32(code).ok_or_else(|| self.bad_escape(from))?);
                }
                (true, Piece::Letter(letter)) => {
                    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                (true, Piece::Number(code)) => {
                    bytes.push(u8::try_from(code).map_err(|_| self.bad_escape(from))?);
                }
            }
        }
        Ok(if is_bytes {
            TokenKind::Bytes(bytes.into())
        } else {
            TokenKind::String(text.into())
        })
    }

    /// What follows a backslash.
    fn escape(&mut self, from: usize, is_bytes: bool) -> Result<Piece, Error> {
        let letter = match self.bump() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(same @ ('\\' | '?' | '"' | '\'' | '`')) => same,
            Some('x' | 'X') => return self.coded(from, 2, 16),
            Some('u') if !is_bytes => return self.coded(from, 4, 16),
            Some('U') if !is_bytes => return self.coded(from, 8, 16),
            Some('0'..='3') => {
                self.at = from.saturating_add(1);
                return self.coded(from, 3, 8);
            }
            _ => return Err(self.bad_escape(from)),
        };
        Ok(Piece::Letter(letter))
    }

    fn coded(&mut self, from: usize, digits: usize, radix: u32) -> Result<Piece, Error> {
        let mut code: u32 = 0;
        for _ in 0..digits {
            let digit = self
                .peek()
                .and_then(|letter| letter.to_digit(radix))
                .ok_or_else(|| self.bad_escape(from))?;
            self.bump();
            code = code.wrapping_mul(radix).wrapping_add(digit);
        }
        Ok(Piece::Number(code))
    }

    fn bad_escape(&self, from: usize) -> Error {
        let span = Span::new(from, self.at);
        Error::new(
            ErrorKind::Syntax,
            span,
            format!("`{}` isn't an escape", span.text(self.source)),
        )
        .with_hint("a backslash is written `\\\\`; a pattern is easier as a raw string: r'…'")
    }
}

fn unterminated(start: usize, end: usize) -> Error {
    Error::new(
        ErrorKind::Syntax,
        Span::new(start, end),
        "this string has no closing quote",
    )
}

#[cfg(test)]
mod tests {
    use crate::lexer::{Lexer, TokenKind};

    fn literal(source: &str) -> Result<TokenKind, String> {
        Lexer::new(source, 0)
            .next()
            .map(|token| token.kind)
            .map_err(|error| error.message)
    }

    fn text(source: &str) -> String {
        match literal(source) {
            Ok(TokenKind::String(text)) => text.to_string(),
            other => panic!("{source}: {other:?}"),
        }
    }

    #[test]
    fn quotes_are_single_double_or_triple() {
        assert_eq!(text("'a\"b'"), "a\"b");
        assert_eq!(text("\"a'b\""), "a'b");
        assert_eq!(text("'''a'b\nc'''"), "a'b\nc");
        assert_eq!(text("\"\"\"a\"\"b\"\"\""), "a\"\"b");
        assert_eq!(text("''"), "");
    }

    #[test]
    fn escapes_stand_for_letters_and_code_points() {
        assert_eq!(text(r"'\n\t\\\'\?'"), "\n\t\\'?");
        assert_eq!(text(r"'\x41\u00e9\U0001F600\101'"), "Aé😀A");
    }

    #[test]
    fn raw_strings_keep_their_backslashes() {
        assert_eq!(text(r"r'\d+\n'"), r"\d+\n");
        assert_eq!(text(r"R'''\'''"), r"\");
    }

    #[test]
    fn escapes_in_bytes_are_bytes() {
        assert_eq!(
            literal(r"b'\xffé'"),
            Ok(TokenKind::Bytes(vec![0xff, 0xc3, 0xa9].into()))
        );
        assert_eq!(literal(r"br'\x'"), Ok(TokenKind::Bytes(b"\\x".to_vec().into())));
    }

    #[test]
    fn what_is_no_escape_is_named() {
        assert_eq!(literal(r"'\d'"), Err(r"`\d` isn't an escape".into()));
        assert_eq!(literal(r"'\ud800'"), Err(r"`\ud800` isn't an escape".into()));
        assert_eq!(literal(r"b'\u0041'"), Err(r"`\u` isn't an escape".into()));
        assert_eq!(literal(r"'\x4'"), Err(r"`\x4` isn't an escape".into()));
        assert_eq!(literal(r"'\777'"), Err(r"`\7` isn't an escape".into()));
    }

    #[test]
    fn a_string_without_its_closing_quote_is_an_error() {
        for source in ["'a", "\"a'", "'''a'", "'a\nb'", "r'a\\"] {
            assert_eq!(
                literal(source),
                Err("this string has no closing quote".into()),
                "{source}"
            );
        }
    }
}
