#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn number(text: &str) -> Number {
    Number::of(&json::Number::from_text(text).unwrap()).unwrap()
}

#[test]
fn numbers_are_written_so_that_they_read_the_same() {
    for (text, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("5", "5"),
        ("5.0", "5.0"),
        ("5e0", "5.0"),
        ("-12.50", "-12.5"),
        ("0.1", "0.1"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1E-7"),
        ("1e33", "1000000000000000000000000000000000.0"),
        ("1e34", "1E+34"),
        ("12e40", "1.2E+41"),
        ("-5E-12", "-5E-12"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("1234567890123456789012345678901234", "1234567890123456789012345678901234"),
        ("12345678901234567890123456789012345", "1.234567890123456789012345678901234E+34"),
        ("1e999", "1E+999"),
        ("9.99e999", "9.99E+999"),
        ("1e-999", "1E-999"),
        ("1e-1000", "0.0"),
        ("1e-99999999999999999999999", "0.0"),
        ("0e99999999999999999999999", "0.0"),
    ] {
        assert_eq!(number(text).text(), expected, "{text}");
        assert_eq!(number(expected).text(), expected);
    }
}

#[test]
fn the_thirty_fourth_digit_is_rounded_half_to_even() {
    let kept = "1.23456789012345678901234567890123";
    for (behind, last) in [
        ("45", "4"),
        ("450000000000000000000000", "4"),
        ("450000000000000000000001", "5"),
        ("35", "4"),
        ("349999999999999999999999", "3"),
        ("46", "5"),
    ] {
        assert_eq!(number(&format!("{kept}{behind}")).text(), format!("{kept}{last}"));
    }
}

#[test]
fn what_is_too_large_is_no_number() {
    for text in ["1e1000", "1e9999999999", "-1e99999999999999999999999", "10e999"] {
        assert!(Number::of(&json::Number::from_text(text).unwrap()).is_none(), "{text}");
    }
    assert!(number("1e600").times(&number("1e600")).is_none());
    assert!(number("9e999").plus(&number("9e999")).is_none());
    assert!(number("1e-600").times(&number("1e-600")).unwrap().sign() == 0);
}

#[test]
fn ints_stay_ints_and_decimals_are_exact() {
    let text = |value: Option<Number>| value.unwrap().text();
    assert_eq!(text(number("0.1").plus(&number("0.2"))), "0.3");
    assert_eq!(text(number("7").divided_by(&number("2"))), "3");
    assert_eq!(text(number("-7").divided_by(&number("2"))), "-3");
    assert_eq!(text(number("7.0").divided_by(&number("2"))), "3.5");
    assert_eq!(text(number("1.0").divided_by(&number("3"))), format!("0.{}", "3".repeat(34)));
    assert_eq!(text(number("-7").modulo(&number("4"))), "-3");
    assert_eq!(text(number("8.5").modulo(&number("3"))), "2.5");
    assert_eq!(text(number("9223372036854775807").plus(&number("1"))), "9223372036854775808");
    assert_eq!(text(number("-9223372036854775808").minus(&number("1"))), "-9223372036854775809");
    let large = number("9223372036854775808");
    assert_eq!(text(large.minus(&number("1"))), "9223372036854775807");
    assert_eq!(large.minus(&number("1")).unwrap().as_i64(), Some(i64::MAX));
    assert_eq!(text(large.times(&large)), "8.507059173023461586584365185794205E+37");
    assert_eq!(text(number("-9223372036854775808").divided_by(&number("-1"))), large.text());
    assert_eq!(text(number("1e999").plus(&number("1e-999"))), "1E+999");
    assert!(number("1").divided_by(&number("0.0")).is_none());
}

#[test]
fn wholes_are_found_on_either_side() {
    for (text, floor, ceil, round, cut) in [
        ("1.5", "1", "2", "2", "1"),
        ("-1.5", "-2", "-1", "-2", "-1"),
        ("1.2", "1", "2", "1", "1"),
        ("-0.4", "-1", "0", "0", "0"),
        ("3.0", "3", "3", "3", "3"),
        ("7", "7", "7", "7", "7"),
        ("1e3", "1000", "1000", "1000", "1000"),
        ("1e-900", "0", "1", "0", "0"),
    ] {
        let number = number(text);
        let found = [number.floor(), number.ceil(), number.round(), number.truncated()];
        assert_eq!(found.map(|number| number.text()), [floor, ceil, round, cut], "{text}");
    }
    assert_eq!(number("2.888").with_places(2).text(), "2.88");
    assert_eq!(number("-2.888").with_places(0).text(), "-2.0");
}

#[test]
fn order_is_by_value() {
    assert_eq!(number("1"), number("1.0"));
    assert_eq!(number("1e2"), number("100"));
    assert!(number("-1e999") < number("-1e-999"));
    assert!(number("1e-999") < number("1e999"));
    assert!(number("0.30000000000000000000000000000001") > number("0.3"));
    assert!(number("9007199254740993") > number("9007199254740992"));
    assert_eq!(number("0.0").cmp(&number("0")), Ordering::Equal);
}

#[test]
fn text_writes_a_number_by_the_pattern_of_the_reference() {
    for (text, expected) in
        [("0", "0"), ("-1.2", "-1.2"), ("5E-12", "5E-12"), ("007", "7"), ("5e3", "5000.0")]
    {
        assert_eq!(Number::written(text).unwrap().text(), expected);
    }
    for text in ["", "-", ".5", "5.", " 5", "5 ", "+5", "1e", "1e+5", "1.e5", "0x1", "NaN", "١"] {
        assert!(Number::written(text).is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_numbers_can_be_calculated_with(
        a in "-?[0-9]{1,40}(\\.[0-9]{1,40})?(e-?[0-9]{1,12})?",
        b in "-?[0-9]{1,3}(\\.[0-9]{1,3})?(e-?9[0-9]{2})?",
    ) {
        let (Some(a), Some(b)) = (Number::written(&a), Number::written(&b)) else { return Ok(()) };
        let same = |number: &Number| Number::written(&number.text().replace("E+", "E"));
        for (left, right) in [(&a, &b), (&b, &a), (&a, &a)] {
            let made = [
                left.plus(right),
                left.minus(right),
                left.times(right),
                left.divided_by(right),
                left.modulo(right),
                Some(left.floor()),
                Some(left.ceil()),
                Some(left.round()),
                Some(left.with_places(3)),
            ];
            for number in made.iter().flatten() {
                prop_assert_eq!(same(number), Some(number.clone()), "{}", number.text());
            }
            if let Some(rest) = left.modulo(right) {
                prop_assert!(rest.abs() < right.abs(), "{} % {}", left.text(), right.text());
            }
            prop_assert!(left.floor() <= *left && left.ceil() >= *left);
            prop_assert_eq!(left.cmp(right), right.cmp(left).reverse());
        }
        prop_assert_eq!(a.minus(&a).map(|number| number.sign()), Some(0));
    }
}
