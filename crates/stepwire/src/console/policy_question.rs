//! May this device do that? Asked of the node's own authorizer.

use stepwire_asl::Json;
use stepwire_console::pages::device::{ACTIONS, Answer, Policy as Tab};
use stepwire_core::Service;
use stepwire_core::broker::Action;
use stepwire_core::registry::policies::{Facts as Asking, Policy, Question, ThingOf};
use stepwire_core::registry::things::Thing;

use super::device::Facts;
use super::visit::Visit;

/// The tab with the question that the address asks, and its answer.
pub(super) async fn tab(visit: &Visit, client: &str, thing: Option<&Thing>, facts: &Facts) -> Tab {
    let action = visit.query("action").unwrap_or_else(|| "PUBLISH".to_owned());
    let resource = visit.query("resource");
    let without = facts.policies.is_empty().then(|| without(facts));
    let answer = match &resource {
        Some(resource) => Some(ask(visit, client, thing, facts, &action, resource).await),
        None => None,
    };
    Tab {
        action,
        resource: resource.unwrap_or_default(),
        answer,
        documents: facts.policies.clone(),
        without,
    }
}

fn without(facts: &Facts) -> String {
    let why = if facts.principals.is_empty() {
        "no certificate is attached to it, so no policy speaks of it. Without a certificate it is \
         let in only where a listener asks for none, and may do everything there"
    } else {
        "no policy is attached to its certificate, so it may do nothing"
    };
    format!("Policies: {why}.")
}

async fn ask(
    visit: &Visit,
    client: &str,
    thing: Option<&Thing>,
    facts: &Facts,
    word: &str,
    resource: &str,
) -> Result<Answer, String> {
    let Some(principal) = facts.principals.first() else { return Err(without(facts)) };
    let action = match word {
        "PUBLISH" => Action::Publish,
        "SUBSCRIBE" => Action::Subscribe,
        "RECEIVE" => Action::Receive,
        "CONNECT" => Action::Connect,
        _ => {
            let words: Vec<_> = ACTIONS.iter().map(|(word, _)| *word).collect();
            return Err(format!("the action must be one of {}", words.join(", ")));
        }
    };
    let kind = Question::new(action, "").kind;
    let arn = visit.node().settings().arn("iot", &format!("{kind}/{resource}"));
    let about = Json::object([
        ("actionType", Json::from(word)),
        ("resources", Json::array([Json::from(arn)])),
    ]);
    let asked = [
        ("principal", Json::from(principal.as_str())),
        ("clientId", client.into()),
        ("authInfos", Json::array([about])),
    ];
    let answer = visit.ask(Service::Iot, "TestAuthorization", asked).await;
    let answer = answer.map_err(|error| error.message)?;
    let results = answer.member("authResults").and_then(Json::as_array).unwrap_or_default();
    let result = results.first().ok_or("there was no answer")?;
    let decision = result.member("authDecision").and_then(Json::as_str).unwrap_or_default();
    let deciding = match decision {
        "ALLOWED" => result.member("allowed"),
        "EXPLICIT_DENY" => result.member("denied").and_then(|denied| denied.member("explicitDeny")),
        _ => None,
    };
    let names = deciding.and_then(|policies| policies.member("policies")?.as_array());
    let names = names.unwrap_or_default().iter();
    let find = || thing;
    let asking = Asking {
        client_id: Some(client),
        certificate: None,
        ip: None,
        now: Some(visit.now()),
        connect: (action == Action::Connect).then(Default::default),
        thing: ThingOf::new(&find),
    };
    let statements = names.filter_map(|policy| policy.member("policyName")?.as_str()).map(|name| {
        let document = facts.policies.iter().find(|(known, _)| known == name);
        let document = document.map(|(_, document)| document.as_str()).unwrap_or_default();
        // What depends on the certificate's fields is decided, but not found here.
        let policy = Policy::parse(document).ok();
        let at = policy.and_then(|it| it.deciding(Question::new(action, resource), &asking));
        (name.to_owned(), at.map(|at| at + 1), at.and_then(|at| statement(document, at)))
    });
    let missing = result.member("missingContextValues").and_then(Json::as_array);
    let missing = missing.unwrap_or_default().iter();
    Ok(Answer {
        allowed: decision == "ALLOWED",
        denied: decision == "EXPLICIT_DENY",
        statements: statements.collect(),
        missing: missing.filter_map(|name| Some(name.as_str()?.to_owned())).collect(),
    })
}

/// The text of a document's statement.
fn statement(document: &str, at: usize) -> Option<String> {
    let document = Json::parse(document).ok()?;
    let statements = document.member("Statement")?;
    let one = match statements.as_array() {
        Some(statements) => statements.get(at)?,
        None => statements,
    };
    Some(one.to_text())
}
