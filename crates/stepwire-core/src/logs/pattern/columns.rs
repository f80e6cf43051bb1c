//! Patterns on columns: `[ip, user, ..., status = 4*, bytes > 1000]`.

use super::scan::{Operator, Scan, Wanted};

/// The columns of a pattern.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// Before `...`, or all of them.
    before: Vec<Column>,
    /// After `...`, if it is there.
    after: Option<Vec<Column>>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// One of these must hold, of which all parts must; none: anything will do.
    any: Vec<Vec<(Operator, Wanted)>>,
}

impl Columns {
    pub(super) fn parse(text: &str) -> Result<Columns, String> {
        let mut scan = Scan::new(text);
        scan.takes("[");
        let (mut before, mut after) = (Vec::new(), None::<Vec<Column>>);
        loop {
            if scan.takes("...") {
                if after.is_some() {
                    return Err("`...` can stand once".to_owned());
                }
                after = Some(Vec::new());
            } else {
                let column = Column::parse(&mut scan)?;
                after.as_mut().unwrap_or(&mut before).push(column);
            }
            if scan.takes("]") {
                break;
            }
            if !scan.takes(",") {
                return Err("`,` or `]` is missing".to_owned());
            }
        }
        scan.skip_blanks();
        if scan.rest.is_empty() {
            Ok(Columns { before, after })
        } else {
            Err(format!("`{}` comes after the end", scan.rest))
        }
    }

    pub(super) fn fit(&self, message: &str) -> bool {
        let found = split(message);
        self.pairs(&found).is_some_and(|pairs| pairs.iter().all(|(column, text)| column.fits(text)))
    }

    pub(super) fn extracted(&self, message: &str) -> Vec<(String, String)> {
        let found = split(message);
        let pairs = self.pairs(&found).unwrap_or_default();
        pairs
            .iter()
            .map(|(column, text)| (format!("${}", column.name), (*text).to_owned()))
            .collect()
    }

    /// The columns with their texts. `None`: there are not as many.
    fn pairs<'a>(&'a self, found: &[&'a str]) -> Option<Vec<(&'a Column, &'a str)>> {
        let after = self.after.as_deref().unwrap_or_default();
        let named = self.before.len() + after.len();
        let fits = if self.after.is_some() { found.len() >= named } else { found.len() == named };
        let begin = self.before.iter().zip(found.iter().copied());
        let end =
            after.iter().zip(found.iter().copied().skip(found.len().saturating_sub(after.len())));
        fits.then(|| begin.chain(end).collect())
    }
}

impl Column {
    fn parse(scan: &mut Scan<'_>) -> Result<Column, String> {
        let grouped = scan.takes("(");
        let name = name(scan);
        let mut any = Vec::new();
        scan.skip_blanks();
        if scan.rest.starts_with(['=', '!', '<', '>']) {
            let mut all = vec![condition(scan)?];
            loop {
                if scan.takes("&&") {
                    all.push(again(scan, &name)?);
                } else if scan.takes("||") {
                    any.push(std::mem::take(&mut all));
                    all.push(again(scan, &name)?);
                } else {
                    break;
                }
            }
            any.push(all);
        }
        if grouped && !scan.takes(")") {
            return Err("`)` is missing".to_owned());
        }
        Ok(Column { name, any })
    }

    fn fits(&self, text: &str) -> bool {
        let holds = |(operator, wanted): &(Operator, Wanted)| operator.relates(text, wanted);
        self.any.is_empty() || self.any.iter().any(|all| all.iter().all(holds))
    }
}

fn name<'a>(scan: &mut Scan<'a>) -> String {
    scan.skip_blanks();
    let end = |c: char| c.is_whitespace() || ",]=!<>&|()".contains(c);
    let rest: &'a str = scan.rest;
    let (name, rest) = rest.split_at(rest.find(end).unwrap_or(rest.len()));
    scan.rest = rest;
    name.to_owned()
}

/// Another condition on the same column.
fn again(scan: &mut Scan<'_>, column: &str) -> Result<(Operator, Wanted), String> {
    let other = name(scan);
    if other == column {
        condition(scan)
    } else {
        Err(format!("a condition of `{column}` cannot be about `{other}`"))
    }
}

fn condition(scan: &mut Scan<'_>) -> Result<(Operator, Wanted), String> {
    let operator = scan.operator().ok_or("an operator is missing")?;
    let wanted = scan.wanted(",])")?;
    operator.takes(&wanted)?;
    Ok((operator, wanted))
}

/// The columns of a message: what is in quotes or brackets is one.
fn split(message: &str) -> Vec<&str> {
    let mut columns = Vec::new();
    let mut rest = message.trim();
    while let Some(first) = rest.chars().next() {
        let close = match first {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        let enclosed = close.and_then(|close| {
            let end = rest[1..].find(close)? + 1;
            Some((&rest[1..end], &rest[end + 1..]))
        });
        let (column, after) = enclosed
            .unwrap_or_else(|| rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())));
        columns.push(column);
        rest = after.trim_start();
    }
    columns
}
