//! Source text to tokens.

use std::sync::Arc;

use crate::{Error, ErrorKind, Span};

/// A token with its place.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or keyword.
    Name(Arc<str>),
    /// A name in backticks, which can only follow a dot.
    QuotedName(Arc<str>),
    /// A whole number, without its sign.
    Int(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    /// An operator or bracket.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// Operators and brackets, longer ones before those they start with.
const SYMBOLS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "!", "<", ">", "?", ":", ",", ".", "(", ")",
    "[", "]", "{", "}", "in",
];

pub(crate) struct Lexer<'s> {
    pub(crate) source: &'s str,
    pub(crate) at: usize,
}

impl<'s> Lexer<'s> {
    pub(crate) const fn new(source: &'s str, at: usize) -> Self {
        Self { source, at }
    }

    pub(crate) fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.advance(letter.len_utf8());
        Some(letter)
    }

    /// Goes past `prefix` if it comes next.
    pub(crate) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.advance(prefix.len());
        }
        found
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.source.len());
    }

    /// Takes letters as long as they are wanted.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.find(|letter| !wanted(letter)).unwrap_or(rest.len());
        self.advance(end);
        rest.get(..end).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        loop {
            self.take_while(|letter| matches!(letter, ' ' | '\t' | '\n' | '\r' | '\u{c}'));
            if !self.eat("//") {
                return;
            }
            self.take_while(|letter| letter != '\n');
        }
    }

    /// The next token. After an error, the rest of the text makes no sense any more.
    pub(crate) fn next(&mut self) -> Result<Token, Error> {
        self.skip_blanks();
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok(Token {
                kind: TokenKind::End,
                span: Span::new(start, start),
            });
        };
        let after_dot = || {
            self.rest()
                .chars()
                .nth(1)
                .is_some_and(|letter| letter.is_ascii_digit())
        };
        let kind = match first {
            '"' | '\'' => self.literal(start)?,
            'r' | 'R' | 'b' | 'B' if self.starts_literal() => self.literal(start)?,
            '0'..='9' => self.number(start)?,
            '.' if after_dot() => self.number(start)?,
            '`' => self.quoted_name(start)?,
            letter if starts_name(letter) => {
                let name = self.take_while(continues_name);
                if name == "in" {
                    TokenKind::Symbol("in")
                } else {
                    TokenKind::Name(name.into())
                }
            }
            letter => match SYMBOLS.into_iter().find(|symbol| self.eat(symbol)) {
                Some(symbol) => TokenKind::Symbol(symbol),
                None => return Err(self.stray(start, letter)),
            },
        };
        Ok(Token {
            kind,
            span: Span::new(start, self.at),
        })
    }

    fn number(&mut self, start: usize) -> Result<TokenKind, Error> {
        if self.eat("0x") || self.eat("0X") {
            let digits = self.take_while(|letter| letter.is_ascii_hexdigit());
            let value = u64::from_str_radix(digits, 16);
            return self.end_number(start, value.ok().map(TokenKind::Int), digits.is_empty());
        }
        let digits = |lexer: &mut Self| lexer.take_while(|letter| letter.is_ascii_digit());
        let whole = digits(self);
        let mut is_double = false;
        if self.peek() == Some('.')
            && self
                .rest()
                .chars()
                .nth(1)
                .is_some_and(|letter| letter.is_ascii_digit())
        {
            is_double = true;
            self.advance(1);
            digits(self);
        }
        let before_exponent = self.at;
        if self.eat("e") || self.eat("E") {
            if !self.eat("+") {
                self.eat("-");
            }
            if digits(self).is_empty() {
                self.at = before_exponent;
            } else {
                is_double = true;
            }
        }
        let text = Span::new(start, self.at).text(self.source);
        let kind = if is_double {
            text.parse().ok().map(TokenKind::Double)
        } else {
            whole.parse().ok().map(TokenKind::Int)
        };
        self.end_number(start, kind, false)
    }

    /// Checks what follows a number. An unsigned literal, `1u`, is an int like any other.
    fn end_number(&mut self, start: usize, kind: Option<TokenKind>, empty: bool) -> Result<TokenKind, Error> {
        if matches!(kind, Some(TokenKind::Int(_))) && !self.eat("u") {
            self.eat("U");
        }
        let letters = self.take_while(continues_name);
        let span = Span::new(start, self.at);
        if empty || !letters.is_empty() {
            let error = Error::new(
                ErrorKind::Syntax,
                span,
                format!("`{}` isn't a number", span.text(self.source)),
            );
            return Err(if matches!(letters, "d" | "h" | "m" | "s" | "ms") {
                error.with_hint(format!(
                    "a duration is written duration('{}')",
                    span.text(self.source)
                ))
            } else if kind.is_some() && letters.len() > 1 {
                error.with_hint("put a space between a number and a word")
            } else {
                error
            });
        }
        kind.ok_or_else(|| Error::new(ErrorKind::Overflow, span, "this int is out of range"))
    }

    fn quoted_name(&mut self, start: usize) -> Result<TokenKind, Error> {
        self.advance(1);
        let allowed = |letter: char| continues_name(letter) || matches!(letter, '-' | '.' | '/' | ' ');
        let name = self.take_while(allowed);
        if name.is_empty() || !self.eat("`") {
            let span = Span::new(start, self.at);
            return Err(Error::new(
                ErrorKind::Syntax,
                span,
                "this name in backticks has no end",
            ));
        }
        Ok(TokenKind::QuotedName(name.into()))
    }

    fn stray(&mut self, start: usize, letter: char) -> Error {
        self.bump();
        let span = Span::new(start, self.at);
        let error = Error::new(ErrorKind::Syntax, span, format!("`{letter}` doesn't belong here"));
        match letter {
            '=' => error.with_hint("compare with `==`"),
            '&' => error.with_hint("write `&&`"),
            '|' => error.with_hint("write `||`"),
            '$' => error.with_hint("this is an expression already: leave out `${` and its `}`"),
            '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => error.with_hint("use straight quotes"),
            _ => error,
        }
    }
}

pub(crate) fn starts_name(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_'
}

fn continues_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::{Lexer, TokenKind};

    fn tokens(source: &str) -> Vec<TokenKind> {
        let mut lexer = Lexer::new(source, 0);
        let mut kinds = Vec::new();
        loop {
            match lexer.next().unwrap().kind {
                TokenKind::End => return kinds,
                kind => kinds.push(kind),
            }
        }
    }

    fn message(source: &str) -> String {
        let mut lexer = Lexer::new(source, 0);
        loop {
            match lexer.next() {
                Ok(token) => assert_ne!(token.kind, TokenKind::End, "{source} has a fault"),
                Err(error) => return format!("{} ({})", error.message, error.hint.unwrap_or_default()),
            }
        }
    }

    #[test]
    fn numbers_are_decimal_hexadecimal_or_double() {
        assert_eq!(
            tokens("1 0x1F 2u 1.5 .5 1e3 2E-1"),
            [
                TokenKind::Int(1),
                TokenKind::Int(31),
                TokenKind::Int(2),
                TokenKind::Double(1.5),
                TokenKind::Double(0.5),
                TokenKind::Double(1000.0),
                TokenKind::Double(0.2)
            ]
        );
    }

    #[test]
    fn a_dot_after_a_number_selects_unless_a_digit_follows() {
        assert_eq!(tokens("1.size")[1], TokenKind::Symbol("."));
    }

    #[test]
    fn comments_and_blanks_are_skipped() {
        assert_eq!(tokens("1 // one\n + 2"), tokens("1+2"));
    }

    #[test]
    fn a_keyword_is_only_the_whole_word() {
        assert_eq!(
            tokens("in inner"),
            [TokenKind::Symbol("in"), TokenKind::Name("inner".into())]
        );
    }

    #[test]
    fn a_bare_duration_gets_a_hint() {
        assert_eq!(
            message("90d"),
            "`90d` isn't a number (a duration is written duration('90d'))"
        );
    }

    #[test]
    fn stray_letters_get_a_hint() {
        assert_eq!(message("a = b"), "`=` doesn't belong here (compare with `==`)");
        assert_eq!(
            message("${a}"),
            "`$` doesn't belong here (this is an expression already: leave out `${` and its `}`)"
        );
        assert_eq!(message("a # b"), "`#` doesn't belong here ()");
    }

    #[test]
    fn an_int_out_of_range_is_an_error() {
        assert_eq!(message("99999999999999999999"), "this int is out of range ()");
    }
}
