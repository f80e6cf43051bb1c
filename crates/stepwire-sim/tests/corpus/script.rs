//! A recorded case and its script, played on a [`Bench`].

use stepwire_asl::Json;
use stepwire_core::ApiError;

use crate::bench::{Bench, Crash};
use crate::compare::{Comparison, same_history};
use crate::stubs::Behaviour;
use crate::tokens::Answers;

/// One recorded case.
pub(crate) struct Case(pub(crate) Json);

/// A case as it was played: every answer, and every execution's history at the end.
pub(crate) struct Played {
    answers: Answers,
    /// By the step that started it.
    pub(crate) histories: Vec<(String, Vec<Json>)>,
    pub(crate) commits: u64,
}

impl Case {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.member(name).and_then(Json::as_str).unwrap_or_default()
    }

    fn list(&self, name: &str) -> &[Json] {
        self.0.member(name).and_then(Json::as_array).unwrap_or_default()
    }

    /// Plays the script.
    pub(crate) fn play(&self, crash: Crash) -> Result<Played, String> {
        let mut bench = Bench::new(crash);
        let mut answers = Answers::default();
        for step in self.list("steps") {
            let (id, op) = (text(step, "id"), text(step, "op"));
            let params = self.params(step, &answers)?;
            match run(&mut bench, op, step, &params)? {
                Ok(answer) => drop(answers.answered.insert(id.to_owned(), answer)),
                Err((operation, error)) => {
                    if text(step, "expect") != "error" {
                        return Err(format!("{id} {op}: {error}"));
                    }
                    answers.refused.insert(id.to_owned(), (operation, error));
                    continue;
                }
            }
            if text(step, "expect") == "error" {
                return Err(format!("{id} {op}: expected an error"));
            }
        }
        let mut histories = Vec::new();
        for execution in self.list("executions") {
            let step = text(execution, "step");
            let Some(arn) = answers.answered.get(step).and_then(|a| a.member("executionArn"))
            else {
                continue;
            };
            if execution.member("sync").is_none() {
                histories.push((step.to_owned(), history(&mut bench, arn)?));
            }
        }
        Ok(Played { answers, histories, commits: bench.commits() })
    }

    /// A step's parameters, with the definitions they refer to as texts.
    fn params(&self, step: &Json, answers: &Answers) -> Result<Json, String> {
        let members = step.member("params").and_then(Json::as_object).into_iter().flatten();
        let params = members.map(|(name, value)| {
            let referred = ["@definition", "@definition_text"]
                .into_iter()
                .find_map(|reference| value.member(reference)?.as_str());
            let Some(id) = referred else { return Ok((name.clone(), answers.resolve(value)?)) };
            let definition = self.0.member("definitions").and_then(|all| all.member(id));
            let text = match answers.resolve(definition.ok_or("no such definition")?)? {
                Json::String(text) => text,
                other => other.to_text().into(),
            };
            Ok((name.clone(), Json::String(text)))
        });
        Ok(Json::object(params.collect::<Result<Vec<_>, String>>()?))
    }

    /// Whether what was played is what was recorded.
    pub(crate) fn judge(&self, played: &Played) -> Result<(), String> {
        let mut comparison = Comparison::default();
        for rule in self.list("replace") {
            let value = rule.member("value").and_then(|value| played.answers.resolve(value).ok());
            let Some(Json::String(value)) = value else { continue };
            if !value.is_empty() && !value.contains('[') {
                comparison.replaced.push((value.to_string(), text(rule, "with").to_owned()));
            }
        }
        let compare = self.0.member("compare").map(Json::to_text).unwrap_or_default();
        for execution in self.list("executions") {
            let step = text(execution, "step");
            if let (Some(sync), Some(answer)) =
                (execution.member("sync"), played.answers.answered.get(step))
            {
                comparison.same(sync, answer).map_err(|why| format!("{step}: {why}"))?;
            }
            let Some(expected) = execution.member("expected") else { continue };
            let Some(recorded) = expected.member("history").and_then(Json::as_array) else {
                continue;
            };
            let found = played.histories.iter().find(|(id, _)| id == step);
            let mut actual = found.map(|(_, events)| events.as_slice()).unwrap_or_default();
            if expected.member("status").is_none_or(|status| *status == Json::Null) {
                // The recording stopped before the execution did.
                actual = &actual[..recorded.len().min(actual.len())];
            }
            same_history(&mut comparison, compare.contains("unordered"), recorded, actual)
                .map_err(|why| format!("{step}: {why}"))?;
        }
        self.list("matches").iter().try_for_each(|m| self.judge_match(m, played, &mut comparison))
    }

    fn judge_match(
        &self,
        recorded: &Json,
        played: &Played,
        comparison: &mut Comparison,
    ) -> Result<(), String> {
        let (Some(of), Some(value)) = (recorded.member("of"), recorded.member("value")) else {
            return Ok(());
        };
        // The recording's link to a step was lost.
        if of.as_array().is_some_and(<[Json]>::is_empty) {
            return Ok(());
        }
        let key = text(recorded, "key");
        let actual = played.answers.resolve(of).map_err(|why| format!("{key}: {why}"))?;
        let sorted = self.0.member("compare").map(Json::to_text).unwrap_or_default();
        let (actual, value) = if sorted.contains("variableReferences-sorted") {
            (in_order(&actual), in_order(value))
        } else {
            (actual, value.clone())
        };
        if let (Some(events), Some(found)) = (
            value.member("events").and_then(Json::as_array),
            actual.member("events").and_then(Json::as_array),
        ) {
            return same_history(comparison, false, events, found)
                .map_err(|why| format!("{key}: {why}"));
        }
        comparison.same(&value, &actual).map_err(|why| format!("{key}: {why}"))
    }
}

/// What a step gets: an answer, or the name of the operation and its refusal.
type Got = Result<Json, (String, ApiError)>;

fn run(bench: &mut Bench, op: &str, step: &Json, params: &Json) -> Result<Got, String> {
    let (service, name) = op.split_once('.').unwrap();
    match (service, name) {
        ("stepfunctions", name) => {
            let operation = pascal(name);
            Ok(bench.call(&operation, params).map_err(|error| (operation, error)))
        }
        ("wait", name) => {
            wait(bench, name, text(params, "arn"))?;
            Ok(Ok(Json::Null))
        }
        ("fixture", "create_lambda_function") => {
            let behaviour = step.member("params").and_then(|params| params.member("behaviour"));
            let behaviour = Behaviour::of(behaviour.ok_or("no behaviour")?)?;
            let name = text(params, "func_name");
            let made = bench.function(name, behaviour);
            let answer = made.map(|made| Json::object([("CreateFunctionResponse", made)]));
            Ok(answer.map_err(|error| ("CreateFunction".to_owned(), error)))
        }
        ("fixture", "s3_create_bucket") => {
            let name = match text(params, "Bucket") {
                "" => "test-bucket",
                name => name,
            };
            let made = bench.objects("CreateBucket", &bucket(name, None), "");
            Ok(made.map(|_| Json::from(name)).map_err(|error| ("CreateBucket".to_owned(), error)))
        }
        ("s3", "put_object") => {
            let key = bucket(text(params, "Bucket"), Some(text(params, "Key")));
            let put = bench.objects("PutObject", &key, text(params, "Body"));
            Ok(put.map_err(|error| ("PutObject".to_owned(), error)))
        }
        ("fixture", "sfn_activity_consumer") => {
            let template = params.member("template").ok_or("no template")?;
            let create = Json::object([
                ("name", Json::from("consumer")),
                ("definition", template.to_text().into()),
                ("roleArn", "arn:aws:iam::111111111111:role/of-the-test".into()),
            ]);
            let made = bench.call("CreateStateMachine", &create).map_err(|e| e.to_string())?;
            let input = Json::object([("ActivityArn", Json::from(text(params, "activity_arn")))]);
            let start = Json::object([
                ("stateMachineArn", made.member("stateMachineArn").cloned().unwrap_or_default()),
                ("input", input.to_text().into()),
            ]);
            bench.call("StartExecution", &start).map_err(|e| e.to_string())?;
            Ok(Ok(made))
        }
        _ => Err(format!("`{op}` is not played in process")),
    }
}

fn bucket(name: &str, key: Option<&str>) -> Json {
    let key = key.map(|key| ("Key", Json::from(key)));
    Json::object([("Bucket", Json::from(name))].into_iter().chain(key))
}

fn wait(bench: &mut Bench, name: &str, arn: &str) -> Result<(), String> {
    if !name.starts_with("await_execution") || name == "await_execution_started" {
        return Ok(());
    }
    let ended = |bench: &mut Bench| {
        let body = Json::object([("executionArn", Json::from(arn))]);
        match bench.call("DescribeExecution", &body) {
            Ok(answer) => answer.member("status") != Some(&Json::from("RUNNING")),
            Err(_) => true,
        }
    };
    if bench.until(ended) { Ok(()) } else { Err(format!("{arn} does not end")) }
}

fn history(bench: &mut Bench, arn: &Json) -> Result<Vec<Json>, String> {
    let mut events = Vec::new();
    let mut token = None;
    loop {
        let mut body = vec![("executionArn", arn.clone()), ("maxResults", Json::from(1000))];
        body.extend(token.take().map(|token| ("nextToken", token)));
        let page = bench.call("GetExecutionHistory", &Json::object(body));
        let page = page.map_err(|error| error.to_string())?;
        events.extend(
            page.member("events").and_then(Json::as_array).unwrap_or_default().iter().cloned(),
        );
        match page.member("nextToken") {
            Some(next) => token = Some(next.clone()),
            None => return Ok(events),
        }
    }
}

/// The lists of variable references have no order.
fn in_order(value: &Json) -> Json {
    match value {
        Json::Object(members) => Json::object(members.iter().map(|(name, value)| {
            let value = match (name.as_ref(), value.as_object()) {
                ("variableReferences", Some(states)) => {
                    Json::object(states.iter().map(|(state, names)| {
                        let mut names = names.as_array().unwrap_or_default().to_vec();
                        names.sort_by_key(Json::to_text);
                        (state.clone(), Json::array(names))
                    }))
                }
                _ => in_order(value),
            };
            (name.clone(), value)
        })),
        Json::Array(items) => Json::array(items.iter().map(in_order)),
        other => other.clone(),
    }
}

fn pascal(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

fn text<'a>(of: &'a Json, name: &str) -> &'a str {
    of.member(name).and_then(Json::as_str).unwrap_or_default()
}
