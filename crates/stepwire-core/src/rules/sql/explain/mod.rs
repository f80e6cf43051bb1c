//! What a statement made of a message, part by part.
//!
//! Every part is evaluated by itself with [`Expr::value`], which also runs the whole: what is told
//! here cannot differ from what happens. Parts that draw random values draw those of the run.

mod why;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use stepwire_asl::Json;

use super::display::Name;
use super::eval::{Row, equal, named};
use super::{Expr, Facts, Item, Operator, Select, Statement, Sub, Value};

pub(crate) use why::{brief, kind};

/// Parts that are told of one statement; what is around them is evaluated all the same.
const PARTS_MAX: usize = 400;
/// Steps that evaluating parts may take together.
const STEPS_MAX: u32 = 4_000_000;
/// Rows of a sub-select that are told.
const ROWS_MAX: usize = 5;
/// Bytes of an expression that are shown.
const SQL_MAX: usize = 300;

/// What a statement made of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// What `SET` sets, each with the name of its variable.
    pub variables: Vec<Part>,
    /// `WHERE`, if there is one.
    pub condition: Option<Part>,
    /// Whether `WHERE` takes the message.
    pub holds: bool,
    /// What `SELECT` picks.
    pub items: Vec<Picked>,
    /// What `SELECT` makes of the message, whether or not it is taken.
    pub result: Value,
    /// Whether the evaluation ran out of steps: from there on everything is Undefined.
    pub exhausted: bool,
    /// Whether parts are left out, since there are too many.
    pub shortened: bool,
}

/// An item of `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Picked {
    /// Where it goes, as SQL; `*` for all of the payload; none for `SELECT VALUE`.
    pub name: Option<String>,
    /// The expression.
    pub part: Part,
    /// A later item has the same name.
    pub replaced: bool,
}

/// A part of a statement and what it came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is of what is around it: `WHEN`, `row 2 WHERE` …; often nothing.
    pub label: Cow<'static, str>,
    /// As SQL; the beginning, if it is long.
    pub sql: String,
    /// What it came to; none when it was not needed.
    pub value: Option<Value>,
    /// Why it came to nothing, or to false where one may wonder.
    pub why: Option<String>,
    /// What it is made of.
    pub parts: Vec<Part>,
    kind: Kind,
}

/// What a part's value follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    And,
    Or,
    Not,
    Case,
    /// It is written out.
    Literal,
    Other,
}

impl Statement {
    /// What it makes of a message. `facts` gives the message's facts, each time as at the beginning
    /// of an evaluation.
    pub fn explain<'f>(&self, facts: &dyn Fn() -> Facts<'f>) -> Trace {
        let whole = facts();
        let holds = self.run(&whole).is_some();
        let row = Row::of(whole.payload);
        let mut tracer = Tracer::new(self, facts);
        let variables = tracer.variables(&whole, &row);
        tracer.aliases = aliases(&self.select);
        let condition = self.filter.as_ref().map(|filter| tracer.part(filter, &row));
        tracer.aliases.clear();
        // Random values of `SELECT` follow those that `WHERE` drew.
        let items = tracer.items(&self.select, &row, true);
        let again = facts();
        self.prepare(&again);
        if let Some(filter) = &self.filter {
            filter.value(&row, &again);
        }
        let result = self.selected(&row, &again);
        let shortened = !tracer.goes_on();
        let exhausted = again.is_spent();
        Trace { variables, condition, holds, items, result, exhausted, shortened }
    }
}

/// Evaluates parts one by one.
struct Tracer<'t, 'f> {
    statement: &'t Statement,
    facts: &'t dyn Fn() -> Facts<'f>,
    /// The values of variables.
    set: Vec<(Arc<str>, Value)>,
    /// Names that `SELECT` gives, as long as nothing sees them.
    aliases: Vec<&'t str>,
    /// Random values drawn so far.
    drawn: u64,
    /// Parts that may still be told.
    parts: usize,
    /// Steps that may still be taken.
    steps: u32,
}

impl<'t, 'f> Tracer<'t, 'f> {
    fn new(statement: &'t Statement, facts: &'t dyn Fn() -> Facts<'f>) -> Tracer<'t, 'f> {
        let (parts, steps) = (PARTS_MAX, STEPS_MAX);
        let (set, aliases) = (Vec::new(), Vec::new());
        Tracer { statement, facts, set, aliases, drawn: 0, parts, steps }
    }

    /// What `SET` sets, as it is in `run`, in which all are set.
    fn variables(&mut self, run: &Facts<'_>, row: &Row<'_>) -> Vec<Part> {
        let mut parts = Vec::new();
        for (name, expr) in &self.statement.variables {
            let mut part = self.labelled(format!("{name} ="), expr, row);
            let value = run.variable(name);
            if value == Value::Undefined && !part.is_undefined() {
                part.why = Some("it is too large for a variable".to_owned());
                part.value = Some(Value::Undefined);
            }
            self.set.push((Arc::clone(name), value));
            parts.push(part);
        }
        parts
    }

    fn value(&mut self, expr: &Expr, row: &Row<'_>) -> Value {
        let facts = (self.facts)();
        facts.begin(self.statement.version);
        self.set.iter().for_each(|(name, value)| facts.set(name, value.clone()));
        facts.drawn.set(self.drawn);
        let value = expr.value(row, &facts);
        self.drawn = facts.drawn.get();
        self.steps = self.steps.saturating_sub(facts.steps.get());
        value
    }

    /// Whether more may be told.
    fn goes_on(&self) -> bool {
        self.parts > 0 && self.steps > 0
    }

    fn part(&mut self, expr: &Expr, row: &Row<'_>) -> Part {
        self.parts = self.parts.saturating_sub(1);
        let drawn = self.drawn;
        let tells = self.goes_on() && !is_written_out(expr);
        let parts = if tells { self.parts_of(expr, row) } else { Vec::new() };
        self.drawn = drawn;
        let value = self.value(expr, row);
        let why = match self.alias_in(expr, row).filter(|_| value == Value::Undefined) {
            Some(alias) => {
                Some(format!("`{alias}` is an alias of SELECT, which WHERE does not see"))
            }
            None => why::of(expr, row, &value, &parts, &self.set),
        };
        Part {
            label: "".into(),
            sql: sql(expr),
            value: Some(value),
            why,
            parts,
            kind: kind_of(expr),
        }
    }

    /// The alias that a name or path begins with, where it means nothing.
    fn alias_in(&self, expr: &Expr, row: &Row<'_>) -> Option<&'t str> {
        let name = match expr {
            Expr::Name(name) => name,
            Expr::Member(of, _) => match &**of {
                Expr::Name(name) => name,
                _ => return None,
            },
            _ => return None,
        };
        let missing = named(row, name) == Value::Undefined;
        self.aliases.iter().find(|alias| missing && **alias == &**name).copied()
    }

    fn labelled(
        &mut self,
        label: impl Into<Cow<'static, str>>,
        expr: &Expr,
        row: &Row<'_>,
    ) -> Part {
        Part { label: label.into(), ..self.part(expr, row) }
    }

    fn each<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>, row: &Row<'_>) -> Vec<Part> {
        exprs.into_iter().map(|expr| self.part(expr, row)).collect()
    }

    fn parts_of(&mut self, expr: &Expr, row: &Row<'_>) -> Vec<Part> {
        match expr {
            Expr::Literal(_) | Expr::All | Expr::Name(_) | Expr::Variable(_) => Vec::new(),
            Expr::Member(of, _)
                if matches!(**of, Expr::All | Expr::Name(_) | Expr::Variable(_)) =>
            {
                Vec::new()
            }
            Expr::Member(of, _) | Expr::Cast(of, _) | Expr::Not(of) | Expr::Negative(of) => {
                self.each([&**of], row)
            }
            Expr::Call(_, of) | Expr::Array(of) => self.each(of, row),
            Expr::Binary(..) => {
                let operands = operands(expr);
                self.each(operands, row)
            }
            Expr::Exists(sub) | Expr::Sub(sub) => self.sub(sub, row),
            Expr::Case(of, arms, otherwise) => self.case(of, arms, otherwise.as_deref(), row),
            Expr::Object(members) => {
                let members = members.iter();
                members.map(|(name, of)| self.labelled(name.to_string(), of, row)).collect()
            }
        }
    }

    /// The arms of a `CASE` up to the one that is taken; of the others only that they are there.
    fn case(
        &mut self,
        of: &Expr,
        arms: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        row: &Row<'_>,
    ) -> Vec<Part> {
        let of = self.part(of, row);
        let value = of.value.clone().unwrap_or(Value::Undefined);
        let mut ended = value == Value::Undefined;
        let mut parts = vec![of];
        for (when, then) in arms {
            if ended {
                parts.push(unneeded("WHEN", when));
                continue;
            }
            let when = self.labelled("WHEN", when, row);
            ended = when.value.as_ref().and_then(|when| equal(&value, when)) == Some(true);
            parts.push(when);
            parts.push(if ended {
                self.labelled("THEN", then, row)
            } else {
                unneeded("THEN", then)
            });
        }
        parts.extend(otherwise.map(|otherwise| {
            if ended { unneeded("ELSE", otherwise) } else { self.labelled("ELSE", otherwise, row) }
        }));
        parts
    }

    /// Where a sub-select looks, and the first rows there.
    fn sub(&mut self, sub: &Sub, row: &Row<'_>) -> Vec<Part> {
        let source = self.labelled("FROM", &sub.from, row);
        let value = source.value.clone();
        let mut parts = vec![source];
        let Some(Value::Json(source)) = &value else { return parts };
        let rows = source.as_array().unwrap_or_else(|| std::slice::from_ref(source));
        for (at, item) in rows.iter().enumerate().take(ROWS_MAX) {
            if !self.goes_on() {
                break;
            }
            let inner = row.within(sub.alias.as_deref(), item);
            if let Some(filter) = &sub.filter {
                let part = self.labelled(format!("row {at} WHERE"), filter, &inner);
                let holds = part.is_true();
                parts.push(part);
                if !holds {
                    continue;
                }
            }
            for mut picked in self.items(&sub.select, &inner, false) {
                let name = picked.name.filter(|name| *name != picked.part.sql);
                let name = name.map(|name| format!(" {name}:")).unwrap_or_default();
                picked.part.label = format!("row {at} SELECT{name}").into();
                parts.push(picked.part);
            }
        }
        parts
    }

    /// What a `SELECT` picks; `leaves` says that it leaves the statement.
    fn items(&mut self, select: &Select, row: &Row<'_>, leaves: bool) -> Vec<Picked> {
        let items = match select {
            Select::Value(expr) => {
                let part = self.item(expr, row, leaves);
                return vec![Picked { name: None, part, replaced: false }];
            }
            Select::Items(items) => items,
        };
        let mut picked: Vec<Picked> = Vec::new();
        for item in items {
            let (name, part) = match item {
                Item::All => ("*".to_owned(), self.part(&Expr::All, row)),
                Item::Members(expr) => {
                    let mut part = self.item(expr, row, leaves);
                    part.sql += ".*";
                    let object = part.value.as_ref().and_then(Value::json).map(Json::as_object);
                    if object == Some(None) {
                        part.why = Some("it is no object, so it adds nothing".to_owned());
                    }
                    (part.sql.clone(), part)
                }
                Item::One(expr, path) => (name_of(path), self.item(expr, row, leaves)),
            };
            if !part.is_undefined() && name != "*" {
                let same = picked.iter_mut().filter(|earlier| earlier.name.as_ref() == Some(&name));
                same.for_each(|earlier| earlier.replaced = true);
            }
            picked.push(Picked { name: Some(name), part, replaced: false });
        }
        picked
    }

    /// What leaves the statement is written as its version writes numbers.
    fn item(&mut self, expr: &Expr, row: &Row<'_>, leaves: bool) -> Part {
        let mut part = self.part(expr, row);
        if leaves && !expr.is_path() {
            part.value = part.value.map(|value| value.written(self.statement.version));
        }
        part
    }
}

/// The operands of a chain of operators that bind alike, first to last: of `a AND b AND c` all three.
fn operands(expr: &Expr) -> Vec<&Expr> {
    let (mut operands, mut first) = (Vec::new(), expr);
    while let Expr::Binary(left, operator, right) = first {
        operands.push(&**right);
        first = left;
        match first {
            Expr::Binary(_, inner, _) if operator.chains_with(*inner) => {}
            _ => break,
        }
    }
    operands.push(first);
    operands.reverse();
    operands
}

impl Operator {
    fn chains_with(self, inner: Operator) -> bool {
        use Operator::{And, Divide, Minus, Modulo, Or, Plus, Times};
        match self {
            And => inner == And,
            Or => inner == Or,
            Plus | Minus => matches!(inner, Plus | Minus),
            Times | Divide | Modulo => matches!(inner, Times | Divide | Modulo),
            _ => false,
        }
    }
}

impl Part {
    /// Whether it came to the Boolean true.
    pub fn is_true(&self) -> bool {
        matches!(&self.value, Some(value) if value.json().and_then(Json::as_bool) == Some(true))
    }

    /// Whether it came to nothing.
    pub fn is_undefined(&self) -> bool {
        self.value == Some(Value::Undefined)
    }

    /// Whether it is a value that is written out.
    pub fn is_literal(&self) -> bool {
        self.kind == Kind::Literal
    }

    /// Why it is not true: the part that decided, and what is with that.
    pub fn blame(&self) -> String {
        why::blame(self)
    }
}

fn kind_of(expr: &Expr) -> Kind {
    match expr {
        Expr::Binary(_, Operator::And, _) => Kind::And,
        Expr::Binary(_, Operator::Or, _) => Kind::Or,
        Expr::Not(_) => Kind::Not,
        Expr::Case(..) => Kind::Case,
        expr if is_written_out(expr) => Kind::Literal,
        _ => Kind::Other,
    }
}

fn is_written_out(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) => true,
        Expr::Negative(of) => is_written_out(of),
        Expr::Array(items) => items.iter().all(is_written_out),
        Expr::Object(members) => members.iter().all(|(_, of)| is_written_out(of)),
        _ => false,
    }
}

fn unneeded(label: &'static str, expr: &Expr) -> Part {
    let (label, sql) = (label.into(), sql(expr));
    Part { label, sql, value: None, why: None, parts: Vec::new(), kind: kind_of(expr) }
}

/// First names that items are given, where they do not go by their own.
pub(super) fn aliases(select: &Select) -> Vec<&str> {
    let Select::Items(items) = select else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| match item {
            Item::One(expr, path) if *path != [super::parse::clauses::last_name(expr)] => {
                path.first().map(AsRef::as_ref)
            }
            Item::One(..) | Item::All | Item::Members(_) => None,
        })
        .collect()
}

fn name_of<N: AsRef<str>>(path: &[N]) -> String {
    let names: Vec<String> = path.iter().map(|name| Name(name.as_ref()).to_string()).collect();
    names.join(".")
}

/// An expression as SQL; the beginning, if it is long.
fn sql(expr: &Expr) -> String {
    let mut short = Short(String::new());
    match write!(short, "{expr}") {
        Ok(()) => short.0,
        Err(fmt::Error) => short.0 + "…",
    }
}

/// Takes text until it is full.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = SQL_MAX.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        Err(fmt::Error)
    }
}
