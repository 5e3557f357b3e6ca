//! From text to tree, through sqlparser. Whatever the dialect lacks is quoted back.

use super::literal::List;
use super::{Error, Literal, Number, Op, Predicate, column};
use sqlparser::ast::{BinaryOperator, Expr, Ident, UnaryOperator, Value};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Operators and names in one predicate; lists may be as long as they like. sqlparser drops its
/// trees by recursion, and this many levels fit any thread's stack.
const MAX_OPERATORS: usize = 1500;

pub(super) fn predicate(text: &str) -> Result<Predicate, Error> {
    let syntax = |reason: String| Error::Syntax(reason.replace("sql parser error: ", ""));
    let tokens =
        Tokenizer::new(&GenericDialect {}, text).tokenize().map_err(|e| syntax(e.to_string()))?;
    if operators(&tokens) > MAX_OPERATORS {
        return Err(Error::TooLong(MAX_OPERATORS));
    }
    let mut parser = Parser::new(&GenericDialect {}).with_tokens(tokens);
    let expr = parser.parse_expr().map_err(|e| syntax(e.to_string()))?;
    match parser.next_token().token {
        Token::EOF => tree(&expr),
        rest => Err(Error::Syntax(format!("'{rest}' was not expected after '{expr}'"))),
    }
}

/// Tokens that can make the tree deeper: all but spaces, literals, and commas and signs in lists.
fn operators(tokens: &[Token]) -> usize {
    let mut in_list = false;
    let mut count = 0;
    for token in tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma => {}
            Token::Minus if in_list => {}
            _ => count += 1,
        }
        in_list = matches!(token, Token::Comma | Token::LParen);
    }
    count
}

fn tree(expr: &Expr) -> Result<Predicate, Error> {
    match expr {
        Expr::Nested(inner) => tree(inner),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(not(tree(expr)?)),
        Expr::BinaryOp { op: BinaryOperator::And, .. } => {
            chain(expr, &BinaryOperator::And).map(Predicate::And)
        }
        Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
            chain(expr, &BinaryOperator::Or).map(Predicate::Or)
        }
        Expr::BinaryOp { left, op, right } => compare(expr, left, op, right),
        Expr::InList { expr: of, list, negated } => {
            in_list(expr, of, list).map(|p| negate_if(*negated, p))
        }
        Expr::Between { expr: of, negated, low, high } => {
            between(expr, of, low, high).map(|p| negate_if(*negated, p))
        }
        Expr::IsNull(of) => is_null(expr, of),
        Expr::IsNotNull(of) => is_null(expr, of).map(not),
        Expr::IsTrue(inner) => is(inner, true),
        Expr::IsNotTrue(inner) => is(inner, true).map(not),
        Expr::IsFalse(inner) => is(inner, false),
        Expr::IsNotFalse(inner) => is(inner, false).map(not),
        Expr::Identifier(name) => Ok(Predicate::Column(name_of(name))),
        Expr::Value(_) => match literal(expr) {
            Some(Literal::Bool(truth)) => Ok(Predicate::Constant(Some(truth))),
            Some(Literal::Null) => Ok(Predicate::Constant(None)),
            _ => Err(Error::Comparison {
                part: expr.to_string(),
                reason: "a literal by itself is no condition",
            }),
        },
        _ => Err(unsupported(expr)),
    }
}

/// The parts of `a AND b AND c`, which the parser nests to the left.
fn chain(expr: &Expr, word: &BinaryOperator) -> Result<Vec<Predicate>, Error> {
    let mut parts = Vec::new();
    let mut rest = expr;
    while let Expr::BinaryOp { left, op, right } = rest
        && op == word
    {
        parts.push(tree(right)?);
        rest = left;
    }
    parts.push(tree(rest)?);
    parts.reverse();
    Ok(parts)
}

fn compare(
    whole: &Expr,
    left: &Expr,
    op: &BinaryOperator,
    right: &Expr,
) -> Result<Predicate, Error> {
    let op = match op {
        BinaryOperator::Eq => Op::Eq,
        BinaryOperator::NotEq => Op::Ne,
        BinaryOperator::Lt => Op::Lt,
        BinaryOperator::LtEq => Op::Le,
        BinaryOperator::Gt => Op::Gt,
        BinaryOperator::GtEq => Op::Ge,
        _ => return Err(unsupported(whole)),
    };
    let (of, op, with) = match (literal(left), literal(right)) {
        (None, Some(with)) => (left, op, with),
        (Some(with), None) => (right, op.flipped(), with),
        (Some(_), Some(_)) => return Err(comparison(whole, "no column is compared")),
        (None, None) => {
            column_of(whole, left)?;
            column_of(whole, right)?;
            return Err(comparison(whole, "columns cannot be compared with each other"));
        }
    };
    Ok(Predicate::Compare { column: column_of(whole, of)?, op, literal: with })
}

fn in_list(whole: &Expr, of: &Expr, list: &[Expr]) -> Result<Predicate, Error> {
    let column = column_of(whole, of)?;
    let literals = list
        .iter()
        .map(|item| literal(item).ok_or_else(|| unsupported(item)))
        .collect::<Result<Vec<_>, _>>()?;
    let has_null = literals.contains(&Literal::Null);
    let list = List::collect(literals)
        .map_err(|_| comparison(whole, "the list mixes numbers, text and booleans"))?;
    Ok(Predicate::In { column, list, has_null })
}

fn between(whole: &Expr, of: &Expr, low: &Expr, high: &Expr) -> Result<Predicate, Error> {
    let column = column_of(whole, of)?;
    let mut low = literal(low).ok_or_else(|| unsupported(low))?;
    let mut high = literal(high).ok_or_else(|| unsupported(high))?;
    if let (Literal::Number(a), Literal::Number(b)) = (&mut low, &mut high)
        && (a.is_double() || b.is_double())
    {
        (*a, *b) = (Number::Double(a.to_f64()), Number::Double(b.to_f64()));
    }
    Ok(Predicate::And(vec![
        Predicate::Compare { column: column.clone(), op: Op::Ge, literal: low },
        Predicate::Compare { column, op: Op::Le, literal: high },
    ]))
}

fn is_null(whole: &Expr, of: &Expr) -> Result<Predicate, Error> {
    column_of(whole, of).map(Predicate::IsNull)
}

fn is(inner: &Expr, truth: bool) -> Result<Predicate, Error> {
    Ok(Predicate::Is(Box::new(tree(inner)?), truth))
}

fn not(inner: Predicate) -> Predicate {
    Predicate::Not(Box::new(inner))
}

fn negate_if(negated: bool, predicate: Predicate) -> Predicate {
    if negated { not(predicate) } else { predicate }
}

fn column_of(whole: &Expr, expr: &Expr) -> Result<String, Error> {
    match expr {
        Expr::Identifier(name) => Ok(name_of(name)),
        Expr::Nested(inner) => column_of(whole, inner),
        _ if literal(expr).is_some() => Err(comparison(whole, "no column is compared")),
        _ => Err(unsupported(expr)),
    }
}

fn name_of(name: &Ident) -> String {
    column::kept(&name.value, name.quote_style.is_some())
}

/// The literal that an expression is, with its sign; `None` for anything else.
fn literal(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Nested(inner) => literal(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(expr)? {
            Literal::Number(n) => Some(Literal::Number(n.negated())),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => {
            literal(expr).filter(|l| matches!(l, Literal::Number(_)))
        }
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Number::parse(text).map(Literal::Number),
            Value::SingleQuotedString(text) => Some(Literal::Text(text.clone())),
            Value::Boolean(truth) => Some(Literal::Bool(*truth)),
            Value::Null => Some(Literal::Null),
            _ => None,
        },
        _ => None,
    }
}

fn unsupported(expr: &Expr) -> Error {
    Error::Unsupported(expr.to_string())
}

fn comparison(whole: &Expr, reason: &'static str) -> Error {
    Error::Comparison { part: whole.to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Predicate {
        Predicate::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn refused(text: &str) -> String {
        Predicate::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn what_is_printed_parses_to_the_same_tree() {
        for text in [
            "z > 2.5 AND spectype = 'GALAXY'",
            "TARGETID in (39627800000000001, -5, 7.0)",
            "NOT (z BETWEEN -0.5 AND 1e-3 OR zwarn <> 0) AND has_emline",
            "subtype IS NULL OR subtype NOT IN ('CV', 'it''s', NULL)",
            "(a = 1 OR b = 2) AND (c = TRUE) IS NOT TRUE AND d IS FALSE",
            "z > 1 AND \"Z\" > 1 AND \"TARGETID\" = 1 AND \"targetid\" = 2",
            "\"Odd Name\" <= -.5e+10 and 3 >= x and x IN (NULL) and NULL",
            "x < 1e999",
        ] {
            let tree = parsed(text);
            assert_eq!(parsed(&tree.to_string()), tree, "{text} became {tree}");
        }
    }

    #[test]
    fn a_word_of_sql_is_a_name_when_printed() {
        for word in sqlparser::keywords::ALL_KEYWORDS {
            for shape in [
                "N",
                "N > 1",
                "N IN (1)",
                "N IS NULL",
                "NOT (N <= -1 AND z = 1)",
                "(N) IS TRUE OR N",
            ] {
                let quoted = format!("\"{}\"", word.to_lowercase());
                let shape =
                    shape.replace("NOT", "not").replace("NULL", "null").replace("IN ", "in ");
                let tree = parsed(&shape.replace("AND", "and").replace('N', &quoted));
                assert_eq!(parsed(&tree.to_string()), tree, "{word} became {tree}");
            }
        }
    }

    #[test]
    fn names_fold_and_sides_turn() {
        assert_eq!(parsed("2.5 < Z"), parsed("z > 2.5"));
        assert_eq!(parsed("TargetID = 1"), parsed("target_id = 1"));
        assert_eq!(parsed("\"z\" > +1"), parsed("((Z)) > (1)"));
        assert_ne!(parsed("\"Z\" > 1"), parsed("Z > 1"));
        assert_eq!(parsed("z > 1 and (z < 2 or ra > 3)").columns(), ["ra", "z"].into());
    }

    #[test]
    fn what_is_not_supported_is_quoted() {
        for (text, part) in [
            ("z > 1 AND name LIKE 'a%'", "name LIKE 'a%'"),
            ("z + 1 > 2", "z + 1"),
            ("abs(z) > 2", "abs(z)"),
            ("z IN (SELECT 1)", "z IN (SELECT 1)"),
            ("z = ANY(ARRAY[1])", "ANY"),
            ("a.b = 1", "a.b"),
            ("z IN (1, x)", "x"),
            ("z::int = 1", "z::INT"),
        ] {
            let error = refused(text);
            assert!(error.contains(part) && error.contains("supported: comparisons"), "{error}");
        }
        assert!(refused("spectype = \"QSO\"").contains("single quotes"));
        assert!(refused("1 = 1").contains("no column"));
        assert!(refused("z IN (1, 'a')").contains("mixes"));
        assert!(refused("5").contains("no condition"));
        for text in ["", "z >", "z > 1 z", "z > 1 AND", "(z > 1", "z > 'a", "z > 1; DROP TABLE x"] {
            assert!(refused(text).starts_with("predicate cannot be read"), "{text}");
        }
    }

    #[test]
    fn no_text_overflows_the_stack() {
        let many = |part: &str, n: usize| part.repeat(n);
        assert!(Predicate::parse(&format!("{}z = 1", many("z = 1 OR ", 370))).is_ok());
        for text in [
            format!("{}z = 1", many("z = 1 OR ", 100_000)),
            format!("{}z = 1", many("NOT ", 100_000)),
            format!("{}z = 1{}", many("(", 100_000), many(")", 100_000)),
            format!("z = {}1", many("- ", 100_000)),
            format!("z = {}1", many("-", 100_000)),
            format!("z = 1{}", many("-1", 100_000)),
            format!("z{} = 1", many("::int", 100_000)),
            format!("z = 1{}", many(" IS TRUE", 100_000)),
            format!("z = {}1", many("1,-", 100_000)),
        ] {
            assert!(Predicate::parse(&text).is_err());
        }
        let ids: Vec<String> = (0..200_000).map(|i| (i * 7 - 600_000).to_string()).collect();
        assert!(Predicate::parse(&format!("target_id IN ({})", ids.join(","))).is_ok());
    }
}
