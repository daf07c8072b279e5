//! Tokens to an expression, by operator strength (Pratt).

use std::sync::Arc;

use crate::ast::{Arithmetic, Entry, Expr, ExprKind, Item, Name, Relation};
use crate::budget::too_deep;
use crate::lexer::{Lexer, Token, TokenKind};
use crate::{Error, ErrorKind, MAX_NESTING, MAX_SOURCE, Span, Value};

/// Words that CEL keeps for itself. They are legal after a dot.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Parses a whole source text.
pub(crate) fn parse(source: &str) -> Result<Expr, Error> {
    if source.len() > MAX_SOURCE {
        let span = Span::new(0, source.len());
        let message = format!(
            "this expression is longer than {} KiB",
            MAX_SOURCE.div_euclid(1024)
        );
        return Err(Error::new(ErrorKind::Budget, span, message));
    }
    let mut lexer = Lexer::new(source, 0);
    let token = lexer.next()?;
    let mut parser = Parser {
        lexer,
        token,
        nesting: 0,
    };
    if parser.token.kind == TokenKind::End {
        return Err(Error::new(
            ErrorKind::Syntax,
            parser.token.span,
            "an expression is missing here",
        ));
    }
    let expression = parser.expression()?;
    if parser.token.kind == TokenKind::End {
        Ok(expression)
    } else {
        Err(parser.unexpected("the expression ends"))
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    /// The token that comes next.
    token: Token,
    nesting: usize,
}

/// A binary operator.
#[derive(Clone, Copy)]
enum Operator {
    Or,
    And,
    Relation(Relation),
    Arithmetic(Arithmetic),
}

impl Operator {
    fn of(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "||" => Self::Or,
            "&&" => Self::And,
            "==" => Self::Relation(Relation::Equal),
            "!=" => Self::Relation(Relation::Unequal),
            "<" => Self::Relation(Relation::Less),
            "<=" => Self::Relation(Relation::LessOrEqual),
            ">" => Self::Relation(Relation::Greater),
            ">=" => Self::Relation(Relation::GreaterOrEqual),
            "in" => Self::Relation(Relation::In),
            "+" => Self::Arithmetic(Arithmetic::Add),
            "-" => Self::Arithmetic(Arithmetic::Subtract),
            "*" => Self::Arithmetic(Arithmetic::Multiply),
            "/" => Self::Arithmetic(Arithmetic::Divide),
            "%" => Self::Arithmetic(Arithmetic::Remainder),
            _ => return None,
        })
    }

    /// The stronger binds first.
    const fn strength(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Relation(_) => 3,
            Self::Arithmetic(Arithmetic::Add | Arithmetic::Subtract) => 4,
            Self::Arithmetic(_) => 5,
        }
    }
}

impl Parser<'_> {
    /// Goes past the next token and gives it.
    fn advance(&mut self) -> Result<Token, Error> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn comes(&self, symbol: &str) -> bool {
        matches!(self.token.kind, TokenKind::Symbol(next) if next == symbol)
    }

    fn eat(&mut self, symbol: &str) -> Result<bool, Error> {
        let comes = self.comes(symbol);
        if comes {
            self.advance()?;
        }
        Ok(comes)
    }

    /// Goes past a symbol that must come next, and gives its end.
    fn expect(&mut self, symbol: &'static str) -> Result<usize, Error> {
        if self.comes(symbol) {
            Ok(self.advance()?.span.end)
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let span = self.token.span;
        let found = match &self.token.kind {
            TokenKind::End => "the expression ends".to_owned(),
            TokenKind::String(_) | TokenKind::Bytes(_) => "there is a string".to_owned(),
            _ => format!("there is `{}`", span.text(self.lexer.source)),
        };
        let message = if wanted == "the expression ends" {
            format!(
                "the expression is complete before `{}`",
                span.text(self.lexer.source)
            )
        } else {
            format!("{wanted} is expected here, but {found}")
        };
        let error = Error::new(ErrorKind::Syntax, span, message);
        match &self.token.kind {
            TokenKind::Name(name) if &**name == "and" => error.with_hint("write `&&`"),
            TokenKind::Name(name) if &**name == "or" => error.with_hint("write `||`"),
            _ => error,
        }
    }

    fn build(span: Span, kind: ExprKind) -> Result<Expr, Error> {
        let expression = Expr::new(span, kind);
        if expression.depth > MAX_NESTING {
            Err(*too_deep(span))
        } else {
            Ok(expression)
        }
    }

    /// Any expression. Every bracket comes through here, so it counts a level of nesting.
    fn expression(&mut self) -> Result<Expr, Error> {
        self.nested(|parser| {
            let condition = parser.binary(0)?;
            if !parser.eat("?")? {
                return Ok(condition);
            }
            let then = parser.expression()?;
            parser.expect(":")?;
            let otherwise = parser.expression()?;
            let span = condition.span.to(otherwise.span);
            let (condition, then, otherwise) = (Box::new(condition), Box::new(then), Box::new(otherwise));
            Self::build(
                span,
                ExprKind::Conditional {
                    condition,
                    then,
                    otherwise,
                },
            )
        })
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Result<Expr, Error>) -> Result<Expr, Error> {
        if self.nesting >= MAX_NESTING {
            return Err(*too_deep(self.token.span));
        }
        self.nesting = self.nesting.saturating_add(1);
        let expression = parse(self)?;
        self.nesting = self.nesting.saturating_sub(1);
        Ok(expression)
    }

    /// Operands joined by operators stronger than `weakest`.
    fn binary(&mut self, weakest: u8) -> Result<Expr, Error> {
        let mut left = self.unary()?;
        loop {
            let TokenKind::Symbol(symbol) = self.token.kind else {
                return Ok(left);
            };
            let Some(operator) = Operator::of(symbol) else {
                return Ok(left);
            };
            if operator.strength() <= weakest {
                return Ok(left);
            }
            let at = self.advance()?.span;
            let right = self.nested(|parser| parser.binary(operator.strength()))?;
            left = Self::join(left, operator, at, right)?;
        }
    }

    /// Adds an operator and its right side. Chains grow wide, not deep, so that their length needs no stack.
    fn join(left: Expr, operator: Operator, at: Span, right: Expr) -> Result<Expr, Error> {
        let span = left.span.to(right.span);
        let any = matches!(operator, Operator::Or);
        let kind = match (operator, left) {
            (Operator::Relation(relation), left) => ExprKind::Relation {
                relation,
                left: Box::new(left),
                right: Box::new(right),
            },
            (
                Operator::Or | Operator::And,
                Expr {
                    kind:
                        ExprKind::Logic {
                            any: same,
                            mut operands,
                        },
                    ..
                },
            ) if same == any => {
                operands.push(right);
                ExprKind::Logic { any, operands }
            }
            (Operator::Or | Operator::And, left) => ExprKind::Logic {
                any,
                operands: vec![left, right],
            },
            (
                Operator::Arithmetic(arithmetic),
                Expr {
                    kind: ExprKind::Arithmetic { first, mut rest },
                    span: left_span,
                    depth,
                },
            ) => {
                let strength = |arithmetic| Operator::Arithmetic(arithmetic).strength();
                if rest
                    .first()
                    .is_some_and(|(same, ..)| strength(*same) == strength(arithmetic))
                {
                    rest.push((arithmetic, at, right));
                    ExprKind::Arithmetic { first, rest }
                } else {
                    let left = Expr {
                        kind: ExprKind::Arithmetic { first, rest },
                        span: left_span,
                        depth,
                    };
                    ExprKind::Arithmetic {
                        first: Box::new(left),
                        rest: vec![(arithmetic, at, right)],
                    }
                }
            }
            (Operator::Arithmetic(arithmetic), left) => ExprKind::Arithmetic {
                first: Box::new(left),
                rest: vec![(arithmetic, at, right)],
            },
        };
        Self::build(span, kind)
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let start = self.token.span;
        if self.eat("!")? {
            let operand = self.nested(Self::unary)?;
            return Self::build(start.to(operand.span), ExprKind::Not(Box::new(operand)));
        }
        if self.eat("-")? {
            let negative = match self.token.kind {
                TokenKind::Int(int) => Some(Value::Int(negative(int, start.to(self.token.span))?)),
                TokenKind::Double(double) => Some(Value::Double(-double)),
                _ => None,
            };
            if let Some(value) = negative {
                let span = start.to(self.advance()?.span);
                return self.postfix(Expr::new(span, ExprKind::Literal(value)));
            }
            let operand = self.nested(Self::unary)?;
            return Self::build(start.to(operand.span), ExprKind::Negate(Box::new(operand)));
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    /// Selections, calls and indexes after an operand.
    fn postfix(&mut self, mut operand: Expr) -> Result<Expr, Error> {
        loop {
            if self.eat(".")? {
                let optional = self.eat("?")?;
                let field = self.field()?;
                let start = operand.span;
                if self.comes("(") && !optional {
                    let (arguments, end) = self.arguments()?;
                    let span = Span::new(start.start, end);
                    let target = Some(Box::new(operand));
                    operand = Self::build(
                        span,
                        ExprKind::Call {
                            target,
                            function: field,
                            arguments,
                        },
                    )?;
                } else {
                    let span = start.to(field.span);
                    operand = Self::build(
                        span,
                        ExprKind::Select {
                            operand: Box::new(operand),
                            field,
                            optional,
                        },
                    )?;
                }
            } else if self.eat("[")? {
                let optional = self.eat("?")?;
                let index = Box::new(self.expression()?);
                let span = Span::new(operand.span.start, self.expect("]")?);
                operand = Self::build(
                    span,
                    ExprKind::Index {
                        operand: Box::new(operand),
                        index,
                        optional,
                    },
                )?;
            } else {
                return Ok(operand);
            }
        }
    }

    /// The name after a dot.
    fn field(&mut self) -> Result<Name, Error> {
        let text = match &self.token.kind {
            TokenKind::QuotedName(text) => Arc::clone(text),
            TokenKind::Name(text) if !matches!(&**text, "true" | "false" | "null") => Arc::clone(text),
            TokenKind::Name(_) | TokenKind::Symbol("in") => {
                let word = self.token.span.text(self.lexer.source);
                let message = format!("`{word}` can't be a field name here");
                return Err(Error::new(ErrorKind::Syntax, self.token.span, message)
                    .with_hint(format!("write ['{word}'] instead of .{word}")));
            }
            _ => return Err(self.unexpected("a field name")),
        };
        let span = self.advance()?.span;
        Ok(Name { text, span })
    }

    /// Arguments in parentheses, and the offset of their end.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize), Error> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.comes(")") {
            arguments.push(self.expression()?);
            if !self.eat(",")? {
                break;
            }
        }
        Ok((arguments, self.expect(")")?))
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let span = self.token.span;
        let value = match &self.token.kind {
            TokenKind::Int(int) => Value::Int(i64::try_from(*int).map_err(|_| out_of_range(span))?),
            TokenKind::Double(double) => Value::Double(*double),
            TokenKind::String(text) => Value::String(Arc::clone(text)),
            TokenKind::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
            TokenKind::Name(name) => match &**name {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return self.name(),
            },
            TokenKind::Symbol("(") => return self.parenthesised(),
            TokenKind::Symbol("[") => return self.list(),
            TokenKind::Symbol("{") => return self.map(),
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Ok(Expr::new(span, ExprKind::Literal(value)))
    }

    fn name(&mut self) -> Result<Expr, Error> {
        let token = self.advance()?;
        let TokenKind::Name(text) = token.kind else {
            return Err(self.unexpected("a name"));
        };
        if RESERVED.contains(&&*text) {
            let message = format!("`{text}` is a reserved word");
            return Err(Error::new(ErrorKind::Syntax, token.span, message));
        }
        if &*text == "not" && !matches!(self.token.kind, TokenKind::Symbol(_) | TokenKind::End) {
            return Err(
                Error::new(ErrorKind::Syntax, token.span, "there is no operator `not`")
                    .with_hint("write `!`"),
            );
        }
        if self.comes("(") {
            let (arguments, end) = self.arguments()?;
            let function = Name {
                text,
                span: token.span,
            };
            let span = Span::new(token.span.start, end);
            return Self::build(
                span,
                ExprKind::Call {
                    target: None,
                    function,
                    arguments,
                },
            );
        }
        Ok(Expr::new(token.span, ExprKind::Name(text)))
    }

    /// An expression in parentheses. Its place is that of what is inside.
    fn parenthesised(&mut self) -> Result<Expr, Error> {
        self.expect("(")?;
        let inner = self.expression()?;
        self.expect(")")?;
        Ok(inner)
    }

    fn list(&mut self) -> Result<Expr, Error> {
        let start = self.advance()?.span;
        let mut items = Vec::new();
        while !self.comes("]") {
            let optional = self.eat("?")?;
            items.push(Item {
                optional,
                value: self.expression()?,
            });
            if !self.eat(",")? {
                break;
            }
        }
        let span = Span::new(start.start, self.expect("]")?);
        Self::build(span, ExprKind::List(items))
    }

    fn map(&mut self) -> Result<Expr, Error> {
        let start = self.advance()?.span;
        let mut entries = Vec::new();
        while !self.comes("}") {
            let optional = self.eat("?")?;
            let key = self.expression()?;
            self.expect(":")?;
            entries.push(Entry {
                optional,
                key,
                value: self.expression()?,
            });
            if !self.eat(",")? {
                break;
            }
        }
        let span = Span::new(start.start, self.expect("}")?);
        Self::build(span, ExprKind::Map(entries))
    }
}

fn out_of_range(span: Span) -> Error {
    Error::new(ErrorKind::Overflow, span, "this int is out of range")
}

/// The smallest int has no positive counterpart, so a sign belongs to its literal.
fn negative(int: u64, span: Span) -> Result<i64, Error> {
    0_i64.checked_sub_unsigned(int).ok_or_else(|| out_of_range(span))
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn message(source: &str) -> String {
        let error = parse(source).unwrap_err();
        let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!(
            "{}..{}: {}{hint}",
            error.span.start, error.span.end, error.message
        )
    }

    #[test]
    fn faults_of_syntax_are_told_in_plain_words() {
        assert_eq!(message(""), "0..0: an expression is missing here");
        assert_eq!(
            message("1 +"),
            "3..3: a value is expected here, but the expression ends"
        );
        assert_eq!(
            message("(1"),
            "2..2: `)` is expected here, but the expression ends"
        );
        assert_eq!(message("1 2"), "2..3: the expression is complete before `2`");
        assert_eq!(
            message("a and b"),
            "2..5: the expression is complete before `and` (write `&&`)"
        );
        assert_eq!(message("not a"), "0..3: there is no operator `not` (write `!`)");
        assert_eq!(
            message("a.true"),
            "2..6: `true` can't be a field name here (write ['true'] instead of .true)"
        );
        assert_eq!(
            message("[1, 'x' 2]"),
            "8..9: `]` is expected here, but there is `2`"
        );
        assert_eq!(message("{1}"), "2..3: `:` is expected here, but there is `}`");
        assert_eq!(message("let"), "0..3: `let` is a reserved word");
        assert_eq!(message("9223372036854775808"), "0..19: this int is out of range");
    }

    #[test]
    fn the_smallest_int_can_be_written() {
        assert!(parse("-9223372036854775808").is_ok());
        assert!(parse("-9223372036854775809").is_err());
    }

    #[test]
    fn reserved_words_are_legal_after_a_dot() {
        assert!(parse("a.namespace.for.if").is_ok());
    }

    #[test]
    fn trailing_commas_are_allowed() {
        assert!(parse("[1, 2,]").is_ok());
        assert!(parse("{'a': 1,}").is_ok());
        assert!(parse("[,]").is_err());
    }

    #[test]
    fn a_long_chain_is_not_deep() {
        assert_eq!(parse(&vec!["1"; 1000].join("+")).unwrap().depth, 2);
        assert_eq!(parse(&vec!["a"; 1000].join("||")).unwrap().depth, 2);
    }

    #[test]
    fn deep_nesting_ends_with_an_error_on_a_small_stack() {
        let deep = [
            format!("{}1{}", "(".repeat(5000), ")".repeat(5000)),
            format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
            format!("{}a", "!".repeat(5000)),
            format!("{}a", "-".repeat(5000)),
            format!("a{}", ".a".repeat(5000)),
            format!("a{}", "[0]".repeat(5000)),
            format!("{}1", "a?b:".repeat(2000)),
            format!("{}1{}", "a?".repeat(2000), ":1".repeat(2000)),
            format!("{}1", "a||b&&c==d+e*-f(".repeat(1000)),
            vec!["1"; 1000].join("=="),
            format!("{}a{}", "(".repeat(60), ".a)".repeat(60).repeat(2)),
        ];
        let parsed = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            for source in deep {
                assert!(parse(&source).is_err(), "{source}");
            }
        });
        parsed.unwrap().join().unwrap();
    }
}
