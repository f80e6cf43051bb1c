#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// The fields of a thing as the page's table writes them.
#[derive(Debug, Clone)]
struct Row(Vec<(Field, String)>);

impl Values for Row {
    fn any(&self, field: &Field, is: &mut dyn FnMut(&str) -> bool) -> bool {
        self.0.iter().any(|(name, value)| name == field && is(value))
    }
}

const PAGE: &str = include_str!("../../../../tests/cases/search/language.md");

/// The rows of all tables: what stands between the bars.
fn rows(page: &str) -> Vec<(String, String)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit_once(" |"));
    cells.map(|(left, right)| (left.trim().to_owned(), right.trim().to_owned())).collect()
}

fn things() -> Vec<(String, Row)> {
    let rows = rows(PAGE).into_iter().filter(|(left, _)| !left.starts_with('`'));
    let headings = ["thing", "query"];
    let things = rows.filter(|(left, _)| !headings.contains(&left.as_str()));
    let thing = |(name, fields): (String, String)| {
        let mut row = vec![(Field::ThingName, name.to_lowercase())];
        for field in fields.split_whitespace() {
            let (field, values) = field.split_once('=').unwrap();
            let field = Schema::Things.find(field).unwrap();
            row.extend(values.split(',').map(|value| (field.clone(), value.to_lowercase())));
        }
        (name, Row(row))
    };
    things.map(thing).collect()
}

#[test]
fn the_language_is_as_the_page_says() {
    let things = things();
    assert_eq!(things.len(), 6, "the page has lost things");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (query, expected) in rows(PAGE) {
        let Some(query) = query.strip_prefix('`').and_then(|query| query.strip_suffix('`')) else {
            continue;
        };
        seen += 1;
        let found = match Query::parse(query) {
            Err(error) => error.to_string(),
            Ok(query) => {
                let found = things.iter().filter(|(_, row)| query.matches(row));
                let mut found: Vec<&str> = found.map(|(name, _)| name.as_str()).collect();
                found.sort_unstable();
                found.join(" ")
            }
        };
        let right = match expected.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
            Some(part) => found.contains(part),
            None => found == expected,
        };
        if !right {
            wrong.push(format!("{query}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 90, "only {seen} queries on the page");
}

#[test]
fn thing_groups_have_fields_of_their_own() {
    let group = Row(vec![
        (Field::ThingGroupName, "north".to_owned()),
        (Field::ThingGroupDescription, "all gateways up north".to_owned()),
        (Field::ParentGroupNames, "world".to_owned()),
        (Field::Attribute("a".into()), "1".to_owned()),
    ]);
    let finds = |text: &str| Query::over(Schema::ThingGroups, text).map(|it| it.matches(&group));
    for text in [
        "north",
        "thingGroupName:no*",
        "thingGroupDescription:gateways",
        "thingGroupDescription:\"gateways  UP\"",
        "parentGroupNames:world AND attributes.a:1",
    ] {
        assert_eq!(finds(text), Ok(true), "{text}");
    }
    assert_eq!(finds("thingGroupDescription:gate"), Ok(false));
    assert_eq!(finds("thingGroupDescription:\"up gateways\""), Ok(false));
    assert!(finds("thingName:a").is_err());
    assert!(finds("connectivity.connected:true").is_err());
}

#[test]
fn a_query_that_is_too_long_or_too_deep_is_refused() {
    let long = "x".repeat(LENGTH_MAX + 1);
    assert!(Query::parse(&long).unwrap_err().why.contains("1000 characters"));
    assert!(Query::parse(&long[1..]).is_ok());
    for deep in ["(", "-", "NOT "] {
        let text = deep.repeat(DEPTH_MAX + 1) + "x";
        assert!(Query::parse(&text).unwrap_err().why.contains("deep"), "{text}");
    }
}

#[test]
fn a_pattern_with_many_stars_takes_little_time() {
    let query = Query::parse(&format!("a{}b", "*a".repeat(200))).unwrap();
    let row = Row(vec![(Field::ThingName, "a".repeat(800))]);
    assert!(!query.matches(&row));
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused(text in any::<String>()) {
        let _ = Query::parse(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn any_text_of_the_languages_own_characters_is_understood_or_refused(
        text in "(thingName|attributes\\.a|AND|OR|NOT|TO|[-+a1 :()\\[\\]{}<>=\"*?\\\\~]){0,40}",
    ) {
        if let Ok(query) = Query::parse(&text) {
            for (_, row) in things() {
                let _ = query.matches(&row);
            }
        }
    }

    /// Another way to say what a pattern is.
    #[test]
    fn a_pattern_matches_what_the_same_regular_expression_matches(
        pattern in "[ab][ab*?]{0,8}",
        text in "[ab]{0,10}",
    ) {
        let expression = pattern.replace('*', ".*").replace('?', ".");
        let expression = regex::Regex::new(&format!("^{expression}$")).unwrap();
        let query = Query::parse(&pattern).unwrap();
        let row = Row(vec![(Field::ThingName, text.clone())]);
        prop_assert_eq!(query.matches(&row), expression.is_match(&text), "{} {}", pattern, text);
    }
}
