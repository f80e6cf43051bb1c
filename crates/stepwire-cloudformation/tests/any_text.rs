//! What holds for any text: reading and expanding it ends, within bounds, without a panic.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use stepwire_asl::Json;
use stepwire_cloudformation::{Artifacts, Given, Scope, Template, Value, compare, resolve};

/// Pieces of templates, so that some of what they make is nearly right.
const PIECES: &[&str] = &[
    "Resources:\n",
    "  A:\n",
    "  B:\n",
    "    Type: AWS::Serverless::Function\n",
    "    Type: AWS::IoT::Thing\n",
    "    Type: AWS::Serverless::StateMachine\n",
    "    Properties:\n",
    "      CodeUri: s3://b/k\n",
    "      Handler: a.b\n",
    "      Runtime: x\n",
    "      Events:\n",
    "        E: {Type: IoTRule, Properties: {Sql: s}}\n",
    "        S: {Type: SQS, Properties: {Queue: q}}\n",
    "        H: {Type: Schedule, Properties: {Schedule: r}}\n",
    "      Policies: [SQSPollerPolicy: {QueueName: !Ref B}]\n",
    "      X: !Ref B\n",
    "      Y: !GetAtt A.Arn\n",
    "      Z: !Sub '${A.Arn} ${P} ${!x}'\n",
    "      J: !Join [',', [!Ref A, x]]\n",
    "      I: !If [C, 1, !Ref AWS::NoValue]\n",
    "      F: !FindInMap [M, a, b]\n",
    "      L: !Select [0, !Split [',', !Ref P]]\n",
    "    DependsOn: [A, B]\n",
    "    Condition: C\n",
    "Conditions: {C: !Equals [!Ref P, a]}\n",
    "Parameters: {P: {Type: String, Default: a}}\n",
    "Mappings: {M: {a: {b: c}}}\n",
    "Transform: AWS::Serverless-2016-10-31\n",
    "Transform: AWS::LanguageExtensions\n",
    "Outputs: {O: {Value: !Ref A}}\n",
    "Globals: {Function: {Timeout: 3}}\n",
    "  Fn::ForEach::L: [X, [a, b], {'R${X}': {Type: T::T::T}}]\n",
    "&a ",
    "*a",
    "<<: *a\n",
    "- ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "!Ref ",
    "!Sub ",
    "!If ",
    "\n",
    "  ",
    "\"",
    "'",
    "|\n",
    ">\n",
    "#",
    "---\n",
    "\t",
];

fn given() -> Given {
    Given {
        region: "r".into(),
        account: "1".into(),
        artifacts: Artifacts::Local,
        ..Given::default()
    }
}

struct All;
impl Scope for All {
    fn reference(&self, logical_id: &str) -> Option<Json> {
        Some(Json::from(logical_id))
    }
    fn attribute(&self, _: &str, name: &str) -> Option<Json> {
        Some(Json::from(name))
    }
}

/// Everything that can be done with a template.
fn all_of_it(text: &str) -> Result<(), TestCaseError> {
    match Template::parse(text) {
        Err(problems) => prop_assert!(!problems.is_empty()),
        Ok(template) => {
            template.capabilities();
            template.stored_names(&given());
            match template.expand(&given()) {
                Err(problems) => prop_assert!(!problems.is_empty()),
                Ok(expanded) => {
                    prop_assert_eq!(expanded.order.len(), expanded.resources.len());
                    prop_assert!(compare(&expanded.resources, &expanded.resources).is_empty());
                    for resource in expanded.resources.values() {
                        // What it refers to exists, so it can be worked out; places stand in the text.
                        let _ = resolve(&resource.properties, &All);
                        let again = Value::from_json(&resource.properties.to_json());
                        prop_assert_eq!(&again, &resource.properties);
                        prop_assert!(text.get(resource.place.range(text)).is_some());
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        all_of_it(&text)?;
    }

    #[test]
    fn anything_made_of_pieces_is_answered(pieces in vec(select(PIECES), 0..40)) {
        all_of_it(&pieces.concat())?;
    }

    #[test]
    fn anything_below_a_resource_is_answered(pieces in vec(select(PIECES), 0..30)) {
        let text = format!("Transform: AWS::Serverless-2016-10-31\nResources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n{}", pieces.concat());
        all_of_it(&text)?;
    }
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        let items = before.trim_end_matches(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{items}]");
    }
    let told = Template::parse(&text).expect_err("too much");
    assert!(told.iter().any(|one| one.message.contains("values")), "{told:?}");
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("{\"a\":", "}"), ("!Sub [", "]")] {
        let text = format!("{}{}", open.repeat(5000), close.repeat(5000));
        assert!(Template::parse(&text).is_err());
    }
    let block: String = (0..3000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(Template::parse(&block).is_err());
}

#[test]
fn functions_cannot_make_a_small_template_huge() {
    let doubled = |name: &str| format!("!Sub ['${{v}}${{v}}${{v}}${{v}}', {{v: {name}}}]");
    let mut value = String::from("!Ref P");
    for _ in 0..14 {
        value = doubled(&value);
    }
    let text = format!(
        "Parameters: {{P: {{Type: String, Default: {}}}}}\nResources: {{A: {{Type: T::T::T, Properties: {{X: {value}}}}}}}\n",
        "y".repeat(4000)
    );
    let template = Template::parse(&text).expect("a template");
    let told = template.expand(&given()).expect_err("too much");
    assert!(told.iter().any(|one| one.message.contains("16 MB")), "{told:?}");
}
