//! Numbers: 38 digits, exact, and in order wherever they are keys.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::tables::key::Reader;
use crate::tables::number::{Number, NumberError};

fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

/// The stored form as a key.
fn key(number: Number) -> Vec<u8> {
    let mut key = Vec::new();
    number.write_key(&mut key);
    key
}

/// A number of any sign, length and magnitude, as text.
fn any_number() -> impl Strategy<Value = String> {
    ("-?", "[1-9]?[0-9]{0,36}[0-9]", -130_i32..=88)
        .prop_map(|(sign, digits, power)| format!("{sign}{digits}E{power}"))
        .prop_filter("within what DynamoDB holds", |text| Number::parse(text).is_ok())
}

#[test]
fn equal_numbers_are_written_alike() {
    for (text, plain) in [
        ("0", "0"),
        ("-0.0", "0"),
        ("+1", "1"),
        ("007.50", "7.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("-12E-1", "-1.2"),
        ("0.000001", "0.000001"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678"),
    ] {
        assert_eq!(number(text).to_string(), plain);
    }
    assert_eq!(number("1e125").to_string().len(), 126);
    assert_eq!(number("1e-130").to_string(), format!("0.{}1", "0".repeat(129)));
}

#[test]
fn what_is_no_number_or_too_much_for_one_is_told_apart() {
    for text in
        ["", "-", ".", "1e", "e5", "0x1", "1 ", "NaN", "Infinity", "1,5", "1e5.0", "--1", "١"]
    {
        assert_eq!(Number::parse(text), Err(NumberError::NotANumber(text.to_owned())), "{text}");
    }
    for text in ["1e126", "-1e126", "10e125", "1e99999999999999999999"] {
        assert_eq!(Number::parse(text), Err(NumberError::Overflow), "{text}");
    }
    for text in ["1e-131", "0.1e-130", "1e-99999999999999999999"] {
        assert_eq!(Number::parse(text), Err(NumberError::Underflow), "{text}");
    }
    let long = "1".repeat(39);
    assert_eq!(Number::parse(&long), Err(NumberError::TooPrecise));
    assert!(Number::parse(&format!("{}{}", "1".repeat(38), "0".repeat(80))).is_ok());
    assert!(Number::parse(&format!("0.{}1", "0".repeat(60))).is_ok());
}

#[test]
fn sums_are_exact_or_refused() {
    let sum = |one: &str, two: &str| number(one).plus(&number(two)).map(|sum| sum.to_string());
    assert_eq!(sum("0.1", "0.2"), Ok("0.3".to_owned()));
    assert_eq!(sum("1e20", "-1e20"), Ok("0".to_owned()));
    assert_eq!(
        sum("99999999999999999999999999999999999999", "1"),
        Ok(format!("1{}", "0".repeat(38)))
    );
    assert_eq!(sum("1e37", "0.1"), Err(NumberError::Overflow));
    assert_eq!(sum("9e125", "9e125"), Err(NumberError::Overflow));
    assert_eq!(sum("1e125", "1e-130"), Err(NumberError::Overflow));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn a_number_comes_back_from_its_text_and_its_key(text in any_number()) {
        let number = number(&text);
        prop_assert_eq!(Number::parse(&number.to_string()), Ok(number));
        let stored = key(number);
        let mut reader = Reader::new(&stored);
        prop_assert_eq!(reader.key_number().map_err(|unreadable| unreadable.0), Ok(number));
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn keys_order_as_numbers_do(one in any_number(), two in any_number()) {
        let (one, two) = (number(&one), number(&two));
        prop_assert_eq!(key(one).cmp(&key(two)), one.cmp(&two));
        prop_assert!(one == two || !key(one).starts_with(&key(two)));
    }

    #[test]
    fn order_is_that_of_doubles_where_they_can_tell(one in -1e9..1e9_f64, two in -1e9..1e9_f64) {
        let parsed = |double: f64| number(&format!("{double:.6}"));
        if (one - two).abs() > 1e-5 {
            prop_assert_eq!(Some(parsed(one).cmp(&parsed(two))), one.partial_cmp(&two));
        }
    }

    #[test]
    fn adding_and_taking_away_again_changes_nothing(one in any_number(), two in any_number()) {
        let (one, two) = (number(&one), number(&two));
        if let Ok(sum) = one.plus(&two) {
            prop_assert_eq!(sum.minus(&two), Ok(one));
            prop_assert_eq!(two.plus(&one), Ok(sum));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+]?[0-9.eE+-]{0,50}") {
        let _ = Number::parse(&text);
    }
}

/// Sort keys of numbers are a run of keys in their order.
#[test]
fn a_query_lists_numbers_in_order() {
    let mut world = super::World::with_table("S", "N");
    let texts = [
        "-1e125", "-100", "-99.5", "-0.1", "0", "1e-130", "0.09", "0.1", "2", "10", "99", "100",
        "1e125",
    ];
    let order: BTreeMap<Number, &str> = texts.iter().map(|text| (number(text), *text)).collect();
    assert_eq!(order.into_values().collect::<Vec<_>>(), texts);
    for text in texts.iter().rev() {
        let item = format!(r#"{{"p":{{"S":"a"}},"s":{{"N":"{text}"}}}}"#);
        world.ok("PutItem", &format!(r#"{{"TableName":"Tab","Item":{item}}}"#));
    }
    let query = r#"{"TableName":"Tab","KeyConditionExpression":"p = :p AND s BETWEEN :low AND :high",
        "ExpressionAttributeValues":{":p":{"S":"a"},":low":{"N":"-99.5"},":high":{"N":"10.0"}}}"#;
    let found = world.ok("Query", query);
    let found = found.member("Items").unwrap().as_array().unwrap().iter();
    let found: Vec<_> =
        found.map(|item| item.member("s").unwrap().member("N").unwrap().clone()).collect();
    let found: Vec<_> = found.iter().map(|text| number(text.as_str().unwrap())).collect();
    assert_eq!(found, texts[2..10].iter().map(|text| number(text)).collect::<Vec<_>>());
}
