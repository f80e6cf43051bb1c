//! `stepwire check`: what is wrong with workflow definitions, device policies and topic rules, and
//! where; and what rules make of messages.

pub(crate) mod examine;
mod policy;
pub(super) mod render;
mod rule;

use std::io::{IsTerminal, Read};

use clap::{Args, ValueEnum};
use stepwire_asl::Severity;
use stepwire_core::executions::Kind;
use stepwire_core::rules::evaluate::Sample;

use self::examine::Examined;
use super::failure::{Exit, Failure};
use super::print;

/// Tells what is wrong with workflow definitions, device policies or topic rules: line, column and what to do about it.
///
/// Errors are what CreateStateMachine, CreatePolicy or CreateTopicRule refuses; warnings are what it accepts and may still disappoint. With `--rule` and a message it tells what a rule makes of that, and why it does not match.
#[derive(Debug, Args)]
#[command(after_help = "\
A rule is a file with its statement alone, with a topicRulePayload as the AWS CLI takes it, or with
resources of CloudFormation; JSON or YAML.
Exit code: 0 without errors, 4 with; 1 when a rule does not match a message or an action fails
Examples:
  stepwire check statemachine/*.asl.json
  stepwire check --sql \"SELECT * FROM 'a/+' WHERE t > 30\" --topic a/b --message '{\"t\": 20}'")]
pub(super) struct Check {
    /// Definitions in the States Language, policies or rules; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "sql")]
    files: Vec<String>,
    /// What the definitions are for
    #[arg(long = "type", value_name = "TYPE", default_value = "standard")]
    kind: Type,
    /// The files are policies of AWS IoT
    #[arg(long, conflicts_with = "kind")]
    policy: bool,
    /// The files are topic rules
    #[arg(long, conflicts_with_all = ["kind", "policy"])]
    rule: bool,
    /// A topic rule's statement, in place of a file
    #[arg(long, value_name = "STATEMENT", conflicts_with_all = ["files", "kind", "policy"])]
    sql: Option<String>,
    /// The version of SQL to read rules in, such as `2016-03-23`; else as each says
    #[arg(long, value_name = "VERSION")]
    sql_version: Option<String>,
    /// The topic of the messages to try rules on
    #[arg(long, requires = "message")]
    topic: Option<String>,
    /// A message to try rules on: its payload, `@FILE`, or `-` for standard input; repeatable
    #[arg(long, value_name = "PAYLOAD", requires = "topic", allow_hyphen_values = true)]
    message: Vec<String>,
    /// The client that publishes the messages; else none does
    #[arg(long, value_name = "ID", requires = "message")]
    client_id: Option<String>,
    /// How to tell
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
    /// Whether to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    Standard,
    Express,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Check {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if self.rule || self.sql.is_some() {
            return self.rules();
        }
        let lone =
            [("--topic", self.topic.is_some()), ("--sql-version", self.sql_version.is_some())];
        if let Some((option, _)) = lone.into_iter().find(|(_, given)| *given) {
            let why = format!("`{option}` is for topic rules");
            return Err(Failure::new(Exit::Usage, why).hint("add `--rule`, or `--sql STATEMENT`"));
        }
        if self.policy { self.policies() } else { self.definitions() }
    }

    fn definitions(&self) -> Result<(), Failure> {
        let kind = match self.kind {
            Type::Standard => Kind::Standard,
            Type::Express => Kind::Express,
        };
        let mut examined = Vec::new();
        for file in &self.files {
            examined.push(Examined::new(file, read(file)?, kind));
        }
        match self.output {
            Form::Json => print(&render::json(&examined)),
            Form::Text => examined.iter().for_each(|file| print(&self.told(file))),
        }
        let errors: usize = examined.iter().map(|file| file.count(Severity::Error)).sum();
        if errors == 0 {
            return Ok(());
        }
        let wrong = examined.iter().filter(|file| file.count(Severity::Error) > 0).count();
        let message = format!(
            "{} in {}",
            render::counted(errors, "error"),
            render::counted(wrong, "definition")
        );
        Err(Failure::new(Exit::Rejected, message).hint("`stepwire explain CODE` tells more"))
    }

    fn policies(&self) -> Result<(), Failure> {
        let mut examined = Vec::new();
        for file in &self.files {
            examined.push(policy::Examined::new(file, read(file)?));
        }
        match self.output {
            Form::Json => print(&policy::json(&examined)),
            Form::Text => examined.iter().for_each(|file| print(&file.told(self.is_colored()))),
        }
        let message = match examined.iter().filter(|file| file.is_malformed()).count() {
            0 => return Ok(()),
            1 => "1 policy is malformed".to_owned(),
            count => format!("{count} policies are malformed"),
        };
        Err(Failure::new(Exit::Rejected, message))
    }

    fn rules(&self) -> Result<(), Failure> {
        let samples = self.samples()?;
        let rejected = |why: String| Failure::new(Exit::Rejected, why);
        let mut given = Vec::new();
        given.extend(self.sql.as_ref().map(|sql| rule::Given::statement("--sql", sql)));
        for file in &self.files {
            let rules = rule::rules_in(file, &read(file)?);
            given.extend(rules.map_err(|why| rejected(format!("`{file}` has no rule: {why}")))?);
        }
        let mut examined = Vec::new();
        for rule in given {
            let rule = rule.in_version(self.sql_version.as_deref());
            let told = rule.examine(&samples);
            examined.push(told.map_err(|error| Failure::new(Exit::Usage, error.message))?);
        }
        match self.output {
            Form::Json => print(&rule::json(&examined)),
            Form::Text => examined.iter().for_each(|rule| print(&rule.told(self.is_colored()))),
        }
        let malformed = examined.iter().filter(|rule| rule.is_malformed()).count();
        let unmatched: usize = examined.iter().map(rule::Examined::unmatched).sum();
        let failing: usize = examined.iter().map(rule::Examined::failing).sum();
        let failed = |why: String| Err(Failure::new(Exit::Failed, why));
        match (malformed, unmatched, failing) {
            (0, 0, 0) => Ok(()),
            (0, 0, 1) => failed("an action fails for 1 message".to_owned()),
            (0, 0, _) => failed(format!("actions fail for {failing} messages")),
            (0, 1, _) => failed("1 message is not matched".to_owned()),
            (0, _, _) => failed(format!("{unmatched} messages are not matched")),
            (1, _, _) => Err(rejected("1 rule would be refused".to_owned())),
            _ => Err(rejected(format!("{malformed} rules would be refused"))),
        }
    }

    /// The messages to try rules on.
    fn samples(&self) -> Result<Vec<Sample>, Failure> {
        let Some(topic) = &self.topic else { return Ok(Vec::new()) };
        let sample = |payload: &String| {
            let payload = match payload.strip_prefix('@') {
                Some(file) => read_bytes(file)?,
                None if payload == "-" => read_bytes("-")?,
                None => payload.clone().into_bytes(),
            };
            let client_id = self.client_id.as_deref().map(Into::into);
            Ok(Sample { client_id, ..Sample::new(topic, payload) })
        };
        self.message.iter().map(sample).collect()
    }

    fn told(&self, file: &Examined) -> String {
        render::text(file, self.is_colored())
    }

    fn is_colored(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                let wanted = std::io::stdout().is_terminal() && !set("NO_COLOR");
                wanted || set("CLICOLOR_FORCE")
            }
        }
    }
}

fn read(file: &str) -> Result<String, Failure> {
    String::from_utf8(read_bytes(file)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(Exit::Rejected, format!("`{file}` is not UTF-8: byte {at}"))
    })
}

fn read_bytes(file: &str) -> Result<Vec<u8>, Failure> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    bytes.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("cannot read `{file}`: {error}"))
    })
}
