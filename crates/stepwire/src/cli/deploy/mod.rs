//! `stepwire deploy`: a team's own template, built, shown, applied and followed.

mod config;
mod follow;
mod plan;
mod report;
mod source;
mod store;
mod watch;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::json;
use stepwire_cloudformation::{Diagnostic, Parameter, Template};

use self::config::Settings;
use self::plan::{For, Plan};
use self::source::Source;
use self::store::Stored;
use super::client::{Client, listed};
use super::env::Told;
use super::failure::{Exit, Failure};
use super::print;
use super::running::Running;
use super::signals::{Signal, Signals};
use crate::build::artifact::{self, Artifact};
use crate::node_file::NodeFile;

/// The tag by which a stack says which missing types may be placeholders.
const ALLOW_MISSING: &str = "stepwire:allow-missing";
/// Longest template that is sent within a request, bytes (AWS's limit).
const BODY_MAX: usize = 51_200;
/// How long functions may take to start.
const STARTING_MAX: Duration = Duration::from_mins(1);
/// How often it is looked whether they have.
const STARTING_INTERVAL: Duration = Duration::from_millis(100);
/// What the template may do: roles are stored, not enforced.
const CAPABILITIES: [&str; 3] =
    ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];

/// Deploys a CloudFormation or SAM template to a node: builds its functions, shows what changes, applies it.
///
/// Of samconfig.toml beside the template stack_name and parameter_overrides are taken. See docs/deploy.md.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code: 0 deployed or nothing to do, 1 it failed and was rolled back, 4 something is refused
Examples:
  stepwire deploy . --param StateMachineName=Test
  stepwire deploy template.yaml --dry-run")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Deploy {
    /// The template, or a folder with template.yaml, template.yml or template.json
    #[arg(value_name = "DIR|TEMPLATE", default_value = ".")]
    target: PathBuf,
    /// Tell what would become of each resource; needs no node and changes nothing
    #[arg(long, conflicts_with_all = ["watch", "delete"])]
    dry_run: bool,
    /// Stay, and deploy again whenever a file changes
    #[arg(long, conflicts_with = "delete")]
    watch: bool,
    /// Remove the stack
    #[arg(long)]
    delete: bool,
    /// A parameter of the template; repeatable
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// Name of the stack [default: samconfig.toml's, or the folder's]
    #[arg(long, value_name = "NAME")]
    stack_name: Option<String>,
    /// Make placeholders of resources of this type, where it is not supported; `*` for all; repeatable
    #[arg(long, value_name = "TYPE")]
    allow_missing: Vec<String>,
    /// Refuse what would be accepted without effect
    #[arg(long)]
    strict: bool,
    /// Do not ask
    #[arg(short, long, visible_alias = "no-confirm")]
    yes: bool,
    /// Data folder of the node [default: .stepwire here or in a folder above]
    #[arg(long, value_name = "DIR", env = "STEPWIRE_DATA")]
    data: Option<PathBuf>,
    /// How to tell what came of it
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must be NAME=VALUE".to_owned()),
    }
}

/// A template that has been read, with everything it names on this machine.
struct Read {
    source: Source,
    template: Template,
    artifacts: Vec<Artifact>,
    settings: Settings,
}

impl Read {
    /// Errors: what is wrong with the template.
    fn parse(source: Source, settings: Settings) -> Result<Read, (Source, Vec<Diagnostic>)> {
        match Template::parse(&source.text) {
            Ok(template) => {
                let artifacts = artifact::artifacts(template.root(), source.folder());
                Ok(Read { source, template, artifacts, settings })
            }
            Err(wrong) => Err((source, wrong)),
        }
    }

    /// The property by which a workflow of the template has its definition.
    fn written(&self, logical_id: &str) -> Option<&'static str> {
        let resource = self.template.root().member("Resources")?.member(logical_id)?;
        let properties = resource.member("Properties")?;
        ["Definition", "DefinitionString", "DefinitionUri", "DefinitionS3Location"]
            .into_iter()
            .find(|name| properties.member(name).is_some())
    }

    /// Refuses a template whose parameters have not all a value.
    fn has_values(&self) -> Result<(), Failure> {
        let lacks = |name: &str, parameter: &Parameter| {
            parameter.default.is_none() && !self.settings.parameters.contains_key(name)
        };
        let all = self.template.parameters();
        let missing = all.iter().filter(|(name, parameter)| lacks(name, parameter));
        let missing = missing.map(|(name, parameter)| {
            let why = format!("parameter `{name}` has no value");
            Diagnostic::new(parameter.place, why).hint(format!("give it: `--param {name}=…`"))
        });
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() { Ok(()) } else { Err(self.source.refused(&missing)) }
    }
}

impl Deploy {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if self.delete {
            return self.remove().await;
        }
        if self.dry_run {
            return self.try_out();
        }
        let running = Running::find(self.data.as_deref())?;
        let mut signals = Signals::new()?;
        let work = async {
            let outcome = self.deploy(&running, self.yes).await;
            if self.watch {
                if let Err(failure) = outcome {
                    complain(&failure);
                }
                return self.watch_for_changes(&running).await;
            }
            outcome
        };
        tokio::select! {
            outcome = work => outcome,
            signal = signals.next() => match signal {
                Signal::Terminate if self.watch => Ok(()),
                _ => Err(Failure::new(Exit::Interrupted, "interrupted")),
            },
        }
    }

    /// Says something on the way: not among what programs read.
    fn say(&self, line: &str) {
        match self.output {
            Form::Text => print(line),
            Form::Json => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }

    fn read(&self) -> Result<Read, Failure> {
        let source = Source::find(&self.target)?;
        let settings = Settings::of(&source, self)?;
        let read = Read::parse(source, settings);
        let read = read.map_err(|(source, wrong)| source.refused(&wrong))?;
        let declared = read.template.parameters();
        match self.params.iter().find(|(name, _)| !declared.contains_key(name)) {
            None => Ok(read),
            Some((name, _)) => {
                let why = format!("`{}` has no parameter `{name}`", read.source.name);
                let failure = Failure::new(Exit::Rejected, why);
                let names = declared.keys().map(String::as_str);
                Err(match stepwire_asl::diagnostic::nearest(name, names) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None => failure,
                })
            }
        }
    }

    fn plan(&self, read: &Read, node: Option<&NodeFile>) -> Result<Plan, Failure> {
        let plan = Plan::of(read, For { allowed: &self.allow_missing, node }, 0);
        plan.map_err(|wrong| read.source.refused(&wrong))
    }

    /// `--dry-run`.
    fn try_out(&self) -> Result<(), Failure> {
        let read = self.read()?;
        let plan = self.plan(&read, None)?;
        match self.output {
            Form::Json => print(&format!("{:#}", report::json(&read.source, &plan))),
            Form::Text => print(&report::text(&read.source, &plan)),
        }
        self.verdict(&plan)
    }

    /// Whether the plan can be carried out.
    fn verdict(&self, plan: &Plan) -> Result<(), Failure> {
        let refused = plan.refused();
        if refused > 0 {
            let what = if refused == 1 { "1 thing is" } else { &format!("{refused} things are") };
            return Err(Failure::new(Exit::Rejected, format!("{what} refused"))
                .hint("`--allow-missing TYPE` makes placeholders of resources of a missing type"));
        }
        if self.strict && plan.without_effect() > 0 {
            let why = format!("{} accepted without effect, with `--strict`", plan.without_effect());
            return Err(Failure::new(Exit::Rejected, why));
        }
        Ok(())
    }

    async fn deploy(&self, running: &Running, yes: bool) -> Result<(), Failure> {
        let read = self.read()?;
        let client = Client::new(running)?;
        read.has_values()?;
        // What is refused is said before anything is built.
        let plan = self.plan(&read, Some(&running.node))?;
        if let Err(failure) = self.verdict(&plan) {
            print(&report::faults(&read.source, &plan));
            return Err(failure);
        }
        let say = |line: &str| self.say(line);
        let stored = store::store(running, &client, &read, &say).await?;
        let stack = follow::Stack { client: &client, name: &read.settings.stack_name };
        let existing = stack.prepare(&say).await?;
        let form = self.change_set(running, &client, &read, &stored, existing).await?;
        let proposed = stack.propose(&form).await;
        let proposed = proposed.map_err(|failure| stored.pointed(&read.source, failure));
        let Some(change_set) = proposed? else {
            self.say(&format!("{}: no changes", read.settings.stack_name));
            return self.outcome(running, &stack, &plan, &[]).await;
        };
        self.say(&change_set.table());
        if !yes && !confirmed("deploy these changes")? {
            stack.withdraw(&change_set).await?;
            return Err(Failure::new(Exit::Interrupted, "nothing was deployed"));
        }
        stack.execute(&change_set, &say).await?;
        self.wait_for_functions(&client).await?;
        self.outcome(running, &stack, &plan, &change_set.changes).await
    }

    /// Waits until the functions that have changed can be called without a cold start, at most
    /// [`STARTING_MAX`]: a workflow that a device sets going now has no time for one.
    async fn wait_for_functions(&self, client: &Client) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut told = false;
        loop {
            let starting = client.starting().await?;
            match starting {
                0 if told => self.say("functions are ready"),
                0 => {}
                _ if begun.elapsed() > STARTING_MAX => {
                    self.say(&format!("{starting} functions have not started yet"));
                }
                _ => {
                    if !std::mem::replace(&mut told, true) {
                        self.say("functions are starting");
                    }
                    tokio::time::sleep(STARTING_INTERVAL).await;
                    continue;
                }
            }
            return Ok(());
        }
    }

    /// The parameters of CreateChangeSet.
    async fn change_set(
        &self,
        running: &Running,
        client: &Client,
        read: &Read,
        stored: &Stored,
        existing: bool,
    ) -> Result<Vec<(String, String)>, Failure> {
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut form = vec![
            text("StackName", &read.settings.stack_name),
            text("ChangeSetName", &format!("stepwire-{}", jiff::Timestamp::now().as_millisecond())),
            text("ChangeSetType", if existing { "UPDATE" } else { "CREATE" }),
        ];
        let body = stored.text(&read.source);
        if body.len() <= BODY_MAX {
            form.push(text("TemplateBody", &body));
        } else {
            let url = store::template(running, client, body).await?;
            form.push(text("TemplateURL", &url));
        }
        let given = read.settings.parameters.iter().filter(|(name, _)| {
            // What samconfig.toml gives for another template is not this one's.
            self.params.iter().any(|(own, _)| own == *name)
                || read.template.parameters().contains_key(*name)
        });
        form.extend(listed(
            "Parameters",
            given.map(|(name, value)| {
                BTreeMap::from([("ParameterKey", name.clone()), ("ParameterValue", value.clone())])
            }),
        ));
        let capabilities = CAPABILITIES.map(|name| BTreeMap::from([("", name.to_owned())]));
        form.extend(listed("Capabilities", capabilities));
        if !self.allow_missing.is_empty() {
            let value = self.allow_missing.join(",");
            let tag = BTreeMap::from([("Key", ALLOW_MISSING.to_owned()), ("Value", value)]);
            form.extend(listed("Tags", [tag]));
        }
        Ok(form)
    }

    /// Tells what came of it.
    async fn outcome(
        &self,
        running: &Running,
        stack: &follow::Stack<'_>,
        plan: &Plan,
        changes: &[follow::Change],
    ) -> Result<(), Failure> {
        let now = stack.describe().await?;
        let Some(now) = now else { return Ok(()) };
        let told = Told::of(running, None).await?;
        if self.output == Form::Json {
            let value = json!({
                "stackName": stack.name,
                "stackId": now.id,
                "status": now.status,
                "changes": changes.iter().map(follow::Change::json).collect::<Vec<_>>(),
                "outputs": now.outputs.iter().map(|(name, value, _)| (name.clone(), json!(value)))
                    .collect::<serde_json::Map<_, _>>(),
                "withoutEffect": report::without_effect(plan),
                "devices": told.value(),
            });
            print(&format!("{value:#}"));
            return Ok(());
        }
        if !now.outputs.is_empty() {
            print("\nOutputs");
            let width = now.outputs.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
            for (name, value, description) in &now.outputs {
                let more = if description.is_empty() { "" } else { "  " };
                print(&format!("  {name:width$}  {value}{more}{description}"));
            }
        }
        let without = report::without_effect_text(plan);
        if !without.is_empty() {
            print(&format!("\nAccepted without effect\n{}", without.trim_end()));
        }
        print(&format!("\n{}", told.comment().trim_end()));
        Ok(())
    }

    async fn watch_for_changes(&self, running: &Running) -> Result<(), Failure> {
        let source = Source::find(&self.target)?;
        let mut seen = watch::Seen::of(source.folder());
        loop {
            self.say(&format!("\nwatching {} (Ctrl-C ends)", source.folder().display()));
            seen = seen.changed(source.folder()).await;
            if let Err(failure) = self.deploy(running, true).await {
                complain(&failure);
                if failure.exit == Exit::NoServer {
                    return Err(failure);
                }
            }
        }
    }

    /// `--delete`.
    async fn remove(&self) -> Result<(), Failure> {
        let running = Running::find(self.data.as_deref())?;
        let client = Client::new(&running)?;
        let name = match &self.stack_name {
            Some(name) => name.clone(),
            None => Settings::of(&Source::find(&self.target)?, self)?.stack_name,
        };
        let stack = follow::Stack { client: &client, name: &name };
        let Some(now) = stack.describe().await? else {
            return Err(Failure::new(Exit::NotFound, format!("there is no stack `{name}`"))
                .hint("`aws cloudformation list-stacks` tells which there are"));
        };
        if !self.yes && !confirmed(&format!("delete the stack `{name}`"))? {
            return Err(Failure::new(Exit::Interrupted, "nothing was deleted"));
        }
        stack.delete(&now, &|line| self.say(line)).await?;
        if self.output == Form::Json {
            print(&format!(
                "{:#}",
                json!({ "stackName": name, "stackId": now.id, "status": "DELETE_COMPLETE" })
            ));
        } else {
            print(&format!("{name}: deleted"));
        }
        Ok(())
    }
}

/// Asks on a terminal; without one the answer is yes.
fn confirmed(what: &str) -> Result<bool, Failure> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(true);
    }
    let mut errors = std::io::stderr();
    let _ = write!(errors, "{what}? [y/N] ").and_then(|()| errors.flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|error| Failure::new(Exit::Failed, format!("no answer: {error}")))?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

/// A failure that ends nothing.
fn complain(failure: &Failure) {
    let _ = writeln!(std::io::stderr(), "{failure}");
}

/// A path as short as it can be told.
fn shown(path: &Path) -> String {
    path.strip_prefix("./").unwrap_or(path).display().to_string()
}
