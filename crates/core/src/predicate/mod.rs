//! A question about rows: the WHERE dialect of SQL as one typed tree.
//!
//! The same tree drives the registry's pruning ([`bounds`]) and the row filter of the reader
//! ([`filter`]), so the two cannot disagree. Semantics are DuckDB's, which every test compares
//! with, but for one thing: NaN matches no comparison, as if it were NULL (`IS NULL` still tells
//! them apart).

pub mod bounds;
pub mod column;
pub mod filter;
pub mod literal;
pub mod needs;
mod parse;
#[cfg(test)]
mod tests;

pub use literal::{Literal, Number};

use std::collections::BTreeSet;
use std::fmt;

/// Why a predicate cannot be used. Every one of these is a usage error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not an SQL expression.
    #[error("predicate cannot be read: {0}")]
    Syntax(String),
    /// SQL, but more than the dialect has.
    #[error("predicate has '{0}', which is not supported: {SUPPORTED}")]
    Unsupported(String),
    /// Two columns, or text in double quotes.
    #[error(
        "predicate has '{part}', but {reason}: compare a column with a number, 'text', TRUE or FALSE (text goes in single quotes)"
    )]
    Comparison {
        /// The part of the predicate.
        part: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More operators than a person writes.
    #[error(
        "predicate has more than {0} operators: use IN (…) for long lists, or ask several questions"
    )]
    TooLong(usize),
    /// No such column.
    #[error("no column '{name}'{}", nearest.as_ref().map(|n| format!(": did you mean '{n}'?")).unwrap_or_default())]
    UnknownColumn {
        /// As it was written.
        name: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// A column of another type than what it is compared with.
    #[error("column '{column}' holds {holds} and cannot be compared with {with}")]
    Type {
        /// The column.
        column: String,
        /// What it holds, in words.
        holds: String,
        /// The literal.
        with: String,
    },
}

const SUPPORTED: &str = "comparisons of a column with a literal (= <> < <= > >=), AND, OR, NOT, \
[NOT] IN, [NOT] BETWEEN, IS [NOT] NULL, IS [NOT] TRUE, IS [NOT] FALSE and parentheses";

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    /// The same comparison with its sides exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }

    /// The comparison that holds where this one fails (and nothing is NULL).
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
        }
    }

    /// Whether two values that stand in an order satisfy the comparison.
    #[must_use]
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }
}

/// A condition on rows, true, false or unknown for each of them; rows match where it is true.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// TRUE, FALSE or NULL.
    Constant(Option<bool>),
    /// A column against a literal.
    Compare {
        /// Column name, see [`column::find_named`].
        column: String,
        /// The comparison, column on the left.
        op: Op,
        /// The right side.
        literal: Literal,
    },
    /// A column against a list; sorted, without NULL.
    In {
        /// Column name.
        column: String,
        /// Literals of one kind.
        list: literal::List,
        /// Whether NULL stood in the list: rows outside of it are then unknown, not false.
        has_null: bool,
    },
    /// A boolean column by itself.
    Column(String),
    /// `column IS NULL`.
    IsNull(String),
    /// `… IS TRUE`, `… IS FALSE`: never unknown.
    Is(Box<Predicate>, bool),
    /// NOT.
    Not(Box<Predicate>),
    /// All of them.
    And(Vec<Predicate>),
    /// Any of them.
    Or(Vec<Predicate>),
}

impl Predicate {
    /// Reads the text of a WHERE clause.
    ///
    /// # Errors
    /// [`Error`], quoting the part that is at fault.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::predicate(text)
    }

    /// Both of them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::And(mut all), Self::And(more)) => {
                all.extend(more);
                Self::And(all)
            }
            (Self::And(mut all), one) => {
                all.push(one);
                Self::And(all)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Whether it asks of some column whether it is NULL.
    #[must_use]
    pub fn asks_for_null(&self) -> bool {
        let mut asks = false;
        self.visit(&mut |part| asks |= matches!(part, Self::IsNull(_)));
        asks
    }

    /// Names of the columns in it.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.visit(&mut |part| {
            if let Self::Compare { column, .. }
            | Self::In { column, .. }
            | Self::Column(column)
            | Self::IsNull(column) = part
            {
                names.insert(column.as_str());
            }
        });
        names
    }

    /// Each column with a literal that it is compared with.
    #[must_use]
    pub fn literals(&self) -> Vec<(&str, Literal)> {
        let mut pairs = Vec::new();
        self.visit(&mut |part| match part {
            Self::Compare { column, literal, .. } => pairs.push((column.as_str(), literal.clone())),
            Self::In { column, list, .. } => pairs.push((column, list.first())),
            Self::Column(column) => pairs.push((column, Literal::Bool(true))),
            _ => {}
        });
        pairs
    }

    /// Everything that a column is compared with.
    #[must_use]
    pub fn compared_with(&self, name: &str) -> Vec<Literal> {
        let mut found = Vec::new();
        self.visit(&mut |part| match part {
            Self::Compare { column, literal, .. } if column == name => found.push(literal.clone()),
            Self::In { column, list, .. } if column == name => found.extend(list.literals()),
            _ => {}
        });
        found
    }

    /// Says which columns a set of existing names lacks.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`] with the nearest name.
    pub fn check_columns<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        self.columns().into_iter().try_for_each(|wanted| column::require(names.clone(), wanted))
    }

    fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Self)) {
        see(self);
        match self {
            Self::Is(inner, _) | Self::Not(inner) => inner.visit(see),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.visit(see)),
            _ => {}
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

/// Canonical SQL: parses to the same tree.
impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(None) => f.write_str("NULL"),
            Self::Constant(Some(truth)) => f.write_str(if *truth { "TRUE" } else { "FALSE" }),
            Self::Compare { column, op, literal } => {
                write!(f, "{} {op} {literal}", column::quoted(column))
            }
            Self::In { column, list, has_null } => {
                write!(f, "{} IN ({list}", column::quoted(column))?;
                f.write_str(match (has_null, list.is_empty()) {
                    (false, _) => ")",
                    (true, true) => "NULL)",
                    (true, false) => ", NULL)",
                })
            }
            Self::Column(column) => f.write_str(&column::quoted(column)),
            Self::IsNull(column) => write!(f, "{} IS NULL", column::quoted(column)),
            Self::Is(inner, truth) => {
                write!(f, "({inner}) IS {}", if *truth { "TRUE" } else { "FALSE" })
            }
            Self::Not(inner) => write!(f, "NOT ({inner})"),
            Self::And(parts) => joined(f, parts, " AND "),
            Self::Or(parts) => joined(f, parts, " OR "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Predicate], word: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        match part {
            Predicate::And(_) | Predicate::Or(_) => write!(f, "({part})")?,
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}
