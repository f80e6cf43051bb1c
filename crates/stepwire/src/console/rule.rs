//! One topic rule: what it makes of messages, and its forms.

use stepwire_asl::{Json, Timestamp};
use stepwire_console::Page;
use stepwire_console::link::link;
use stepwire_console::pages::rule::{Mark, Outcome, Over, Recorded, Test, View};
use stepwire_console::pages::rules::Verdict;
use stepwire_console::pages::{self, Problem};
use stepwire_console::payload::Form as Shown;
use stepwire_console::words::segment;
use stepwire_core::Message;
use stepwire_core::rules::evaluate::{Explanation, Refused, Sample, Sources, Tested};
use stepwire_core::{Service, rules::sql};

use super::Done;
use super::live::{Interest, Topic};
use super::messages::beginning;
use super::rules::{counted, counts, kind, payload, recorded};
use super::visit::{Form, Visit, lines, problem};
use crate::node::Node;
use crate::recorded::Recording;
use crate::shard;

/// Messages that the tester offers.
const OFFERED: usize = 40;

pub(super) fn interest() -> Interest {
    Interest::in_topics([Topic::Rules, Topic::Messages], 2_000)
}

pub(super) async fn page(visit: &Visit, name: &str) -> Result<Page, Problem> {
    let stored = stored(visit, name).await?;
    let rule = stored.member("rule").cloned().unwrap_or_default();
    let text = |of: &Json, name: &str| {
        of.member(name).and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let kept = visit.node().recorded().latest(None, usize::MAX);
    let own = text(&rule, "sql");
    let sql = visit.query("sql").map_or_else(|| own.clone(), |sql| lines(&sql));
    let tested = Tested::new(Some(name.into()), &with_sql(&payload(&rule), &sql));
    let (over, offered) = match &tested {
        Ok(tested) => (over(visit.node(), tested, &kept), offered(&kept, tested)),
        Err(_) => (Over::default(), Vec::new()),
    };
    let actions = rule.member("actions").and_then(Json::as_array).unwrap_or_default();
    let created = rule.member("createdAt").and_then(Json::as_f64).unwrap_or_default();
    let view = View {
        name: name.to_owned(),
        arn: text(&stored, "ruleArn"),
        description: text(&rule, "description"),
        disabled: rule.member("ruleDisabled").and_then(Json::as_bool).unwrap_or(false),
        created: Timestamp((created * 1_000.0) as i64),
        version: text(&rule, "awsIotSqlVersion"),
        actions: actions.iter().filter_map(kind).collect(),
        error_action: rule.member("errorAction").and_then(kind),
        counts: counts(visit.node(), name, &counted(&kept)),
        over,
        recorded: offered,
        test: test(visit, sql, tested)?,
        deleting: visit.query("delete").is_some(),
        sql: own,
    };
    Ok(pages::rule::page(&view))
}

async fn stored(visit: &Visit, name: &str) -> Result<Json, Problem> {
    let found = visit.ask(Service::Iot, "GetTopicRule", [("ruleName", name.into())]).await;
    found.map_err(|error| match &*error.code {
        "UnauthorizedException" => Problem::not_found(format!("there is no rule `{name}`")),
        _ => problem(error),
    })
}

fn with_sql(payload: &Json, sql: &str) -> Json {
    let mut members = payload.as_object().cloned().unwrap_or_default();
    members.insert("sql".into(), sql.into());
    Json::Object(members.into())
}

/// What a statement makes of all messages that are kept.
fn over(node: &Node, tested: &Tested, kept: &[Recording]) -> Over {
    let mut over = Over { messages: kept.len() as u64, ..Over::default() };
    for recording in kept {
        let filter = tested.filter();
        let ingest = recording.message.topic.starts_with("$aws/rules/");
        if !ingest && !filter.is_some_and(|it| takes(it, &recording.message.topic)) {
            over.other_topic += 1;
            continue;
        }
        match explain(node, tested, &recording.message) {
            Ok(explained) if explained.filter_fault.is_some() => over.other_topic += 1,
            Ok(explained) if !explained.trace.holds => over.where_false += 1,
            Ok(explained) if is_troubled(&explained) => over.troubled += 1,
            Ok(_) => over.matched += 1,
            Err(_) => over.troubled += 1,
        }
    }
    over
}

fn is_troubled(explained: &Explanation) -> bool {
    explained.trace.result == sql::Value::Undefined
        || explained.actions.iter().any(|planned| planned.would.is_err())
}

fn takes(filter: &str, topic: &str) -> bool {
    stepwire_core::rules::evaluate::takes(filter, topic)
}

/// Messages for the tester: those on the rule's topics first, latest first.
fn offered(kept: &[Recording], tested: &Tested) -> Vec<Recorded> {
    let is_taken =
        |it: &&Recording| tested.filter().is_some_and(|filter| takes(filter, &it.message.topic));
    let (taken, others): (Vec<_>, Vec<_>) = kept.iter().partition(is_taken);
    let each = |(it, taken): (&Recording, bool)| Recorded {
        id: it.id,
        at: it.message.at,
        topic: it.message.topic.to_string(),
        text: beginning(&it.message, Shown::Auto),
        taken,
    };
    let taken = taken.into_iter().map(|it| (it, true));
    let others = others.into_iter().map(|it| (it, false)).take(OFFERED / 4);
    taken.take(OFFERED).chain(others).map(each).collect()
}

fn explain(
    node: &Node,
    tested: &Tested,
    message: &Message,
) -> Result<Explanation, stepwire_store::Error> {
    let stored = node.snapshot();
    shard::catch(|| {
        let sources = Sources { answers: Json::Null, node: Some(&stored) };
        tested.explain(message, node.settings(), &sources)
    })
}

/// What the form of the tester asks for.
fn test(visit: &Visit, sql: String, tested: Result<Tested, Refused>) -> Result<Test, Problem> {
    let node = visit.node();
    let field = |name: &str| visit.query(name).unwrap_or_default();
    let mut test = Test {
        recorded: visit.query("recorded").and_then(|id| id.parse().ok()),
        topic: field("topic"),
        payload: lines(&field("payload")),
        client: field("client"),
        marks: marks(&tested),
        sql,
        outcome: None,
    };
    let message = match test.recorded {
        Some(id) => Some(Ok(recorded(node, id)?.message)),
        None if test.topic.is_empty() => None,
        None => {
            let mut sample = Sample::new(&test.topic, test.payload.clone());
            sample.client_id = (!test.client.is_empty()).then(|| test.client.as_str().into());
            Some(sample.message(visit.now(), node.settings()).map(std::sync::Arc::new))
        }
    };
    test.outcome = match (message, tested) {
        (_, Err(refused)) => Some(Err(refused.error.message)),
        (None, _) => None,
        (Some(Err(error)), _) => Some(Err(error.message)),
        (Some(Ok(message)), Ok(tested)) => {
            let explained = explain(node, &tested, &message);
            Some(explained.map(outcome).map_err(|error| error.to_string()))
        }
    };
    Ok(test)
}

fn outcome(explained: Explanation) -> Outcome {
    let text = explained.to_string();
    let result = match &explained.trace.result {
        sql::Value::Json(json) => Some(json.clone()),
        sql::Value::Undefined | sql::Value::Bytes(_) => None,
    };
    let all = explained.actions.into_iter().chain(explained.error_action);
    Outcome {
        verdict: Verdict { matches: explained.matches, sentence: explained.sentence },
        parts: text.split_once('\n').map_or(String::new(), |(_, parts)| parts.to_owned()),
        result,
        actions: all.map(|planned| (planned.kind, planned.would)).collect(),
    }
}

fn marks(tested: &Result<Tested, Refused>) -> Vec<Mark> {
    let mark = |error: &sql::Error, is_error| Mark {
        line: error.line,
        column: error.column,
        message: error.message.clone(),
        hint: error.hint.clone(),
        is_error,
    };
    match tested {
        Ok(tested) => tested.warnings().iter().map(|error| mark(error, false)).collect(),
        Err(refused) => refused.place.iter().map(|error| mark(error, true)).collect(),
    }
}

/// Enables or disables it.
pub(super) async fn turn(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let operation = match form.field("to") {
        "enable" => "EnableTopicRule",
        "disable" => "DisableTopicRule",
        other => return Err(Problem::refused(format!("`{other}` is not enable or disable"))),
    };
    let name = [("ruleName", form.field("rule").into())];
    visit.ask(Service::Iot, operation, name).await.map_err(problem)?;
    Ok(Done::At(form.back().to_owned()))
}

/// Deletes it.
pub(super) async fn delete(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let name = [("ruleName", form.field("rule").into())];
    visit.ask(Service::Iot, "DeleteTopicRule", name).await.map_err(problem)?;
    Ok(Done::At("/rules".to_owned()))
}

/// Gives it another statement. What is wrong with that is shown where it stands.
pub(super) async fn save(visit: &Visit, form: &Form) -> Result<Done, Problem> {
    let (name, sql) = (form.field("rule"), form.text("sql"));
    let stored = stored(visit, name).await?;
    let payload = with_sql(&payload(&stored.member("rule").cloned().unwrap_or_default()), &sql);
    let here = format!("/rules/{}", segment(name));
    if Tested::new(Some(name.into()), &payload).is_err_and(|refused| refused.place.is_some()) {
        return Ok(Done::At(link(&here, &[("sql", &sql)])));
    }
    let members = [("ruleName", name.into()), ("topicRulePayload", payload)];
    visit.ask(Service::Iot, "ReplaceTopicRule", members).await.map_err(problem)?;
    Ok(Done::At(here))
}
