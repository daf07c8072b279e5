//! Tokens to an expression, by operator strength (Pratt).

use std::sync::Arc;

use crate::ast::{Arithmetic, Entry, Expr, ExprKind, Item, Name, Relation};
use crate::budget::too_deep;
use crate::error::{Outcome, fault};
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

/// A parsed expression. Boxed, like its fault, because it is returned through every level of recursion.
type Parsed = Outcome<Box<Expr>>;

/// Parses a whole source text.
pub(crate) fn parse(source: &str) -> Parsed {
    if source.len() > MAX_SOURCE {
        let message = format!(
            "this expression is longer than {} KiB",
            MAX_SOURCE.div_euclid(1024)
        );
        return Err(fault(ErrorKind::Budget, Span::new(0, source.len()), message));
    }
    let mut lexer = Lexer::new(source, 0);
    let token = lexer.next()?;
    let mut parser = Parser {
        lexer,
        token,
        nesting: 0,
    };
    if parser.token.kind == TokenKind::End {
        return Err(fault(
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
    fn advance(&mut self) -> Outcome<Token> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn comes(&self, symbol: &str) -> bool {
        matches!(self.token.kind, TokenKind::Symbol(next) if next == symbol)
    }

    fn eat(&mut self, symbol: &str) -> Outcome<bool> {
        let comes = self.comes(symbol);
        if comes {
            self.advance()?;
        }
        Ok(comes)
    }

    /// Goes past a symbol that must come next, and gives its end.
    fn expect(&mut self, symbol: &'static str) -> Outcome<usize> {
        if self.comes(symbol) {
            Ok(self.advance()?.span.end)
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    fn unexpected(&self, wanted: &str) -> Box<Error> {
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
        Box::new(match &self.token.kind {
            TokenKind::Name(name) if &**name == "and" => error.with_hint("write `&&`"),
            TokenKind::Name(name) if &**name == "or" => error.with_hint("write `||`"),
            _ => error,
        })
    }

    /// Counts a level of nesting, which ends with [`Self::leave`]. After a fault nobody counts any more.
    fn enter(&mut self) -> Outcome<()> {
        if self.nesting >= MAX_NESTING {
            return Err(too_deep(self.token.span));
        }
        self.nesting = self.nesting.saturating_add(1);
        Ok(())
    }

    fn leave(&mut self) {
        self.nesting = self.nesting.saturating_sub(1);
    }

    /// Any expression. Every bracket comes through here, so it counts a level of nesting.
    fn expression(&mut self) -> Parsed {
        self.enter()?;
        let mut expression = self.binary(0)?;
        if self.comes("?") {
            expression = self.conditional(expression)?;
        }
        self.leave();
        Ok(expression)
    }

    fn conditional(&mut self, condition: Box<Expr>) -> Parsed {
        self.expect("?")?;
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        let span = condition.span.to(otherwise.span);
        build(
            span,
            ExprKind::Conditional {
                condition,
                then,
                otherwise,
            },
        )
    }

    /// Operands joined by operators stronger than `weakest`.
    fn binary(&mut self, weakest: u8) -> Parsed {
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
            let at = self.token.span;
            self.advance()?;
            self.enter()?;
            let right = self.binary(operator.strength())?;
            self.leave();
            left = join(left, operator, at, right)?;
        }
    }

    fn unary(&mut self) -> Parsed {
        if self.comes("!") || self.comes("-") {
            return self.prefixed();
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    /// An operand with its `!` or `-`.
    fn prefixed(&mut self) -> Parsed {
        let is_not = self.comes("!");
        let start = self.advance()?.span;
        let negative = match self.token.kind {
            TokenKind::Int(int) if !is_not => Some(Value::Int(negative(int, start.to(self.token.span))?)),
            TokenKind::Double(double) if !is_not => Some(Value::Double(-double)),
            _ => None,
        };
        if let Some(value) = negative {
            let span = start.to(self.advance()?.span);
            return self.postfix(build(span, ExprKind::Literal(value))?);
        }
        self.enter()?;
        let operand = self.unary()?;
        self.leave();
        let span = start.to(operand.span);
        build(
            span,
            if is_not {
                ExprKind::Not(operand)
            } else {
                ExprKind::Negate(operand)
            },
        )
    }

    /// Selections, calls and indexes after an operand.
    fn postfix(&mut self, mut operand: Box<Expr>) -> Parsed {
        loop {
            operand = if self.comes(".") {
                self.selection(operand)?
            } else if self.comes("[") {
                self.indexed(operand)?
            } else {
                return Ok(operand);
            };
        }
    }

    fn selection(&mut self, operand: Box<Expr>) -> Parsed {
        self.expect(".")?;
        let optional = self.eat("?")?;
        let field = self.field()?;
        if self.comes("(") && !optional {
            let (arguments, end) = self.arguments()?;
            let span = Span::new(operand.span.start, end);
            return build(
                span,
                ExprKind::Call {
                    target: Some(operand),
                    function: field,
                    arguments,
                },
            );
        }
        build(
            operand.span.to(field.span),
            ExprKind::Select {
                operand,
                field,
                optional,
            },
        )
    }

    fn indexed(&mut self, operand: Box<Expr>) -> Parsed {
        self.expect("[")?;
        let optional = self.eat("?")?;
        let index = self.expression()?;
        let span = Span::new(operand.span.start, self.expect("]")?);
        build(
            span,
            ExprKind::Index {
                operand,
                index,
                optional,
            },
        )
    }

    /// The name after a dot.
    fn field(&mut self) -> Outcome<Name> {
        let text = match &self.token.kind {
            TokenKind::QuotedName(text) => Arc::clone(text),
            TokenKind::Name(text) if !matches!(&**text, "true" | "false" | "null") => Arc::clone(text),
            TokenKind::Name(_) | TokenKind::Symbol("in") => {
                let word = self.token.span.text(self.lexer.source);
                let message = format!("`{word}` can't be a field name here");
                let error = Error::new(ErrorKind::Syntax, self.token.span, message);
                return Err(Box::new(
                    error.with_hint(format!("write ['{word}'] instead of .{word}")),
                ));
            }
            _ => return Err(self.unexpected("a field name")),
        };
        let span = self.advance()?.span;
        Ok(Name { text, span })
    }

    /// Arguments in parentheses, and the offset of their end.
    fn arguments(&mut self) -> Outcome<(Vec<Expr>, usize)> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.comes(")") {
            arguments.push(*self.expression()?);
            if !self.eat(",")? {
                break;
            }
        }
        Ok((arguments, self.expect(")")?))
    }

    fn primary(&mut self) -> Parsed {
        match self.token.kind {
            TokenKind::Symbol("(") => self.parenthesised(),
            TokenKind::Symbol("[") => self.list(),
            TokenKind::Symbol("{") => self.map(),
            TokenKind::Name(_) => self.name(),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Parsed {
        let span = self.token.span;
        let value = match &self.token.kind {
            TokenKind::Int(int) => Value::Int(i64::try_from(*int).map_err(|_| out_of_range(span))?),
            TokenKind::Double(double) => Value::Double(*double),
            TokenKind::String(text) => Value::String(Arc::clone(text)),
            TokenKind::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        build(span, ExprKind::Literal(value))
    }

    /// A name, a call, or one of the words that are values.
    fn name(&mut self) -> Parsed {
        let Token {
            kind: TokenKind::Name(text),
            span,
        } = self.advance()?
        else {
            return Err(self.unexpected("a name"));
        };
        if let Some(value) = word(&text) {
            return build(span, ExprKind::Literal(value));
        }
        if RESERVED.contains(&&*text) {
            return Err(fault(
                ErrorKind::Syntax,
                span,
                format!("`{text}` is a reserved word"),
            ));
        }
        if &*text == "not" && !matches!(self.token.kind, TokenKind::Symbol(_) | TokenKind::End) {
            let error = Error::new(ErrorKind::Syntax, span, "there is no operator `not`");
            return Err(Box::new(error.with_hint("write `!`")));
        }
        if self.comes("(") {
            self.call(Name { text, span })
        } else {
            build(span, ExprKind::Name(text))
        }
    }

    fn call(&mut self, function: Name) -> Parsed {
        let (arguments, end) = self.arguments()?;
        let span = Span::new(function.span.start, end);
        build(
            span,
            ExprKind::Call {
                target: None,
                function,
                arguments,
            },
        )
    }

    /// An expression in parentheses. Its place is that of what is inside.
    fn parenthesised(&mut self) -> Parsed {
        self.expect("(")?;
        let inner = self.expression()?;
        self.expect(")")?;
        Ok(inner)
    }

    fn list(&mut self) -> Parsed {
        let start = self.token.span.start;
        self.expect("[")?;
        let mut items = Vec::new();
        while !self.comes("]") {
            let optional = self.eat("?")?;
            items.push(Item {
                optional,
                value: *self.expression()?,
            });
            if !self.eat(",")? {
                break;
            }
        }
        let span = Span::new(start, self.expect("]")?);
        build(span, ExprKind::List(items))
    }

    fn map(&mut self) -> Parsed {
        let start = self.token.span.start;
        self.expect("{")?;
        let mut entries = Vec::new();
        while !self.comes("}") {
            let optional = self.eat("?")?;
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            entries.push(Entry {
                optional,
                key: *key,
                value: *value,
            });
            if !self.eat(",")? {
                break;
            }
        }
        let span = Span::new(start, self.expect("}")?);
        build(span, ExprKind::Map(entries))
    }
}

fn build(span: Span, kind: ExprKind) -> Parsed {
    let expression = Box::new(Expr::new(span, kind));
    if expression.depth > MAX_NESTING {
        Err(too_deep(span))
    } else {
        Ok(expression)
    }
}

/// Adds an operator and its right side. Chains grow wide, not deep, so that their length needs no stack.
fn join(mut left: Box<Expr>, operator: Operator, at: Span, right: Box<Expr>) -> Parsed {
    let span = left.span.to(right.span);
    match (operator, &mut left.kind) {
        (Operator::Or | Operator::And, ExprKind::Logic { any, operands })
            if *any == matches!(operator, Operator::Or) =>
        {
            operands.push(*right);
            build(span, left.kind)
        }
        (Operator::Arithmetic(arithmetic), ExprKind::Arithmetic { rest, .. })
            if rest
                .first()
                .is_some_and(|(same, ..)| Operator::Arithmetic(*same).strength() == operator.strength()) =>
        {
            rest.push((arithmetic, at, *right));
            build(span, left.kind)
        }
        (Operator::Or | Operator::And, _) => {
            let any = matches!(operator, Operator::Or);
            build(
                span,
                ExprKind::Logic {
                    any,
                    operands: vec![*left, *right],
                },
            )
        }
        (Operator::Arithmetic(arithmetic), _) => build(
            span,
            ExprKind::Arithmetic {
                first: left,
                rest: vec![(arithmetic, at, *right)],
            },
        ),
        (Operator::Relation(relation), _) => build(
            span,
            ExprKind::Relation {
                relation,
                left,
                right,
            },
        ),
    }
}

/// The words that are values.
fn word(name: &str) -> Option<Value> {
    match name {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ => None,
    }
}

fn out_of_range(span: Span) -> Box<Error> {
    fault(ErrorKind::Overflow, span, "this int is out of range")
}

/// The smallest int has no positive counterpart, so a sign belongs to its literal.
fn negative(int: u64, span: Span) -> Outcome<i64> {
    0_i64.checked_sub_unsigned(int).ok_or_else(|| out_of_range(span))
}

#[cfg(test)]
mod tests;
